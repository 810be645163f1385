"""Kernels of what is done to all gradients at once: the sum of their squares, scaling them, and both in one pass."""

from collections.abc import Sequence
from typing import Any, Final

from ..backend import Array
from ..flat_layout import places_of
from ..host import host
from .factors import wide_dtype
from .launch import FLOATING, Source, driver, type_of
from .parts import ALIGNED, table_of
from .rows import are_floating, contiguous
from .table import kernel

_THREADS: Final = 256
_MOST_THREADS: Final = 1024

_source = Source("several", ["sums_of_parts", "scale_parts", "join_sums"], FLOATING)


@kernel("sum_of_squares", declines=True)
def _(*arrays: Array) -> Any:
    if not are_floating(*arrays) or not any(x.size for x in arrays):
        return NotImplemented
    given = list(map(contiguous, arrays))
    table, kind = table_of(given), type_of(arrays[0].dtype)
    squares = driver().xp.empty((table.shape[0],), host.float64)
    _source.launch("sums_of_parts", kind, table.shape[0], _THREADS, table, squares)
    return _joined(arrays[0], squares, None)[0]


@kernel("scale_all", declines=True)
def _(factor: Any, *arrays: Array) -> Any:
    return _scaled(factor, arrays, measured=False)


@kernel("unscale_all", declines=True)
def _(factor: Any, *arrays: Array) -> Any:
    return _scaled(factor, arrays, measured=True) if any(x.size for x in arrays) else NotImplemented


def _scaled(factor: Any, arrays: Sequence[Array], measured: bool) -> Any:
    is_number = isinstance(factor, (int, float))
    if not are_floating(*arrays) or not (is_number or factor.shape == ()):
        return NotImplemented
    xp, dtype = driver().xp, arrays[0].dtype
    given = list(map(contiguous, arrays))
    *places, length = places_of([x.size for x in given], ALIGNED)
    result = xp.empty((length,), dtype)
    known: tuple[Array | None, ...] = ()
    if result.size:
        table = table_of(given)
        by = (None, float(factor)) if is_number else (factor.astype(dtype, copy=False), 0.0)
        sums = xp.empty((2, table.shape[0]), host.float64) if measured else (None, None)
        _source.launch("scale_parts", type_of(dtype), table.shape[0], _THREADS, table, *by, result, *sums)
        known = _joined(arrays[0], *sums) if measured else ()
    return *known, *(result[at : at + x.size].reshape(x.shape) for x, at in zip(given, places, strict=True))


def _joined(like: Array, squares: Array, zeros: Array | None) -> tuple[Array, Array | None]:
    """The sum of sums of squares, in the type that `like` is summed in; and whether no zero has become a NaN."""
    xp = driver().xp
    total, finite = xp.empty((), wide_dtype(like)), None if zeros is None else xp.empty((), host.bool_)
    _source.launch("join_sums", type_of(like.dtype), 1, _MOST_THREADS, squares, zeros, squares.size, total, finite)
    return total, finite
