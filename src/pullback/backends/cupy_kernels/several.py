"""Kernels of what is done to all gradients at once: the sum of their squares, and scaling them."""

from collections.abc import Sequence
from typing import Any, Final

from ..backend import Array
from ..flat_layout import places_of
from ..host import host
from .factors import wide_dtype
from .launch import FLOATING, Source, driver, type_of
from .parts import ALIGNED, table_of
from .rows import contiguous, is_floating
from .table import kernel

_THREADS: Final = 256
_MOST_THREADS: Final = 1024

_source = Source("several", ["sums_of_parts", "sum_of_parts", "scale_parts"], FLOATING)


@kernel("sum_of_squares", declines=True)
def _(*arrays: Array) -> Any:
    if not is_floating(*arrays) or not any(x.size for x in arrays):
        return NotImplemented
    total = driver().xp.empty((), wide_dtype(arrays[0]))
    _sum(arrays, False, total, None)
    return total


@kernel("all_finite", declines=True)
def _(*arrays: Array) -> Any:
    if not is_floating(*arrays) or not any(x.size for x in arrays):
        return NotImplemented
    finite = driver().xp.empty((), host.bool_)
    _sum(arrays, True, None, finite)
    return finite


def _sum(arrays: Sequence[Array], zeros: bool, total: Array | None, is_zero: Array | None) -> None:
    """The sum of the squares of all elements, or of as many zeros; whether that is zero."""
    types = type_of(arrays[0].dtype)
    given = list(map(contiguous, arrays))
    table = table_of(given)
    sums = driver().xp.empty((table.shape[0],), host.float64)
    _source.launch("sums_of_parts", types, table.shape[0], _THREADS, table, sums, int(zeros))
    _source.launch("sum_of_parts", types, 1, _MOST_THREADS, sums, sums.size, total, is_zero)


@kernel("scale_all", declines=True)
def _(factor: Any, *arrays: Array) -> Any:
    is_number = isinstance(factor, (int, float))
    if not is_floating(*arrays) or not (is_number or factor.shape == ()):
        return NotImplemented
    xp, dtype = driver().xp, arrays[0].dtype
    given = list(map(contiguous, arrays))
    *places, length = places_of([x.size for x in given], ALIGNED)
    result = xp.empty((length,), dtype)
    if result.size:
        table = table_of(given)
        by = (None, float(factor)) if is_number else (factor.astype(dtype, copy=False), 0.0)
        _source.launch("scale_parts", type_of(dtype), table.shape[0], _THREADS, table, *by, result)
    return tuple(result[at : at + x.size].reshape(x.shape) for x, at in zip(given, places, strict=True))
