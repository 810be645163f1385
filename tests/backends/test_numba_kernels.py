"""Compiled kernels: every op's examples through them, however small; and the functions that they are made of."""

import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import special

import pullback as pb
from pullback.autodiff import verify
from pullback.autodiff.op import Op, registry
from pullback.autodiff.tree import flatten
from pullback.backends import find_backend_of, numpy_kernels, open_backend
from pullback.backends.numba_kernels import compiling, products, vector_math

pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
pytestmark = pytest.mark.on_numpy

CASES = [
    pytest.param(op, example, id=f"{op.name}-{number}")
    for op in registry.values()
    if {op.name, *(rule.name for rule in op.rules)} & set(numpy_kernels.kernels)
    for number, example in enumerate(op.examples)
]
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compiled code for arrays of every size but 0, and in threads."""
    monkeypatch.setattr(compiling, "WORTHWHILE", 1)
    monkeypatch.setattr(compiling, "LEAST", 2)
    monkeypatch.setattr(products, "FEWEST", 1)
    return


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "example"), CASES)
def test_compiled_kernels_agree_with_the_reference(
    op: Op[..., Any], example: Any, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = values_and_gradients(op, example, dtype)
    forget_kernels(monkeypatch)
    for a, b in zip(got, values_and_gradients(op, example, dtype), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def values_and_gradients(op: Op[..., Any], example: Any, dtype: str) -> list[np.ndarray]:
    """What is compared of an op's outputs, and the gradients of what takes one."""
    inputs = verify.place(example.draw(), open_backend("numpy"), dtype)
    chosen = [i for i in verify.inputs_with_gradients(op, inputs) if example.inputs[i].differentiable]
    chosen = chosen if op.differentiable else []
    variables = [pb.Tensor(x).requires_grad_(i in chosen) if find_backend_of(x) else x for i, x in enumerate(inputs)]
    outputs = flatten(example.seen(pb, op(*variables, **example.metadata)))[0]
    rng = np.random.default_rng(3)
    for y in outputs:
        if y.requires_grad:
            y.backward(pb.asarray(rng.standard_normal(y.shape).astype(y.numpy().dtype)), retain_graph=True)
    return [y.numpy() for y in outputs] + [variables[i].grad.numpy() for i in chosen if variables[i].grad is not None]


def forget_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy without its kernels, so that the ops' own lines run."""
    numpy = open_backend("numpy")
    monkeypatch.setattr(type(numpy), "kernels", {})
    monkeypatch.setattr(numpy, "implementations", {})
    for op in registry.values():
        monkeypatch.setattr(op, "_runs", {})


REFERENCES = {
    vector_math.exp: np.exp,
    vector_math.expm1: np.expm1,
    vector_math.log: np.log,
    vector_math.log1p: np.log1p,
    vector_math.sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    vector_math.softplus: lambda x: np.logaddexp(0, x),
    vector_math.tanh: np.tanh,
    vector_math.erf: special.erf,
}
FUNCTIONS = [pytest.param(*pair, id=pair[0].__name__) for pair in REFERENCES.items()]


def each(function: Any) -> Any:
    """The compiled function of arrays that calls a function for every element."""

    def loop(x: Any, y: Any) -> None:
        for i in range(x.size):
            y[i] = function(x[i])

    return compiling.compiled(loop)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("function", "reference"), FUNCTIONS)
def test_functions_are_exact_to_a_few_units_in_the_last_place(function: Any, reference: Any, dtype: str) -> None:
    rng = np.random.default_rng(0)
    sizes = [10.0**k for k in range(-8, 3)]
    x = np.concatenate([rng.standard_normal(20_000) * size for size in sizes]).astype(dtype)
    y = np.empty_like(x)
    each(function)(x, y)
    with np.errstate(all="ignore"):
        exact = reference(x.astype("float64" if function is vector_math.erf else np.longdouble))
        rounded = exact.astype(dtype)
    normal = np.isfinite(rounded) & (np.abs(rounded) >= np.finfo(dtype).tiny)
    units = np.abs(y - exact)[normal] / np.spacing(np.abs(rounded[normal]))
    assert units.max() < (6.5 if function is vector_math.erf else 4.5)
    np.testing.assert_allclose(y[~normal], rounded[~normal], rtol=0, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("function", "reference"), FUNCTIONS)
def test_functions_of_what_is_not_finite_or_leads_there(function: Any, reference: Any, dtype: str) -> None:
    x = np.asarray([np.inf, -np.inf, np.nan, 0.0, -1.0, -2.0, 1e30, -1e30, 1e-40, 89.0, -110.0, 800.0, -800.0], dtype)
    y = np.empty_like(x)
    each(function)(x, y)
    with np.errstate(all="ignore"):
        expected = reference(x.astype(np.float64)).astype(dtype)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [1, 7, 8, 33, 1000])
def test_the_greatest_of_a_row(length: int, dtype: str) -> None:
    def loop(x: Any, y: Any) -> None:
        for n in range(x.shape[0]):
            y[n] = vector_math.greatest(x[n])

    x = (np.random.default_rng(0).standard_normal((20, length)) * 10 - 15).astype(dtype)
    x[0, :], x[1, 0], x[2, -1], x[3, :] = -np.inf, np.inf, -0.0, 0.0
    y = np.empty(20, dtype)
    compiling.compiled(loop)(x, y)
    np.testing.assert_array_equal(y, x.max(1))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "gelu", "silu", "mish", "elu", "softplus", "sigmoid"])
def test_nan_stays_nan_and_stays_in_its_row(name: str) -> None:
    x = np.random.default_rng(0).standard_normal((5, 40)).astype("float32")
    for row, bad in ((1, np.nan), (3, -np.float32(np.nan))):
        x[row, 7] = bad
    y = getattr(pb, name)(x)
    assert np.isnan(y[[1, 3], 7]).all()
    assert np.isfinite(y[[0, 2, 4]]).all()


def test_parts_make_up_the_whole() -> None:
    for length in (0, 1, 2, 3, 1000):
        seen = np.zeros(length, int)

        def count(start: int, stop: int, seen: np.ndarray, step: int) -> None:
            seen[start:stop] += step

        compiling.in_parts(count, length, seen, 3)
        assert (seen == 3).all()


def test_what_a_part_raises_is_raised() -> None:
    def fail(start: int, stop: int, at: int) -> None:
        if start <= at < stop:
            raise ZeroDivisionError(at)

    for at in (0, 99):
        with pytest.raises(ZeroDivisionError, match=str(at)):
            compiling.in_parts(fail, 100, at)
    compiling.in_parts(fail, 100, 100)


def test_arrays_of_parts_that_are_done_are_let_go() -> None:
    array = np.zeros(100)
    alive = weakref.ref(array)
    compiling.in_parts(lambda start, stop, x: None, 100, array)
    del array
    for _ in range(200):  # the thread may be on its way out of the call
        if alive() is None:
            return
        time.sleep(0.01)
    pytest.fail("a thread still holds an array of its last task")
