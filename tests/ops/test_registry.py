"""Every op there is, on every backend that is tested: what a new op gets without a test of its own."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from kernel_cases import calls_of, draw, updates_of, what_the_lines_say

import pullback as pb
import pullback.optim
from pullback.autodiff import verify
from pullback.autodiff.op import Op, registry
from pullback.autodiff.tree import flatten, tree_map
from pullback.backends import (
    Backend,
    backend_of,
    find_backend_of,
    numba_kernels,
    numpy_kernels,
    open_backend,
)

CASES = [
    pytest.param(op, example, id=f"{op.name}-{number}")
    for op in registry.values()
    for number, example in enumerate(op.examples)
]
DIFFERENTIABLE = [case for case in CASES if case.values[0].differentiable]


def differentiable_inputs(op: Op[..., Any], example: Any, inputs: list[Any]) -> list[int]:
    """The inputs that the op has a gradient for."""
    return [i for i in verify.inputs_with_gradients(op, inputs) if example.inputs[i].differentiable]


def to_host(y: Any) -> list[np.ndarray]:
    return [np.asarray(backend_of(a).to_host(a)) for a in flatten(y)[0]]


def test_every_op_has_examples() -> None:
    assert [op.name for op in registry.values() if not op.examples and op.name != "alias"] == []


@pytest.mark.parametrize(("op", "example"), CASES)
def test_forward_is_the_same_on_every_backend(op: Op[..., Any], example: Any, place: Backend) -> None:
    inputs = draw(example, place)
    result = op(*inputs, **example.metadata)
    numpy = open_backend("numpy").namespace
    reference = example.seen(numpy, op.function(numpy, *example.draw(), **example.metadata))
    for array in flatten(result)[0]:
        assert backend_of(array) is backend_of(next(x for x in inputs if find_backend_of(x)))
        assert place.several_devices is False or backend_of(array).device_of(array) == place.device
    for got, expected in zip(to_host(example.seen(place.namespace, result)), flatten(reference)[0], strict=True):
        assert got.shape == np.shape(expected)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("op", "example"), CASES)
def test_tensors_in_give_tensors_out(op: Op[..., Any], example: Any, place: Backend) -> None:
    inputs = draw(example, place)
    verify.check_tensors(op, inputs, example.metadata)


@pytest.mark.parametrize(("op", "example"), DIFFERENTIABLE)
def test_derivatives_of_first_and_second_order(op: Op[..., Any], example: Any, place: Backend) -> None:
    inputs = draw(example, place)
    chosen = differentiable_inputs(op, example, inputs)
    if not chosen:
        pytest.skip("no floating input in this example")

    verify.check_derivatives(
        lambda *xs, **metadata: example.seen(pb, op(*xs, **metadata)), inputs, example.metadata, chosen
    )


@pytest.mark.parametrize(
    ("op", "example"),
    [case for case in DIFFERENTIABLE if not all(rule.zeros for rule in case.values[0].rules)],
)
def test_a_rule_that_takes_no_zeros_knows_what_they_would_give(op: Op[..., Any], example: Any, place: Backend) -> None:
    inputs = draw(example, place)
    chosen = differentiable_inputs(op, example, inputs)
    finite = [i for i, y in enumerate(op(*inputs, **example.metadata)) if bool(pb.all(pb.isfinite(pb.Tensor(y))))]
    for number in finite:
        verify.check_derivatives(
            lambda *xs, number=number, **metadata: op(*xs, **metadata)[number], inputs, example.metadata, chosen
        )


@pytest.mark.parametrize(("op", "example"), DIFFERENTIABLE)
def test_gradients_keep_dtype_shape_and_device(op: Op[..., Any], example: Any, place: Backend) -> None:
    inputs = draw(example, place, "float32")
    chosen = differentiable_inputs(op, example, inputs)
    verify.check_gradients_stay(op, inputs, example.metadata, chosen)


def scattered(x: Any) -> Any:
    """The same values in memory that is neither contiguous nor in C's order."""
    if not isinstance(x, np.ndarray) or not x.ndim:
        return x
    wide = np.zeros([2 * n for n in x.shape[::-1]], dtype=x.dtype).T
    view = wide[tuple(slice(1, None, 2) for _ in x.shape)]
    view[...] = x
    return view


