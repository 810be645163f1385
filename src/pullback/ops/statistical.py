"""The standard's statistical functions: reductions over one axis, several, or all, and running sums and products."""

from collections.abc import Iterable
from math import prod as product
from typing import Any, TypeAlias

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, normal, uniform, values
from ..autodiff.op import op
from ..backends import Array, Namespace, dtype_in, is_complex
from .manipulation import flip, moveaxis, reshape
from .precision import in_float32

__all__ = ["cumulative_prod", "cumulative_sum", "max", "mean", "min", "prod", "std", "sum", "var"]

Axis: TypeAlias = int | tuple[int, ...] | None

_REDUCTIONS = [
    example(normal(3, 4)),
    example(normal(2, 3, 4), axis=-2),
    example(normal(2, 3, 4), axis=(0, 2), keepdims=True),
    example(normal(3, 4), axis=0, keepdims=True),
    example(normal()),
]


def kept(xp: Namespace, g: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """A reduction's gradient with the reduced axes put back, of length 1."""
    if keepdims or not shape:
        return g
    reduced = {a % len(shape) for a in axes_of(shape, axis)}
    return xp.reshape(g, tuple(1 if i in reduced else n for i, n in enumerate(shape)))


def _count(shape: tuple[int, ...], axis: Axis) -> int:
    return product(shape[a] for a in axes_of(shape, axis))


def axes_of(shape: tuple[int, ...], axis: Axis) -> Iterable[int]:
    return range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)


def _like(xp: Namespace, x: Array, g: Array) -> Array:
    """An input in the dtype of the result, which was computed in that one."""
    return x if x.dtype == g.dtype else xp.astype(x, g.dtype)


_COMPLEX = [example(normal(3, 4, dtype="complex128"), axis=-1), example(normal(2, dtype="complex128"))]


@autocasts_to("float32")
@op(examples=[*_REDUCTIONS, *_COMPLEX, example(normal(0, 3), axis=0), example(normal(3), dtype="float64")])
def sum(xp: Namespace, x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """Sum over the axes, in `dtype`: by default that of x, and at least int64 for integers and truth values."""
    return xp.sum(x, axis=axis, dtype=dtype_in(xp, dtype), keepdims=keepdims)


@sum.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, axis: Axis, keepdims: bool) -> Array:
    return xp.broadcast_to(kept(xp, g, x_shape, axis, keepdims), x_shape)


_WITH_ZEROS = [
    example(values([[0.0, 2.0, 3.0], [0.0, 0.5, 0.0], [1.0, -2.0, 4.0]]), axis=1),
    example(values([[0.0, 2.0], [3.0, 0.5]])),
]


@autocasts_to("float32")
@op(examples=[*_REDUCTIONS, *_COMPLEX, *_WITH_ZEROS, example(normal(0, 3), axis=0)])
def prod(xp: Namespace, x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """Product over the axes, in `dtype` as for `sum`."""
    return xp.prod(x, axis=axis, dtype=dtype_in(xp, dtype), keepdims=keepdims)


@prod.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, axis: Axis, keepdims: bool) -> Array:
    """Each element's derivative is the product of all others: those before it times those behind it.

    Nothing is divided by the element, so it may be zero.
    """
    if not len(x.shape):
        return g
    x = _like(xp, x, g)
    reduced = sorted(a % len(x.shape) for a in axes_of(x.shape, axis))
    last = tuple(range(-len(reduced), 0))
    rows = moveaxis(x, tuple(reduced), last)
    flat = reshape(rows, (*rows.shape[: len(rows.shape) - len(reduced)], -1 if product(rows.shape) else 0))
    before = cumulative_prod(flat, axis=-1, include_initial=True)[..., :-1]
    behind = flip(cumulative_prod(flip(flat, axis=-1), axis=-1, include_initial=True)[..., :-1], axis=-1)
    others = moveaxis(reshape(before * behind, rows.shape), last, tuple(reduced))
    return kept(xp, g, x.shape, axis, keepdims) * others


