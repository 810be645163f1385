"""The standard's manipulation functions: shapes, axes, joining and parting."""

from collections.abc import Sequence
from math import prod
from typing import Any

from ..autodiff.examples import example, normal, values
from ..autodiff.op import op
from ..backends import Array, Namespace
from .scatter import scatter_add

__all__ = [
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "concat", "expand_dims", "flip", "moveaxis",
    "permute_dims", "repeat", "reshape", "roll", "squeeze", "stack", "tile", "unstack",
]  # fmt: skip


@op(
    examples=[
        example(normal(3, 4), shape=(2, 6)),
        example(normal(2, 3), shape=(-1,)),
        example(normal(), shape=(1, 1)),
        example(normal(0, 3), shape=(3, 0)),
        example(normal(2, 2, dtype="complex128"), shape=(4,), copy=True),
    ]
)
def reshape(xp: Namespace, x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    """The same elements in another shape; one length may be -1, to be found."""
    return xp.reshape(x, shape) if copy is None else xp.reshape(x, shape, copy=copy)


reshape.vjp("x")(lambda xp, g, x_shape: xp.reshape(g, x_shape))


@op(examples=[example(normal(3, 1), shape=(2, 3, 4)), example(normal(), shape=(3,))])
def broadcast_to(xp: Namespace, x: Array, /, shape: tuple[int, ...]) -> Array:
    """The array repeated along axes of length 1, and along new ones in front, to `shape`."""
    return xp.broadcast_to(x, shape)


broadcast_to.vjp("x")(lambda xp, g: g)


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that arrays of these shapes have together, each repeated along its axes of length 1.

    Raises ValueError where two lengths differ and neither is 1.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    ndim = max(map(len, shapes), default=0)
    lengths = [{shape[i - ndim + len(shape)] for shape in shapes if i >= ndim - len(shape)} for i in range(ndim)]
    if any(len(found - {1}) > 1 for found in lengths):
        raise ValueError(f"arrays of the shapes {', '.join(map(str, shapes))} are not broadcast together")
    return tuple(next(iter(found - {1}), 1) for found in lengths)


def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    """The arrays, each broadcast to the shape that all have together."""
    shape = broadcast_shapes(*(tuple(x.shape) for x in arrays))
    return tuple(broadcast_to(x, shape) for x in arrays)


@op(
    examples=[
        example(normal(3, 4), axis=1),
        example(normal(3, 4), axis=-1),
        example(normal(3), axis=(0, 2)),
        example(normal(), axis=0),
    ]
)
def expand_dims(xp: Namespace, x: Array, /, axis: int | tuple[int, ...]) -> Array:
    """The array with new axes of length 1, at `axis` (or at each of them) in the result."""
    if isinstance(axis, int):
        return xp.expand_dims(x, axis=axis)
    ndim = len(x.shape) + len(axis)
    places = {a % ndim if -ndim <= a < ndim else ndim for a in axis}
    if len(places) < len(axis) or ndim in places:
        raise IndexError(f"a result of {ndim} axes has no new axes {axis}: each once, from {-ndim} to {ndim - 1}")
    lengths = iter(x.shape)
    return xp.reshape(x, tuple(1 if i in places else next(lengths) for i in range(ndim)))


expand_dims.vjp("x")(lambda xp, g, x_shape: xp.reshape(g, x_shape))


@op(examples=[example(normal(3, 1, 1), axis=(1, 2)), example(normal(1, 3), axis=0)])
def squeeze(xp: Namespace, x: Array, /, axis: int | tuple[int, ...]) -> Array:
    """The array without axes of length 1."""
    return xp.squeeze(x, axis=axis)


squeeze.vjp("x")(lambda xp, g, x_shape: xp.reshape(g, x_shape))


@op(examples=[example(normal(2, 3, 4), axes=(2, 0, 1)), example(normal(2, 3), axes=(-1, 0))])
def permute_dims(xp: Namespace, x: Array, /, axes: tuple[int, ...]) -> Array:
    """The axes in another order."""
    return xp.permute_dims(x, axes)


@permute_dims.vjp("x")
def _(xp: Namespace, g: Array, *, axes: tuple[int, ...]) -> Array:
    return xp.permute_dims(g, tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes))))


def counted_from_the_front(axis: int, ndim: int) -> int:
    """An axis as a number that is not negative. Raises IndexError where there is no such axis."""
    if not -ndim <= axis < ndim:
        raise IndexError(f"an array of {ndim} axes has no axis {axis}")
    return axis % ndim


