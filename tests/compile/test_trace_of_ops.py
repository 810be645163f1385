"""Every op, and its gradient, as a program: a replay gives what eager execution gives."""

from typing import Any

import numpy as np
import pytest

import pullback as pb
import pullback.optim
from pullback.autodiff import verify
from pullback.autodiff.op import Op, registry
from pullback.autodiff.tree import flatten
from pullback.backends import find_backend_of, is_complex, open_backend
from pullback.compile import trace

CASES = [
    pytest.param(op, example, id=f"{op.name}-{number}")
    for op in registry.values()
    for number, example in enumerate(op.examples)
    if not op.name.startswith("random_")
]
# Memory that nothing was written to; and what a program cannot hold: shapes that depend on values.
BEYOND = {"empty_like": "not the same twice", "to_device": "moves nothing while tracing"}


@pytest.mark.on_numpy
@pytest.mark.parametrize(("op", "example"), CASES)
def test_a_replay_is_eager_execution(op: Op[..., Any], example: Any) -> None:
    if op.name in BEYOND:
        pytest.skip(BEYOND[op.name])
    inputs = verify.place(example.draw(), open_backend("numpy"))
    chosen = verify.inputs_with_gradients(op, inputs) if op.differentiable else []

    def value_and_slopes(*arrays: Any) -> Any:
        full = list(inputs)
        for i, x in zip(places, arrays, strict=True):
            full[i] = x
        if not chosen:
            return op(*full, **example.metadata)

        def of_chosen(*xs: Any) -> Any:
            for i, x in zip(chosen, xs, strict=True):
                full[i] = x
            return op(*full, **example.metadata)

        y, pull = pb.vjp(of_chosen, *(full[i] for i in chosen))
        return [*flatten(y)[0], *pull(pb.tree_map(lambda a: pb.ones_like(a), y))]

    places = [i for i, x in enumerate(inputs) if find_backend_of(x)]
    given = [pb.Tensor(inputs[i]) for i in places]
    program = trace(value_and_slopes, *given)
    for got, expected in zip(flatten(program(*given))[0], flatten(value_and_slopes(*given))[0], strict=True):
        # NumPy's products of complex scalars and of complex arrays differ in the last place.
        tolerance = 1e-15 if is_complex(expected.dtype) else 0
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=tolerance, atol=tolerance)
