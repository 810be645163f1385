"""Scattering: what the standard lacks, and the transposes of reading by index need."""

from math import prod
from typing import Any

from ..autodiff.examples import example, normal, values
from ..autodiff.op import op
from ..backends import Array, Namespace

__all__ = ["embed", "scatter_add", "scatter_add_along_axis"]

_REPEATED = values([0, 2, 2, 1, 2], differentiable=False)


@op(examples=[example(normal(2), shape=(4, 3), key=(slice(0, 4, 2), 1))])
def embed(xp: Namespace, x: Array, /, *, shape: tuple[int, ...], key: Any) -> Array:
    """An array of zeros of `shape` in which `[key]` is x: the transpose of reading `[key]`."""
    whole = xp.zeros(shape, dtype=x.dtype, device=x.device)
    places = tuple(k for k in key if k is not None) if isinstance(key, tuple) else key
    whole[places] = xp.reshape(x, whole[places].shape)  # writing knows no new axes
    return whole


embed.vjp("x")(lambda xp, g, *, key: g[key])


@op(
    examples=[
        example(normal(5, 2), _REPEATED, size=4),
        example(normal(2, 5), _REPEATED, size=3, axis=1),
        example(normal(5, dtype="complex128"), _REPEATED, size=3),
    ]
)
def scatter_add(xp: Namespace, updates: Array, indices: Array, /, *, size: int, axis: int = 0) -> Array:
    """Zeros of length `size` along an axis, to which each update is added at its index: the transpose of `take`.

    The standard has no such function. Sorted by index, the updates of one place stand together, and
    their sum is a difference of cumulative sums, taken in double precision.
    """
    indices = xp.astype(indices, xp.int64, copy=False)  # a narrow type may not hold `size`
    indices = xp.where(indices < 0, indices + size, indices)
    order = xp.argsort(indices, stable=True)
    sorted_indices = xp.take(indices, order)
    places = xp.arange(size, dtype=xp.int64, device=indices.device)
    wide = xp.complex128 if xp.isdtype(updates.dtype, "complex floating") else xp.float64
    running = xp.cumulative_sum(xp.take(updates, order, axis=axis), axis=axis, dtype=wide, include_initial=True)
    after = xp.take(running, xp.searchsorted(sorted_indices, places, side="right"), axis=axis)
    before = xp.take(running, xp.searchsorted(sorted_indices, places, side="left"), axis=axis)
    return xp.astype(after - before, updates.dtype)


scatter_add.vjp("updates")(lambda xp, g, indices, *, axis: xp.take(g, indices, axis=axis))


@op(
    examples=[
        example(normal(2, 3), values([[0, 2, 2], [1, 1, 1]], differentiable=False), size=3),
        example(normal(2, 2), values([[0, 1], [0, -1]], differentiable=False), size=4, axis=0),
    ]
)
def scatter_add_along_axis(xp: Namespace, updates: Array, indices: Array, /, *, size: int, axis: int = -1) -> Array:
    """Zeros of length `size` along an axis, to which each update is added at its own index along that axis.

    updates, indices: of one shape. The transpose of `take_along_axis`.
    """
    axis = axis % len(updates.shape)
    order = (*(i for i in range(len(updates.shape)) if i != axis), axis)
    rows, places = xp.permute_dims(updates, order), xp.permute_dims(xp.astype(indices, xp.int64, copy=False), order)
    lead, count = rows.shape[:-1], prod(rows.shape[:-1])
    places = xp.reshape(xp.where(places < 0, places + size, places), (count, updates.shape[axis]))
    first = xp.expand_dims(xp.arange(count, dtype=xp.int64, device=indices.device) * size, axis=1)
    flat = scatter_add(xp.reshape(rows, (-1,)), xp.reshape(places + first, (-1,)), size=count * size, axis=0)
    return xp.permute_dims(xp.reshape(flat, (*lead, size)), tuple(order.index(i) for i in range(len(order))))


scatter_add_along_axis.vjp("updates")(lambda xp, g, indices, *, axis: xp.take_along_axis(g, indices, axis=axis))