@autocasts_to("float32")
@op(examples=[*_REDUCTIONS, *_COMPLEX])
def mean(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Arithmetic mean over the axes."""
    return xp.mean(x, axis=axis, keepdims=keepdims)


@mean.vjp("x")
@in_float32
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, axis: Axis, keepdims: bool) -> Array:
    return xp.broadcast_to(kept(xp, g / _count(x_shape, axis), x_shape, axis, keepdims), x_shape)


@autocasts_to("float32")
@op(examples=[*_REDUCTIONS[:-1], example(normal(4, 3), axis=0, correction=1.0), _COMPLEX[0]])
@in_float32
def var(xp: Namespace, x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Variance over the axes: squared deviations, summed, over the count less `correction`.

    Of complex numbers it is that of both parts together, a real number.
    """
    deviation = x - xp.mean(x, axis=axis, keepdims=True)
    squared = xp.real(deviation * xp.conj(deviation)) if is_complex(x.dtype) else xp.square(deviation)
    return xp.sum(squared, axis=axis, keepdims=keepdims) / _freedom(x.shape, axis, correction)


def _freedom(shape: tuple[int, ...], axis: Axis, correction: float) -> float:
    count = _count(shape, axis) - correction
    return count if count > 0 else 0.0


@autocasts_to("float32")
@op(examples=[example(uniform(3, 4), axis=0), example(uniform(3, 4), correction=1.0), _COMPLEX[0]])
@in_float32
def std(xp: Namespace, x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Standard deviation over the axes: the square root of `var`. Its derivative at 0 is taken as 0."""
    return xp.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


@std.vjp("x")
@in_float32
def _(xp: Namespace, g: Array, x: Array, y: Array, *, axis: Axis, correction: float, keepdims: bool) -> Array:
    deviation = x - xp.mean(x, axis=axis, keepdims=True)
    if is_complex(x.dtype):
        deviation = xp.conj(deviation)
    share = g / (xp.where(y == 0, xp.ones_like(y), y) * _freedom(x.shape, axis, correction))
    return kept(xp, share, x.shape, axis, keepdims) * deviation


@op(examples=_REDUCTIONS)
def max(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The greatest element over the axes. Elements that tie for it share its gradient equally."""
    return xp.max(x, axis=axis, keepdims=keepdims)


@op(examples=_REDUCTIONS)
def min(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The least element over the axes. Elements that tie for it share its gradient equally."""
    return xp.min(x, axis=axis, keepdims=keepdims)


def _share(xp: Namespace, g: Array, x: Array, y: Array, *, axis: Axis, keepdims: bool) -> Array:
    chosen = xp.astype(x == kept(xp, y, x.shape, axis, keepdims), g.dtype)
    return kept(xp, g, x.shape, axis, keepdims) * chosen / xp.sum(chosen, axis=axis, keepdims=True)


max.vjp("x")(_share)
min.vjp("x")(_share)


_RUNNING = [
    example(normal(4)),
    example(normal(3, 4), axis=0),
    example(normal(3, 4), axis=-1, include_initial=True),
    example(normal(2, 3, dtype="complex128"), axis=1),
    example(normal(0, 2), axis=0),
    example(normal(2, 1), axis=1),
]


@autocasts_to("float32")
@op(examples=_RUNNING)
def cumulative_sum(
    xp: Namespace, x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """The sums of the first elements along an axis: of one, of two, and so on.

    axis: may be left out for an array of one axis. include_initial: begin with the sum of none, which is 0.
    """
    return xp.cumulative_sum(x, axis=axis, dtype=dtype_in(xp, dtype), include_initial=include_initial)


@cumulative_sum.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, axis: int | None, include_initial: bool) -> Array:
    axis = axis or 0
    if include_initial:
        g = _behind(g, 1, axis)
    return flip(cumulative_sum(flip(g, axis=axis), axis=axis), axis=axis)


@autocasts_to("float32")
@op(examples=[*_RUNNING, example(values([2.0, 0.0, 3.0, 0.0, 5.0])), *(e for e in _WITH_ZEROS if e.metadata)])
def cumulative_prod(
    xp: Namespace, x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """The products of the first elements along an axis: of one, of two, and so on; see `cumulative_sum`."""
    return xp.cumulative_prod(x, axis=axis, dtype=dtype_in(xp, dtype), include_initial=include_initial)


@cumulative_prod.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, axis: int | None, include_initial: bool) -> Array:
    """Element i reaches output k by all factors up to k but itself: those before i, times those between i and k.

    With r[i] = g[i] + x[i + 1] * r[i + 1] the gradient is before[i] * r[i], and nothing is divided by. The
    recurrence is solved in logarithmically many steps, each of which joins stretches of twice the length
    (Kogge and Stone, 1973).
    """
    x = _like(xp, x, g)
    axis = (axis or 0) % len(x.shape)
    length = x.shape[axis]
    if include_initial:
        g = _behind(g, 1, axis)
    before = _first(cumulative_prod(x, axis=axis, include_initial=True), length, axis)
    ratio, total, step = _shifted(xp, x, 1, axis), g, 1
    while step < length:
        total = total + ratio * _shifted(xp, total, step, axis)
        ratio = ratio * _shifted(xp, ratio, step, axis)
        step *= 2
    return before * total


def _first(x: Array, count: int, axis: int) -> Array:
    return x[(*[slice(None)] * axis, slice(None, count if count < x.shape[axis] else None), ...)]


def _behind(x: Array, count: int, axis: int) -> Array:
    axis = axis % len(x.shape)
    return x[(*[slice(None)] * axis, slice(count if count < x.shape[axis] else x.shape[axis], None), ...)]


def _shifted(xp: Namespace, x: Array, count: int, axis: int) -> Array:
    """x moved towards the front by `count` places, with zeros behind it."""
    zeros = xp.zeros_like(_first(x, count, axis))
    return xp.concat([_behind(x, count, axis), zeros], axis=axis)
