"""Kernels of adding by index: the same sum to the bit each time, since nothing is added in passing."""

from math import prod
from typing import Any, Final

from ..backend import Array
from .indexing import indices_of
from .launch import FLOATING, Source, driver, type_of
from .rows import contiguous
from .table import kernel

_TYPES: Final = {name: f"{name}, double" for name in FLOATING} | {
    name: f"{name}, long long" for name in ("int", "long long")
}
_source = Source("scatter", ("mark", "add_stretches", "join_stretches"), list(_TYPES.values()))

_BLOCK: Final = 256
_STRETCH: Final = 32
"""How many updates are added up one after another, as `stretch` in scatter.cu."""


@kernel("scatter_add", declines=True)
def _(updates: Array, indices: Array, *, size: int, axis: int = 0) -> Any:
    if indices.ndim != 1 or not -updates.ndim <= axis < updates.ndim or updates.shape[axis] != indices.shape[0]:
        return NotImplemented
    axis %= updates.ndim
    shape = (*updates.shape[:axis], size, *updates.shape[axis + 1 :])
    outer, columns = prod(shape[:axis]), prod(shape[axis + 1 :])
    return _scatter(updates, indices, shape, (1, indices.size, size, 1), outer, columns)


@kernel("scatter_add_along_axis", declines=True)
def _(updates: Array, indices: Array, *, size: int, axis: int = -1) -> Any:
    if not -updates.ndim <= axis < updates.ndim or updates.shape != indices.shape:
        return NotImplemented
    axis %= updates.ndim
    shape = (*updates.shape[:axis], size, *updates.shape[axis + 1 :])
    lengths = prod(shape[:axis]), updates.shape[axis], size, prod(shape[axis + 1 :])
    return _scatter(updates, indices, shape, lengths, 1, 1)


@kernel("embedding.vjp(weight)", declines=True)
def _(g: Array, indices: Array, weight_shape: tuple[int, int]) -> Any:
    return _scatter(g, indices, weight_shape, (1, indices.size, weight_shape[0], 1), 1, weight_shape[1])


def _scatter(
    updates: Array,
    indices: Array,
    shape: tuple[int, ...],
    lengths: tuple[int, int, int, int],
    outer: int,
    columns: int,
) -> Any:
    """Updates (outer, indices, columns) added at their indices, whatever the shapes are written as.

    lengths: those before the axis of the indices, of that axis there and in the result, and behind it.
    """
    types = _TYPES.get(type_of(updates.dtype))
    if types is None or not updates.size or indices.dtype.kind not in "iu":
        return NotImplemented
    xp, updates, ((indices,), narrow) = driver().xp, contiguous(updates), indices_of(indices)
    y = xp.zeros(shape, updates.dtype)
    if not y.size:
        return y
    count, places = indices.size, lengths[0] * lengths[2] * lengths[3]
    bits = max(1, (count - 1).bit_length())
    is_narrow = (places + 1) << bits <= 1 << 31
    keys = xp.empty((count,), xp.int32 if is_narrow else xp.int64)
    _source.launch("mark", types, -(-count // _BLOCK), _BLOCK, indices, keys, *lengths, bits, narrow, int(is_narrow))
    keys.sort()
    stretches = -(-count // _STRETCH)
    across = min(columns, _BLOCK)
    along = _BLOCK // across
    blocks = outer * -(-columns // across) * -(-stretches // along)
    kind = xp.int64 if types.endswith("long long") else xp.float64
    firsts, lasts = (xp.empty((outer, stretches, columns), kind) for _ in range(2))
    numbers = outer, count, places, columns, bits, int(is_narrow)
    _source.launch("add_stretches", types, blocks, (across, along), keys, updates, y, firsts, lasts, *numbers)
    if stretches > 1:
        _source.launch("join_stretches", types, blocks, (across, along), keys, y, firsts, lasts, *numbers)
    return y
