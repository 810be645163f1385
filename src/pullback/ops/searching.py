"""The standard's searching functions."""

from typing import Any

from ..autodiff.examples import boolean, example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace

__all__ = ["argmax", "argmin", "where"]


@op(examples=[example(boolean(3, 4), normal(3, 4), normal(4)), example(boolean(3), normal(3), 0.0)])
def where(xp: Namespace, condition: Array, x1: Array, x2: Array, /) -> Array:
    """x1 where the condition holds, x2 elsewhere.

    The branch that is not taken gets a gradient of 0; when its own value is infinite or NaN there, make
    its argument safe first: `where(x > 0, sqrt(where(x > 0, x, 1)), 0)`.
    """
    return xp.where(condition, x1, x2)


where.vjp("x1")(lambda xp, g, condition: xp.where(condition, g, xp.zeros_like(g)))
where.vjp("x2")(lambda xp, g, condition: xp.where(condition, xp.zeros_like(g), g))


@op(differentiable=False, examples=[example(normal(3, 4)), example(normal(3, 4), axis=1, keepdims=True)])
def argmax(xp: Namespace, x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Where the greatest element is; the first of those that tie."""
    return xp.argmax(x, axis=axis, keepdims=keepdims)


@op(differentiable=False, examples=[example(normal(3, 4)), example(normal(3, 4), axis=1, keepdims=True)])
def argmin(xp: Namespace, x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Where the least element is; the first of those that tie."""
    return xp.argmin(x, axis=axis, keepdims=keepdims)
