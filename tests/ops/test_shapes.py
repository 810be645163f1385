"""Shapes drawn at random: arrays of no axes and of no elements, axes from both ends, several, kept and not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.autodiff.op import Op
from pullback.ops import elementwise

SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
ONE = [op for name in elementwise.__all__ if isinstance(op := getattr(pb, name), Op) and len(op.inputs) == 1]
TWO = [op for name in elementwise.__all__ if isinstance(op := getattr(pb, name), Op) and len(op.inputs) == 2]
DOMAIN = {"acosh": (1.5, 3.0)}
WHOLE = {"logical_not": "bool", "logical_and": "bool", "logical_or": "bool", "logical_xor": "bool"}
REDUCTIONS = ["sum", "prod", "mean", "max", "min", "var", "std"]


def draw(seed: int, shape: tuple[int, ...], op: Op[..., Any]) -> np.ndarray:
    low, high = DOMAIN.get(op.name, (0.2, 0.8))
    x = np.random.default_rng(seed).uniform(low, high, shape)
    if op.name in WHOLE:
        return np.asarray(x > 0.5)
    return np.asarray(x * 10, dtype="int64") if op.name.startswith("bitwise") else np.asarray(x)


@pytest.mark.parametrize("op", ONE, ids=lambda op: op.name)
@given(shape=SHAPES)
@settings(max_examples=12, derandomize=True, deadline=None)
def test_functions_of_one_array_keep_its_shape(op: Op[..., Any], shape: tuple[int, ...]) -> None:
    x = draw(0, shape, op)
    y = op(x)
    assert y.shape == shape
    if op.differentiable and x.dtype.kind == "f" and y.dtype.kind == "f":
        pb.check_grads(op, [x], order=2)


@pytest.mark.parametrize("op", TWO, ids=lambda op: op.name)
@given(shapes=st.tuples(SHAPES, st.data()))
@settings(max_examples=12, derandomize=True, deadline=None)
def test_functions_of_two_arrays_broadcast_them(op: Op[..., Any], shapes: Any) -> None:
    shape, data = shapes
    other = tuple(data.draw(st.sampled_from([n, 1])) for n in shape[data.draw(st.integers(0, len(shape))) :])
    first, second = data.draw(st.permutations([shape, other]))
    a, b = draw(0, first, op), draw(1, second, op)
    assert op(a, b).shape == np.broadcast_shapes(first, second)
    if op.differentiable and a.dtype.kind == "f" and op.name != "remainder":
        pb.check_grads(op, [a, b], order=2)


@pytest.mark.parametrize("name", REDUCTIONS)
@given(data=st.data())
@settings(max_examples=25, derandomize=True, deadline=None)
def test_reductions_take_every_axis(name: str, data: Any) -> None:
    shape = data.draw(st.lists(st.integers(1, 3), max_size=3).map(tuple))
    ndim = len(shape)
    chosen = data.draw(st.lists(st.integers(0, ndim - 1), unique=True, max_size=ndim)) if ndim else []
    signed = tuple(data.draw(st.sampled_from([a, a - ndim])) for a in chosen)
    axis = data.draw(st.sampled_from([None, signed, *signed[:1]]))
    keepdims = data.draw(st.booleans())
    x = np.random.default_rng(0).standard_normal(shape)
    options = {"axis": axis, "keepdims": keepdims}
    reduce = getattr(pb, name)
    np.testing.assert_allclose(reduce(x, **options), getattr(np, name)(x, **options), rtol=1e-12, atol=1e-14)
    if name != "std" or (x.size > 0 and np.all(np.asarray(reduce(x, **options)) > 1e-3)):
        pb.check_grads(lambda x: reduce(x, **options), [x], order=2)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
@pytest.mark.parametrize("name", ["sum", "prod"])
def test_reductions_of_nothing_give_the_neutral_element_and_an_empty_gradient(name: str, shape: Any) -> None:
    for axis in (None, 0, -1):
        x = pb.tensor(np.zeros(shape), requires_grad=True)
        y = getattr(pb, name)(x, axis=axis)
        np.testing.assert_array_equal(y.numpy(), getattr(np, name)(np.zeros(shape), axis=axis))
        y.backward(pb.ones_like(y.detach()))
        assert x.grad.shape == shape
