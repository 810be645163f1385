"""Ops that have a `dtype` are told it by autocast instead of having their inputs cast: nothing else may change."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.autodiff.op import registry
from pullback.backends import open_backend

pytestmark = pytest.mark.on_numpy
pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")

HALVES = pytest.mark.parametrize("half", ["bfloat16", "float16"])
RNG = np.random.default_rng(0)
LOGITS = 3 * RNG.standard_normal((6, 5))
LARGE = 3 * RNG.standard_normal((300, 210))
CLASSES = pb.asarray(np.arange(6) % 5)
SHARES, WEIGHT = RNG.dirichlet(np.ones(5), 6), np.asarray([0.5, 1.0, 2.0, 0.75, 1.5])

# A function of Tensors of half precision, and what they are.
CASES: dict[str, tuple[Any, list[Any]]] = {
    "sum": (lambda x: pb.sum(x, axis=0), [LARGE]),
    "sum of all": (pb.sum, [LARGE]),
    "prod": (lambda x: pb.prod(x, axis=-1, keepdims=True), [LOGITS]),
    "cumulative_sum": (lambda x: pb.cumulative_sum(x, axis=1), [LARGE]),
    "cumulative_prod": (lambda x: pb.cumulative_prod(x, axis=1), [LOGITS]),
    "trace": (pb.linalg.trace, [LARGE]),
    "softmax": (pb.softmax, [LARGE]),
    "softmax, another axis": (lambda x: pb.softmax(x, axis=0), [LOGITS]),
    "softmin": (pb.softmin, [LOGITS]),
    "log_softmax": (pb.log_softmax, [LARGE]),
    "log_softmax, another axis": (lambda x: pb.log_softmax(x, axis=0), [LOGITS]),
    "cross_entropy": (lambda x: pb.cross_entropy(x, CLASSES), [LOGITS]),
    "cross_entropy, large": (lambda x: pb.cross_entropy(x, pb.arange(300) % 210), [LARGE]),
    "cross_entropy, each": (lambda x: pb.cross_entropy(x, pb.arange(300) % 210, reduction="none"), [LARGE]),
    "cross_entropy, weighted": (lambda x: pb.cross_entropy(x, CLASSES, pb.asarray(WEIGHT, dtype=x.dtype)), [LOGITS]),
    "cross_entropy, smoothed": (
        lambda x: pb.cross_entropy(x, CLASSES, label_smoothing=0.1, ignore_index=2, reduction="sum"),
        [LOGITS],
    ),
    "cross_entropy of shares": (pb.cross_entropy, [LOGITS, SHARES]),
    "nll of log_softmax": (lambda x: pb.nll_loss(pb.log_softmax(x), CLASSES), [LOGITS]),
}
ALL = pytest.mark.parametrize("case", CASES)


@pytest.fixture(params=["kernels", "lines"])
def _numpy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy by its kernels, and by the ops' own lines."""
    if request.param == "lines":
        numpy = open_backend("numpy")
        monkeypatch.setattr(type(numpy), "kernels", {})
        monkeypatch.setattr(numpy, "implementations", {})
        for op in registry.values():
            monkeypatch.setattr(op, "_runs", {})


def told(function: Any, variables: list[Any]) -> Any:
    with pb.autocast("bfloat16"):
        return function(*variables)


def cast(function: Any, variables: list[Any]) -> Any:
    """What autocast would do without ops that have a `dtype`."""
    return function(*(pb.astype(x, "float32") for x in variables))


def results(call: Any, case: str, half: str) -> Iterator[list[Any]]:
    """The value, the gradients, and the gradients of these, as host arrays."""
    function, inputs = CASES[case]
    variables = [pb.tensor(x.astype("float32"), dtype=half).requires_grad_() for x in inputs]
    y = call(function, variables)
    yield [y.numpy()]
    weight = pb.asarray(np.cos(np.arange(y.size)).reshape(y.shape), dtype="float32")
    (y * weight).sum().backward(create_graph=True)
    yield [x.grad.numpy() for x in variables]
    total = sum(((x.grad.astype("float32")) ** 2).sum() for x in variables)
    for x in variables:
        x.grad = None
    if total.requires_grad:
        total.backward()
        yield [x.grad.numpy() for x in variables]


