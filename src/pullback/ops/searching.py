"""The standard's searching functions."""

from typing import Any

from ..autodiff.examples import boolean, example, integers, normal, values
from ..autodiff.op import op
from ..backends import Array, Namespace, array_beside
from .statistical import Axis

__all__ = ["argmax", "argmin", "count_nonzero", "nonzero", "searchsorted", "where"]


@op(
    examples=[
        example(boolean(3, 4), normal(3, 4), normal(4)),
        example(boolean(3), normal(3), 0.0),
        example(boolean(2, 1), normal(), normal(3, dtype="complex128")),
    ]
)
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


@op(
    differentiable=False,
    examples=[example(integers(3, 4, high=2)), example(normal(3, 4), axis=(0, 1)), example(boolean(3), keepdims=True)],
)
def count_nonzero(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements over the axes are not zero."""
    return xp.count_nonzero(x, axis=axis, keepdims=keepdims)


@op(differentiable=False, examples=[example(integers(3, 4, high=2)), example(boolean(5))])
def nonzero(xp: Namespace, x: Array, /) -> tuple[Array, ...]:
    """The places of the elements that are not zero: for each axis, an array of indices."""
    return tuple(xp.nonzero(x))


_ASCENDING = values([-1.0, 0.0, 0.5, 2.0])


@op(
    differentiable=False,
    examples=[
        example(_ASCENDING, normal(3)),
        example(_ASCENDING, values([0.0, 0.5]), side="right"),
        example(values([2.0, 0.0, 1.0]), normal(2, 3), values([1, 2, 0])),
    ],
)
def _searchsorted(xp: Namespace, x1: Array, x2: Array, sorter: Array | None = None, /, *, side: str = "left") -> Array:
    sought = x2 if hasattr(x2, "shape") else array_beside(x1, x2, x1.dtype)
    return xp.searchsorted(x1, sought, side=side, sorter=sorter)


def searchsorted(x1: Array, x2: Array, /, *, side: str = "left", sorter: Array | None = None) -> Array:
    """Where each element of x2 would be put into x1 to keep it in ascending order.

    side: `"left"` of what equals it, or `"right"`. sorter: the places of x1's elements in ascending order, where
        x1 itself is in none.
    """
    return _searchsorted(x1, x2, sorter, side=side)
