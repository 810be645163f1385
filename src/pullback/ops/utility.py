"""The standard's utility functions."""

from typing import TypeAlias

from ..autodiff.examples import boolean, example
from ..autodiff.op import op
from ..backends import Array, Namespace

__all__ = ["all", "any"]

Axis: TypeAlias = int | tuple[int, ...] | None


@op(differentiable=False, examples=[example(boolean(3, 4)), example(boolean(3, 4), axis=1, keepdims=True)])
def all(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every element over the axes is true."""
    return xp.all(x, axis=axis, keepdims=keepdims)


@op(differentiable=False, examples=[example(boolean(3, 4)), example(boolean(3, 4), axis=1, keepdims=True)])
def any(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether an element over the axes is true."""
    return xp.any(x, axis=axis, keepdims=keepdims)
