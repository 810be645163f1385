"""The standard's manipulation functions: shapes, axes, joining and parting."""

from collections.abc import Sequence
from math import prod
from typing import Any

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace

__all__ = [
    "broadcast_to", "concat", "expand_dims", "permute_dims", "reshape", "squeeze", "stack", "unstack",
]  # fmt: skip


@op(
    examples=[
        example(normal(3, 4), shape=(2, 6)),
        example(normal(2, 3), shape=(-1,)),
        example(normal(), shape=(1, 1)),
    ]
)
def reshape(xp: Namespace, x: Array, /, shape: tuple[int, ...]) -> Array:
    """The same elements in another shape; one length may be -1, to be found."""
    return xp.reshape(x, shape)


reshape.vjp("x")(lambda xp, g, x_shape: xp.reshape(g, x_shape))


@op(examples=[example(normal(3, 1), shape=(2, 3, 4)), example(normal(), shape=(3,))])
def broadcast_to(xp: Namespace, x: Array, /, shape: tuple[int, ...]) -> Array:
    """The array repeated along axes of length 1, and along new ones in front, to `shape`."""
    return xp.broadcast_to(x, shape)


broadcast_to.vjp("x")(lambda xp, g: g)


@op(examples=[example(normal(3, 4), axis=1), example(normal(3, 4), axis=-1)])
def expand_dims(xp: Namespace, x: Array, /, *, axis: int = 0) -> Array:
    """The array with a new axis of length 1."""
    return xp.expand_dims(x, axis=axis)


expand_dims.vjp("x")(lambda xp, g, x_shape: xp.reshape(g, x_shape))


@op(examples=[example(normal(3, 1, 1), axis=(1, 2)), example(normal(1, 3), axis=0)])
def squeeze(xp: Namespace, x: Array, /, axis: int | tuple[int, ...]) -> Array:
    """The array without axes of length 1."""
    return xp.squeeze(x, axis=axis)


squeeze.vjp("x")(lambda xp, g, x_shape: xp.reshape(g, x_shape))


@op(examples=[example(normal(2, 3, 4), axes=(2, 0, 1))])
def permute_dims(xp: Namespace, x: Array, /, axes: tuple[int, ...]) -> Array:
    """The axes in another order."""
    return xp.permute_dims(x, axes)


@permute_dims.vjp("x")
def _(xp: Namespace, g: Array, *, axes: tuple[int, ...]) -> Array:
    return xp.permute_dims(g, tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes))))


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
