"""The standard's statistical functions: reductions over one axis, several, or all."""

from collections.abc import Iterable
from math import prod
from typing import TypeAlias

from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace

__all__ = ["max", "mean", "min", "std", "sum", "var"]

Axis: TypeAlias = int | tuple[int, ...] | None

_REDUCTIONS = [
    example(normal(3, 4)),
    example(normal(2, 3, 4), axis=-2),
    example(normal(2, 3, 4), axis=(0, 2), keepdims=True),
    example(normal(3, 4), axis=0, keepdims=True),
    example(normal()),
]


def _keep(xp: Namespace, g: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """A reduction's gradient with the reduced axes put back, of length 1."""
    if keepdims or not shape:
        return g
    reduced = {a % len(shape) for a in _axes(shape, axis)}
    return xp.reshape(g, tuple(1 if i in reduced else n for i, n in enumerate(shape)))


def _count(shape: tuple[int, ...], axis: Axis) -> int:
    return prod(shape[a] for a in _axes(shape, axis))


def _axes(shape: tuple[int, ...], axis: Axis) -> Iterable[int]:
    return range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)


@op(examples=[*_REDUCTIONS, example(normal(0, 3), axis=0)])
def sum(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over the axes."""
    return xp.sum(x, axis=axis, keepdims=keepdims)


@sum.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, axis: Axis, keepdims: bool) -> Array:
    return xp.broadcast_to(_keep(xp, g, x_shape, axis, keepdims), x_shape)


@op(examples=_REDUCTIONS)
def mean(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Arithmetic mean over the axes."""
    return xp.mean(x, axis=axis, keepdims=keepdims)


@mean.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, axis: Axis, keepdims: bool) -> Array:
    return xp.broadcast_to(_keep(xp, g / _count(x_shape, axis), x_shape, axis, keepdims), x_shape)


@op(examples=[*_REDUCTIONS[:-1], example(normal(4, 3), axis=0, correction=1.0)])
def var(xp: Namespace, x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Variance over the axes: squared deviations, summed, over the count less `correction`."""
    deviation = x - xp.mean(x, axis=axis, keepdims=True)
    return xp.sum(xp.square(deviation), axis=axis, keepdims=keepdims) / (_count(x.shape, axis) - correction)


@op(examples=[example(uniform(3, 4), axis=0), example(uniform(3, 4), correction=1.0)])
def std(xp: Namespace, x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Standard deviation over the axes: the square root of `var`."""
    return xp.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


@op(examples=_REDUCTIONS)
def max(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The greatest element over the axes. Elements that tie for it share its gradient equally."""
    return xp.max(x, axis=axis, keepdims=keepdims)


@op(examples=_REDUCTIONS)
def min(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The least element over the axes. Elements that tie for it share its gradient equally."""
    return xp.min(x, axis=axis, keepdims=keepdims)


def _share(xp: Namespace, g: Array, x: Array, y: Array, *, axis: Axis, keepdims: bool) -> Array:
    chosen = xp.astype(x == _keep(xp, y, x.shape, axis, keepdims), g.dtype)
    return _keep(xp, g, x.shape, axis, keepdims) * chosen / xp.sum(chosen, axis=axis, keepdims=True)


max.vjp("x")(_share)
min.vjp("x")(_share)
