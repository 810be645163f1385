"""Kernels of reading by index: rows of a table, parts along an axis, single elements."""

from collections.abc import Sequence
from math import prod
from typing import Any, Final

from ..backend import Array
from .launch import Source, driver
from .rows import contiguous
from .table import kernel

__all__ = ["indices_of"]

_UNITS: Final = {16: "Sixteen", 8: "unsigned long long", 4: "unsigned", 2: "unsigned short", 1: "unsigned char"}
_source = Source("indexing", ("gather_rows", "gather_elements"), list(_UNITS.values()))

_BLOCK: Final = 256


@kernel("embedding", declines=True)
def _(indices: Array, weight: Array) -> Any:
    if weight.ndim != 2:
        return NotImplemented
    return _rows(weight, [indices], indices.shape, 0, wraps=False)


@kernel("take", declines=True)
def _(x: Array, indices: Array, *, axis: int = 0) -> Any:
    if indices.ndim != 1 or not -x.ndim <= axis < x.ndim:
        return NotImplemented
    return _rows(x, [indices], indices.shape, axis % x.ndim)


@kernel("pick", declines=True)
def _(x: Array, *indices: Array) -> Any:
    if not 0 < len(indices) <= min(3, x.ndim) or any(a.shape != indices[0].shape for a in indices):
        return NotImplemented
    return _rows(x, indices, indices[0].shape, 0)


@kernel("take_along_axis", declines=True)
def _(x: Array, indices: Array, *, axis: int = -1) -> Any:
    if x.ndim != indices.ndim or not -x.ndim <= axis < x.ndim or indices.dtype.kind not in "iu":
        return NotImplemented
    axis %= x.ndim
    if (
        not x.size
        or not indices.size
        or any(n != m for k, (n, m) in enumerate(zip(x.shape, indices.shape, strict=True)) if k != axis)
    ):
        return NotImplemented
    x, ((indices,), narrow) = contiguous(x), indices_of(indices)
    y = driver().xp.empty(indices.shape, x.dtype)
    outer, inner = prod(x.shape[:axis]), prod(x.shape[axis + 1 :])
    sizes = outer, indices.shape[axis], x.shape[axis], inner
    blocks = -(-y.size // _BLOCK)
    _source.launch("gather_elements", _UNITS[x.dtype.itemsize], blocks, _BLOCK, x, indices, y, *sizes, narrow)
    return y


def _rows(x: Array, indices: Sequence[Array], shape: tuple[int, ...], axis: int, wraps: bool = True) -> Any:
    """What stands at the indices along an axis, or along as many as there are indices, in an array of their shape."""
    lengths, behind = x.shape[axis : axis + len(indices)], x.shape[axis + len(indices) :]
    y = driver().xp.empty((*x.shape[:axis], *shape, *behind), x.dtype)
    if not x.size or not y.size or any(a.dtype.kind not in "iu" for a in indices):
        return NotImplemented
    x, (given, narrow) = contiguous(x), indices_of(*indices)
    outer, count, row = prod(x.shape[:axis]), prod(shape), prod(behind) * x.dtype.itemsize
    unit = next(n for n in _UNITS if row % n == 0 and all(driver().address(a) % n == 0 for a in (x, y)))
    inner = row // unit
    across = min(inner, _BLOCK)
    along = _BLOCK // across
    arrays = x, *(*given, None, None)[:3], y
    numbers = outer, count, *(*lengths, 1, 1)[:3], inner, narrow, int(wraps)
    _source.launch("gather_rows", _UNITS[unit], -(-outer * count // along), (across, along), *arrays, *numbers)
    return y


def indices_of(*indices: Array) -> tuple[list[Array], int]:
    """Indices as the kernels take them, and 1 where they are int32 instead of int64."""
    narrow = all(a.dtype.name == "int32" for a in indices)
    return [contiguous(a if narrow else a.astype("int64", copy=False)) for a in indices], int(narrow)
