"""Sums of which several blocks have a part each: added in one order, so that they are the same every time."""

from typing import Final

from ..backend import Array
from .launch import FLOATING, Source, type_of

__all__ = ["sum_of_parts"]

_source = Source("partial_sums", ("sum_of_parts",), FLOATING)

_THREADS: Final = 128


def sum_of_parts(parts: Array, sums: Array) -> None:
    """Fill contiguous `sums` with those of parts (count, *sums.shape) along the first axis.

    parts: contiguous, in the type that numbers of `sums`' type are added in.
    """
    _source.launch(
        "sum_of_parts", type_of(sums.dtype), -(-sums.size // _THREADS), _THREADS, parts, sums, len(parts), sums.size
    )
