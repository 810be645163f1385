"""Arrays that lie apart, such as all gradients, gone through by one launch."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from ..backend import Array
from ..flat_layout import places_of
from ..host import host
from .launch import driver

__all__ = ["ALIGNED", "table_of"]

ALIGNED: Final = 64
"""Where arrays are put one behind the other, each begins at a multiple of so many elements: all are read by vectors."""

_PART: Final = 1 << 14
"""How many elements a block takes at most."""


def table_of(arrays: Sequence[Array]) -> Array:
    """For each block where its part begins, its place in a buffer of all, as `places_of` has it, and how long it is.

    arrays: contiguous, of one data type. They must stay as long as the kernel runs that is given the table.
    Returns int64 (blocks, 3), on the device; the same one while the arrays lie where they did.
    """
    now: Any = driver()
    return _table(now, now.place(), arrays[0].dtype.itemsize, tuple((now.address(x), x.size) for x in arrays))


@lru_cache(maxsize=32)
def _table(now: Any, place: Any, itemsize: int, places: tuple[tuple[int, int], ...]) -> Array:
    addresses, sizes = host.asarray(places, dtype=host.int64).reshape(-1, 2).T
    array, first, starts = _division(sizes.tobytes())
    counts = host.minimum(sizes[array] - first, _PART)
    return now.xp.asarray(host.stack([addresses[array] + first * itemsize, starts + first, counts], axis=1))


@lru_cache(maxsize=32)
def _division(sizes: bytes) -> tuple[Any, Any, Any]:
    """Of each part the array it is of, its first element in there, and where that array begins among all."""
    lengths = host.frombuffer(sizes, host.int64)
    parts = -(-lengths // _PART)
    array = host.repeat(host.arange(lengths.size), parts)
    first = (host.arange(array.size) - host.repeat(host.cumsum(parts) - parts, parts)) * _PART
    return array, first, host.asarray(places_of(lengths.tolist(), ALIGNED)[:-1], dtype=host.int64)[array]
