"""Kernels of reading and adding by index."""

from math import prod
from typing import Any

from ..dtypes import is_half
from ..host import host as np
from ..numba_kernels import is_float, is_worthwhile
from ..numba_kernels.scatter import add_each, add_rows
from .table import kernel


@kernel("gather")
def _(x: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    given = iter(arrays)
    return x[tuple([next(given) if isinstance(k, str) else k for k in key])]


@kernel("pick")
def _(x: Any, *indices: Any) -> Any:
    return x[indices]


@kernel("scatter_add")
def _(updates: Any, indices: Any, *, size: int, axis: int = 0) -> Any:
    axis %= updates.ndim
    shape = (*updates.shape[:axis], size, *updates.shape[axis + 1 :])
    outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
    rows, places = updates.reshape(outer, indices.size, inner), _places(indices, size)
    if not updates.size:
        return np.zeros(shape, updates.dtype)
    if inner == 1 and updates.dtype.kind == "f":
        flat = places if outer == 1 else places + np.arange(outer)[:, None] * size
        return _at(rows.reshape(-1), flat.reshape(-1), outer * size).reshape(shape)
    wide = _wide(updates.dtype, indices.size, size)
    if _compiles(updates):
        total = np.zeros((outer, size, inner), wide)
        add_rows(np.ascontiguousarray(rows), np.ascontiguousarray(places), total)
        return total.astype(updates.dtype, copy=False).reshape(shape)
    total = np.zeros((outer, size, inner), updates.dtype)
    order = places.argsort(kind="stable")
    ranked = places[order]
    starts = np.concatenate(([0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1))
    total[:, ranked[starts]] = np.add.reduceat(rows[:, order], starts, axis=1, dtype=wide)
    return total.reshape(shape)


@kernel("scatter_add_along_axis")
def _(updates: Any, indices: Any, *, size: int, axis: int = -1) -> Any:
    axis %= updates.ndim
    shape = (*updates.shape[:axis], size, *updates.shape[axis + 1 :])
    outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
    parted = (outer, updates.shape[axis], inner)
    rows, places = updates.reshape(parted), _places(indices, size).reshape(parted)
    if _compiles(updates):
        total = np.zeros((outer, size, inner), _wide(updates.dtype, parted[1], size))
        add_each(np.ascontiguousarray(rows), np.ascontiguousarray(places), total)
        return total.astype(updates.dtype, copy=False).reshape(shape)
    flat = (places + np.arange(outer)[:, None, None] * size) * inner + np.arange(inner)
    return _at(rows.reshape(-1), flat.reshape(-1), outer * size * inner).reshape(shape)


def _at(updates: Any, places: Any, size: int) -> Any:
    """Elements added at places of one axis; where many come together, in double precision."""
    if is_half(updates.dtype) or (updates.dtype.kind == "f" and updates.size > size):
        return np.bincount(places, updates.astype(np.float64, copy=False), size).astype(updates.dtype, copy=False)
    total = np.zeros(size, updates.dtype)
    np.add.at(total, places, updates)
    return total


def _places(indices: Any, size: int) -> Any:
    """Indices as places that are not negative. Raises IndexError for those outside."""
    places = indices.astype(np.int64, copy=False)
    if not places.size:
        return places
    least = np.minimum.reduce(places, axis=None)
    if least < -size or np.maximum.reduce(places, axis=None) >= size:
        raise IndexError(f"an index is outside an axis of length {size}")
    return np.where(places < 0, places + size, places) if least < 0 else places


def _compiles(updates: Any) -> bool:
    return is_float(updates.dtype) and is_worthwhile(updates.size)


def _wide(dtype: Any, count: int, size: int) -> Any:
    """What is summed in: double precision where more than one element comes to a place on average."""
    floating = dtype.kind == "f" or is_half(dtype)
    return np.dtype(np.float64) if floating and (count > size or dtype.itemsize < 4) else dtype
