"""The standard's sorting functions."""

from ..autodiff.examples import example, normal, values
from ..autodiff.op import op
from ..backends import Array, Namespace
from .indexing import take_along_axis

__all__ = ["argsort", "sort"]

_DISTINCT = [example(normal(3, 4)), example(normal(3, 4), axis=0, descending=True), example(normal(0))]
_TIES = [
    example(values([2.0, 1.0, 2.0, 0.0, 1.0])),
    example(values([2.0, 1.0, 2.0, 0.0, 1.0]), descending=True),
]


@op(differentiable=False, examples=_DISTINCT + _TIES)
def argsort(xp: Namespace, x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The places of the elements in ascending (or descending) order along an axis."""
    return xp.argsort(x, axis=axis, descending=descending, stable=stable)


@op(examples=_DISTINCT)
def sort(xp: Namespace, x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The elements in ascending (or descending) order along an axis.

    Each gradient goes to the element that came to stand there; equal ones keep their order.
    """
    return xp.sort(x, axis=axis, descending=descending, stable=stable)


@sort.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, axis: int, descending: bool) -> Array:
    order = xp.argsort(x, axis=axis, descending=descending, stable=True)
    return take_along_axis(g, xp.argsort(order, axis=axis), axis=axis)