@pytest.mark.parametrize(("op", "example"), CASES)
def test_how_the_inputs_lie_in_memory_changes_nothing(op: Op[..., Any], example: Any) -> None:
    numpy = open_backend("numpy")
    inputs = draw(example, numpy)
    chosen = differentiable_inputs(op, example, inputs) if op.differentiable else []

    def values_and_gradients(arrays: list[Any]) -> list[np.ndarray]:
        variables = [
            pb.Tensor(x).requires_grad_(i in chosen) if find_backend_of(x) else x for i, x in enumerate(arrays)
        ]
        outputs = flatten(op(*variables, **example.metadata))[0]
        for y in outputs:
            if y.requires_grad:
                y.backward(pb.ones_like(y.detach()), retain_graph=True)
        return [y.numpy() for y in outputs] + [variables[i].grad.numpy() for i in chosen]

    for got, expected in zip(
        values_and_gradients(list(map(scattered, inputs))), values_and_gradients(inputs), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("op", "example"), DIFFERENTIABLE)
def test_what_needs_no_gradient_is_not_pulled(op: Op[..., Any], example: Any) -> None:
    numpy = open_backend("numpy")
    inputs = draw(example, numpy)
    chosen = differentiable_inputs(op, example, inputs)
    verify.check_each_gradient_alone(op, inputs, example.metadata, chosen)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "rule", "example"), calls_of(numpy_kernels.kernels))
def test_kernels_agree_with_the_reference(op: Op[..., Any], rule: Any, example: Any, dtype: str) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    for a, b in zip(*what_the_lines_say(numpy_kernels.kernels, op, rule, example, dtype), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


IN_PLACE = updates_of(numpy_kernels.kernels)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "example"), IN_PLACE)
def test_updates_in_place_are_the_rule_to_the_bit(op: Op[..., Any], example: Any, dtype: str) -> None:
    numpy = open_backend("numpy")
    inputs = draw(example, numpy, dtype)
    expected = op.function(numpy.namespace, *inputs, **example.metadata)
    buffers = [x.copy() for x in inputs]
    numpy_kernels.kernels[f"{op.name}.in_place"](*buffers, **example.metadata)
    for got, value in zip((buffers[0], *buffers[2:]), expected, strict=True):
        np.testing.assert_array_equal(got, value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "example"), IN_PLACE)
def test_compiled_updates_are_the_rule_to_the_bit(op: Op[..., Any], example: Any, dtype: str) -> None:
    pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
    numpy = open_backend("numpy")
    inputs = [np.tile(x, 30_000) for x in draw(example, numpy, dtype)]
    assert inputs[0].size >= numba_kernels.WORTHWHILE
    inputs[1] *= np.random.default_rng(0).standard_normal(inputs[1].size).astype(dtype)
    inputs[1][:4] = np.nan, np.inf, -np.inf, 0.0
    inputs[-1][-1] = np.nan  # of the last buffer, such as the largest of Adam
    with np.errstate(invalid="ignore"):
        expected = op.function(numpy.namespace, *inputs, **example.metadata)
        numpy_kernels.kernels[f"{op.name}.in_place"](*inputs, **example.metadata)
    for got, value in zip((inputs[0], *inputs[2:]), expected, strict=True):
        np.testing.assert_array_equal(got, value)


RULES = [pytest.param(op, rule, id=rule.name) for op in registry.values() for rule in op.rules if op.name != "alias"]


@pytest.fixture
def reference_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """NumPy without its kernels, so that the ops' own lines run."""
    numpy = open_backend("numpy")
    monkeypatch.setattr(type(numpy), "kernels", {})
    monkeypatch.setattr(numpy, "implementations", {})
    for op in registry.values():
        monkeypatch.setattr(op, "_runs", {})
    return


@pytest.mark.usefixtures("reference_only")
@pytest.mark.parametrize(("op", "rule"), RULES)
def test_a_vjp_that_is_off_by_a_thousandth_is_caught(op: Op[..., Any], rule: Any, monkeypatch: Any) -> None:
    right = rule.function

    def wrong(*arguments: Any, **metadata: Any) -> Any:
        return tree_map(lambda y: y * 1.001 if np.any(y) else y + 0.001, right(*arguments, **metadata))

    monkeypatch.setattr(rule, "function", wrong)
    numpy = open_backend("numpy")
    caught = 0
    for example in op.examples:
        inputs = draw(example, numpy)
        chosen = [
            i
            for i in differentiable_inputs(op, example, inputs)
            if op.inputs[min(i, len(op.inputs) - 1)] in rule.arguments
        ]
        if not chosen:
            continue
        try:
            verify.check_derivatives(
                lambda *xs, example=example, **metadata: example.seen(pb, op(*xs, **metadata)),
                inputs, example.metadata, chosen, order=1,
            )  # fmt: skip
        except AssertionError:
            caught += 1
    assert caught > 0, f"no example of {op.name} notices a wrong {rule.name}"