@HALVES
@ALL
@pytest.mark.usefixtures("_numpy")
def test_values_and_gradients_are_to_the_bit_those_of_casts(case: str, half: str) -> None:
    for order, (arrays, others) in enumerate(zip(results(told, case, half), results(cast, case, half), strict=True)):
        for got, expected in zip(arrays, others, strict=True):
            assert got.dtype == expected.dtype == (half if order else "float32")
            if order < 2:
                np.testing.assert_array_equal(got, expected)
            else:  # gradients that come by two ways were added up before they were rounded
                scale = float(np.abs(expected).max())
                np.testing.assert_allclose(got.astype("float64"), expected.astype("float64"), atol=2**-7 * scale)


@HALVES
@ALL
def test_no_cast_of_the_inputs_is_recorded(case: str, half: str) -> None:
    function, inputs = CASES[case]
    variables = [pb.tensor(x.astype("float32"), dtype=half).requires_grad_() for x in inputs]
    y = told(function, variables)
    pending, ops = [y.node], []
    while pending:
        place = pending.pop()
        if place is not None and getattr(place, "plan", None) is not None:
            ops.append(place.plan.op.name)
            pending += place.parents
    assert ops
    assert "astype" not in ops


@HALVES
@pytest.mark.parametrize(
    "case", [name for name, (_, inputs) in CASES.items() if len(inputs) == 1 and inputs[0] is LOGITS]
)
def test_vmap_tells_the_type_too(case: str, half: str) -> None:
    function, _ = CASES[case]
    xs = pb.asarray(np.stack([LOGITS, LOGITS / 2]).astype("float32"), dtype=half).array
    with pb.autocast(half):
        got = pb.vmap(function)(xs)
        each = np.stack([function(x) for x in xs])
        slopes = pb.vmap(pb.grad(lambda x: (function(x) ** 2).sum()))(xs)
        slope = np.stack([pb.grad(lambda x: (function(x) ** 2).sum())(x) for x in xs])
    assert got.dtype == each.dtype == "float32"
    assert slopes.dtype == slope.dtype == half
    np.testing.assert_allclose(got, each, rtol=1e-6)
    np.testing.assert_allclose(slopes.astype("float32"), slope.astype("float32"), rtol=2**-7, atol=2**-9)


@HALVES
def test_a_dtype_that_is_given_is_the_one(half: str) -> None:
    x = pb.asarray(LOGITS, dtype=half)
    with pb.autocast(half):
        for wanted in ("float64", "float32", half):
            assert pb.sum(x, dtype=wanted).dtype == pb.softmax(x, dtype=wanted).dtype == wanted
        assert pb.sum(x, dtype="int64").dtype == "int64"
        ones = pb.ones(3000, dtype=half)
        assert float(pb.sum(ones, dtype=half)) == float(np.float32(3000).astype(ones.array.dtype))


def test_other_types_are_as_they_were() -> None:
    wide, whole = pb.asarray(LOGITS), pb.asarray([[3, 1], [2, 5]])
    with pb.autocast("bfloat16"):
        for function in (pb.sum, pb.softmax, pb.log_softmax, lambda x: pb.cross_entropy(x, CLASSES)):
            assert function(wide.astype("float64")).dtype == "float64"
            assert function(wide.astype("float32")).dtype == "float32"
        assert pb.sum(whole).dtype == "int64"
        for function in (pb.softmax, lambda x: pb.cross_entropy(x, pb.asarray([0, 1]))):
            with pytest.raises(TypeError, match="takes a floating array; got int64"):
                function(whole)
        low, single = wide.astype("bfloat16"), wide.astype("float32")
        assert pb.cross_entropy(low, pb.asarray(SHARES)).dtype == "bfloat16"  # beside float64 nothing is cast
        assert pb.cross_entropy(single, CLASSES, pb.asarray(WEIGHT, dtype="bfloat16")).dtype == "float32"


def test_ops_of_others_are_told_as_well() -> None:
    seen = []

    @pb.autocasts_to("float32")
    @pb.op
    def doubled_in(xp: Any, x: Any, /, *, dtype: Any = None) -> Any:
        seen.append((x.dtype.name, dtype))
        return xp.astype(x, xp.float32) * 2 if dtype else x * 2

    try:
        x = pb.asarray([1.0, 2.0], dtype="bfloat16")
        with pb.autocast("bfloat16"):
            assert doubled_in(x).dtype == "float32"
            assert doubled_in(x.astype("float32")).dtype == "float32"
        doubled_in(x)
    finally:
        del registry["doubled_in"]
    assert seen == [("bfloat16", "float32"), ("float32", None), ("bfloat16", None)]
