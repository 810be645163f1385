"""Every op under vmap, against a loop: forward and gradient, with all inputs mapped and with some shared."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import pullback as pb
import pullback.optim
from pullback.autodiff import verify
from pullback.autodiff.op import Op, registry
from pullback.autodiff.tree import flatten
from pullback.backends import Backend, backend_of

ACROSS = {"anywhere"}
"""What is of all of the batch on purpose."""
REFUSED = {
    **dict.fromkeys(("nonzero", "unique_all", "unique_values", "select"), "depends on values"),
    **dict.fromkeys(("random_bits", "random_uniform", "random_normal"), "random numbers"),
}
CASES = [
    pytest.param(op, example, id=f"{op.name}-{number}")
    for op in registry.values()
    if op.name not in ACROSS
    for number, example in enumerate(op.examples)
]
BY_MASKS = "depends on values"
BATCH = 3


def is_mask(example: Any) -> bool:
    return any(x.dtype == bool for x in example.draw() if isinstance(x, np.ndarray))


def batches(example: Any, place: Backend) -> list[list[Any]]:
    """The example drawn three times, as arrays of the backend."""
    return [verify.place(example.draw(seed), place) for seed in range(BATCH)]


def stacked(place: Backend, drawn: list[list[Any]], axes: tuple[int | None, ...]) -> list[Any]:
    return [
        drawn[0][i] if axis is None else place.namespace.stack([inputs[i] for inputs in drawn])
        for i, axis in enumerate(axes)
    ]


def all_choices(op: Op[..., Any], example: Any) -> list[tuple[int | None, ...]]:
    """Each way to map over some of the arrays and share the others."""
    inputs = example.draw()
    names = [op.inputs[min(i, len(op.inputs) - 1)] for i in range(len(inputs))]
    ways = [
        (0, None) if hasattr(x, "shape") and name != "repeats" else (None,)
        for x, name in zip(inputs, names, strict=True)
    ]
    return [axes for axes in product(*ways) if any(axis == 0 for axis in axes)]


def host(y: Any) -> list[np.ndarray]:
    return [np.asarray(backend_of(a).to_host(a)) for a in flatten(y)[0]]


@pytest.mark.parametrize(("op", "example"), CASES)
def test_forward_is_that_of_a_loop(op: Op[..., Any], example: Any, place: Backend) -> None:
    drawn = batches(example, place)
    for axes in all_choices(op, example):
        mapped = pb.vmap(lambda *xs: op(*xs, **example.metadata), in_axes=axes)
        inputs = stacked(place, drawn, axes)
        refused = REFUSED.get(op.name) or (BY_MASKS if op.name == "gather" and is_mask(example) else "")
        if refused:
            with pytest.raises(TypeError, match=refused):
                mapped(*inputs)
            continue
        got = host(mapped(*inputs))
        each = [
            host(
                op(
                    *(x if axis == 0 else drawn[0][i] for i, (x, axis) in enumerate(zip(one, axes, strict=True))),
                    **example.metadata,
                )
            )
            for one in drawn
        ]
        for number, y in enumerate(got):
            np.testing.assert_allclose(y, np.stack([one[number] for one in each]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("op", "example"), [case for case in CASES if case.values[0].differentiable])
def test_gradients_are_those_of_a_loop(op: Op[..., Any], example: Any, place: Backend) -> None:
    if op.name in REFUSED or (op.name == "gather" and is_mask(example)):
        pytest.skip("refused")
    drawn = batches(example, place)
    chosen = verify.inputs_with_gradients(op, drawn[0])
    if not chosen:
        pytest.skip("no floating input in this example")

    def slopes(*inputs: Any) -> Any:
        def of_chosen(*xs: Any) -> Any:
            full = list(inputs)
            for i, x in zip(chosen, xs, strict=True):
                full[i] = x
            return op(*full, **example.metadata)

        y, pull = pb.vjp(of_chosen, *(inputs[i] for i in chosen))
        return pull(pb.tree_map(pb.ones_like, y))

    for axes in all_choices(op, example):
        got = host(pb.vmap(slopes, in_axes=axes)(*stacked(place, drawn, axes)))
        each = [
            host(slopes(*(x if axis == 0 else drawn[0][i] for i, (x, axis) in enumerate(zip(one, axes, strict=True)))))
            for one in drawn
        ]
        for number, y in enumerate(got):
            np.testing.assert_allclose(y, np.stack([one[number] for one in each]), rtol=1e-9, atol=1e-9)