def moveaxis(x: Array, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> Array:
    """The axes `source` moved to the places `destination`, the others kept in order."""
    ndim = len(x.shape)
    sources = (source,) if isinstance(source, int) else tuple(source)
    places = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(sources) != len(places) or any(not -ndim <= a < ndim for a in (*sources, *places)):
        raise ValueError(f"an array of {ndim} axes cannot have its axes {source} moved to {destination}")
    fixed = {place % ndim: axis % ndim for axis, place in zip(sources, places, strict=True)}
    others = iter(a for a in range(ndim) if a not in fixed.values())
    if len(fixed) < len(sources) or len(set(fixed.values())) < len(sources):
        raise ValueError(f"an axis is moved once, to a place of its own; got {source} and {destination}")
    return permute_dims(x, tuple(fixed[i] if i in fixed else next(others) for i in range(ndim)))


@op(examples=[example(normal(3, 4)), example(normal(3, 4), axis=0), example(normal(2, 3, 4), axis=(0, -1))])
def flip(xp: Namespace, x: Array, /, *, axis: int | tuple[int, ...] | None = None) -> Array:
    """The elements in reverse order along the axes, or along all."""
    return xp.flip(x, axis=axis)


flip.vjp("x")(lambda xp, g, *, axis: flip(g, axis=axis))


@op(
    examples=[
        example(normal(3, 4), shift=2),
        example(normal(3, 4), shift=-1, axis=0),
        example(normal(3, 4), shift=(1, 2), axis=(0, -1)),
    ]
)
def roll(
    xp: Namespace, x: Array, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None
) -> Array:
    """The elements moved by `shift` places along the axes, those past the end to the front."""
    return xp.roll(x, shift, axis=axis)


@roll.vjp("x")
def _(xp: Namespace, g: Array, *, shift: int | tuple[int, ...], axis: int | tuple[int, ...] | None) -> Array:
    back = -shift if isinstance(shift, int) else tuple(-n for n in shift)
    return roll(g, back, axis=axis)


_TIMES = values([0, 2, 1], differentiable=False)


@op(examples=[example(normal(2, 3), 2, axis=1), example(normal(3, 2), _TIMES, axis=0)])
def _repeat(xp: Namespace, x: Array, repeats: int | Array, /, *, axis: int) -> Array:
    return xp.repeat(x, repeats, axis=axis)


@op(examples=[example(normal(2, 6), 2, axis=1, size=3), example(normal(3, 2), _TIMES, axis=0, size=3)])
def _sum_repeats(xp: Namespace, x: Array, repeats: int | Array, /, *, axis: int, size: int) -> Array:
    """The transpose of `repeat`: what was made of one element is summed."""
    rows = xp.repeat(xp.arange(size, device=x.device), repeats)
    return scatter_add(x, rows, size=size, axis=axis)


_sum_repeats.vjp("x")(lambda xp, g, repeats, *, axis: _repeat(g, repeats, axis=axis))


@_repeat.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], repeats: int | Array, *, axis: int) -> Array:
    return _sum_repeats(g, repeats, axis=axis, size=x_shape[axis])


def repeat(x: Array, repeats: int | Array, /, *, axis: int | None = None) -> Array:
    """Each element so many times in a row, along an axis; with None, of all elements in one row.

    repeats: one integer for all, or an array of as many as there are elements along the axis.
    """
    if axis is None:
        x, axis = x if len(x.shape) == 1 else reshape(x, (-1,)), 0
    return _repeat(x, repeats, axis=axis)


@op(
    examples=[
        example(normal(2, 3), repetitions=(2,)),
        example(normal(3), repetitions=(2, 3)),
        example(normal(2, 3), repetitions=(2, 1)),
    ]
)
def tile(xp: Namespace, x: Array, /, repetitions: tuple[int, ...]) -> Array:
    """The array laid side by side with itself, so many times along each axis."""
    return xp.tile(x, repetitions)


@tile.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, repetitions: tuple[int, ...]) -> Array:
    ndim = max(len(x_shape), len(repetitions))
    counts = (1,) * (ndim - len(repetitions)) + tuple(repetitions)
    lengths = (1,) * (ndim - len(x_shape)) + x_shape
    parted = xp.reshape(g, tuple(n for pair in zip(counts, lengths, strict=True) for n in pair))
    return xp.reshape(xp.sum(parted, axis=tuple(range(0, 2 * ndim, 2))), x_shape)


@op(
    examples=[
        example(normal(2, 3), normal(1, 3)),
        example(normal(2, 3), normal(2, 1), axis=-1),
        example(normal(2)),
    ]
)
def _concat(xp: Namespace, *arrays: Array, axis: int | None = 0) -> Array:
    return xp.concat(list(arrays), axis=axis)


@_concat.vjp("arrays")
def _(xp: Namespace, g: Array, arrays_shape: tuple[tuple[int, ...], ...], *, axis: int | None) -> tuple[Array, ...]:
    pieces, start = [], 0
    for shape in arrays_shape:
        length = shape[axis] if axis is not None else prod(shape)
        key: list[Any] = [slice(None)] * len(g.shape)
        key[axis or 0] = slice(start, start + length)
        pieces.append(xp.reshape(g[tuple(key)], shape))
        start += length
    return tuple(pieces)


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    """The arrays joined along an axis they have; with None, each is made one row first."""
    return _concat(*arrays, axis=axis)


@op(
    examples=[
        example(normal(2, 3), normal(2, 3)),
        example(normal(2), normal(2), normal(2), axis=-1),
        example(normal(), normal()),
    ]
)
def _stack(xp: Namespace, *arrays: Array, axis: int = 0) -> Array:
    return xp.stack(list(arrays), axis=axis)


@_stack.vjp("arrays")
def _(xp: Namespace, g: Array, *, axis: int) -> tuple[Array, ...]:
    return tuple(xp.unstack(g, axis=axis))


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    """The arrays, all of one shape, joined along a new axis."""
    return _stack(*arrays, axis=axis)


@op(examples=[example(normal(3, 2)), example(normal(3, 2), axis=-1), example(normal(3))])
def unstack(xp: Namespace, x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The parts of an array along an axis, without that axis."""
    return tuple(xp.unstack(x, axis=axis))


@unstack.vjp("x")
def _(xp: Namespace, g: tuple[Array, ...], *, axis: int) -> Array:
    return xp.stack(list(g), axis=axis)
