"""Every op under vmap, against a loop: forward and gradient, with all inputs mapped and with some shared."""

from typing import Any

import numpy as np
import pytest

import pullback as pb
import pullback.optim
from pullback.autodiff import verify
from pullback.autodiff.op import Op, registry
from pullback.backends import Backend

ACROSS = {"anywhere"}
"""What is of all of the batch on purpose."""
REFUSED = {
    **dict.fromkeys(("nonzero", "unique_all", "unique_values", "select"), "depends on values"),
    **dict.fromkeys((name for name in registry if name.startswith("random_")), "random numbers"),
}
CASES = [
    pytest.param(op, example, id=f"{op.name}-{number}")
    for op in registry.values()
    if op.name not in ACROSS
    for number, example in enumerate(op.examples)
]
BY_MASKS = "depends on values"
BATCH = 3
SHARED = ("repeats",)
"""What is the same for all of a batch, as shapes depend on it."""


def is_mask(example: Any) -> bool:
    return any(x.dtype == bool for x in example.draw() if isinstance(x, np.ndarray))


def batches(example: Any, place: Backend) -> list[list[Any]]:
    """The example drawn three times, as arrays of the backend."""
    return [verify.place(example.draw(seed), place) for seed in range(BATCH)]


@pytest.mark.parametrize(("op", "example"), CASES)
def test_forward_is_that_of_a_loop(op: Op[..., Any], example: Any, place: Backend) -> None:
    drawn = batches(example, place)
    refused = REFUSED.get(op.name) or (BY_MASKS if op.name == "gather" and is_mask(example) else "")
    if not refused:
        verify.check_vmap(op, drawn, example.metadata, [], tolerance=1e-12, shared=SHARED)
        return
    for axes, inputs in verify.mapped(op, drawn, SHARED):
        with pytest.raises(TypeError, match=refused):
            pb.vmap(lambda *xs: op(*xs, **example.metadata), in_axes=axes)(*inputs)


@pytest.mark.parametrize(("op", "example"), [case for case in CASES if case.values[0].differentiable])
def test_gradients_are_those_of_a_loop(op: Op[..., Any], example: Any, place: Backend) -> None:
    if op.name in REFUSED or (op.name == "gather" and is_mask(example)):
        pytest.skip("refused")
    drawn = batches(example, place)
    chosen = verify.inputs_with_gradients(op, drawn[0])
    if not chosen:
        pytest.skip("no floating input in this example")
    verify.check_vmap(op, drawn, example.metadata, chosen, shared=SHARED)
