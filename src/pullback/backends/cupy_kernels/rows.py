"""Rows of contiguous numbers, and the threads that work on them."""

from math import prod
from typing import Any, Final

from ..backend import Array
from .launch import FLOATING, driver, type_of

__all__ = ["ROW_TYPES", "are_floating", "contiguous", "is_last", "threads_for"]

_WARP: Final = 32
_BLOCK: Final = 256
"""How many threads a block has at least, where rows are short enough for a warp each."""
_MOST: Final = 1024
_EACH: Final = 4
"""How many packs a thread takes before more threads share a row."""

_VECTORS: Final = {"float": 4, "double": 2, "float16": 8, "bfloat16": 8}
ROW_TYPES: Final = [f"{name}, {length}" for name in FLOATING for length in (1, _VECTORS[name])]
"""The types of sources that go along rows: of the numbers, and how many are read at once."""


def threads_for(rows: int, columns: int, vector: int) -> tuple[int, tuple[int, int]]:
    """How many blocks, and their threads: a warp for each row, or for long ones a block."""
    wanted = -(-columns // (vector * _EACH))
    if wanted <= _WARP:
        together = _BLOCK // _WARP
        return -(-rows // together), (_WARP, together)
    return rows, (min(_MOST, _WARP << (-(-wanted // _WARP) - 1).bit_length()), 1)


def are_floating(*arrays: Array | None) -> bool:
    """Whether all are of one floating type that sources know."""
    dtype = None
    for x in arrays:
        if x is not None:
            if dtype is None:
                dtype = x.dtype
            elif x.dtype != dtype:
                return False
    return type_of(dtype) in FLOATING


def is_last(axis: Any, ndim: int) -> bool:
    """Whether an axis is the last one."""
    return isinstance(axis, int) and ndim > 0 and axis % ndim == ndim - 1 and -ndim <= axis < ndim


def contiguous(x: Array) -> Array:
    """The array itself where it lies row by row without gaps, else a copy that does."""
    return x if x.flags.c_contiguous else driver().xp.ascontiguousarray(x)


def rows_of(x: Array) -> int:
    """How many rows the last axis makes of an array."""
    return prod(x.shape[:-1])
