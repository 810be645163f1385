"""What goes along the columns of rows: a bias added to each, and the sums that are a bias's gradient."""

from typing import Any, Final

from ..backend import Array
from .factors import wide_dtype
from .launch import Source, driver, type_of, vector_length
from .partial_sums import sum_of_parts
from .rows import ROW_TYPES, rows_of

__all__ = ["add_bias", "positive_bits", "relu_vjp_and_sums", "sum_of_rows"]

_FUNCTIONS: Final = ("add_bias", "sum_columns", "relu_vjp_and_sums", "positive_bits")
_source = Source("columns", _FUNCTIONS, ROW_TYPES)

_THREADS: Final = (32, 16)
_FEWEST: Final = 256
"""The rows that one block sums alone, so that its result need not be added to others."""
_BLOCKS: Final = 4
"""How many blocks a multiprocessor runs at once."""


def add_bias(y: Array, bias: Array | None, relu: bool) -> None:
    """Add a bias to every row, in place, and with `relu` make negative numbers 0.

    y: (..., N), contiguous. bias: (N,), contiguous, of the same floating type.
    """
    rows, columns = rows_of(y), y.shape[-1]
    each = 4 * _THREADS[1]
    vector = vector_length(columns, y, bias)
    blocks = _tiles(columns, vector) * -(-rows // each)
    _launch("add_bias", y, vector, blocks, y, bias, rows, columns, each, int(relu))


def sum_of_rows(x: Array) -> Array:
    """The sum of contiguous x (..., N) along all axes but the last, in its type."""
    rows, columns = rows_of(x), x.shape[-1]
    sums = driver().xp.empty((columns,), x.dtype)
    vector = vector_length(columns, x)
    blocks, each, parts = _shared_out(x, rows, columns, vector)
    _launch("sum_columns", x, vector, blocks, x, parts, sums, rows, columns, each)
    if parts is not None:
        sum_of_parts(parts, sums)
    return sums


def relu_vjp_and_sums(g: Array, y: Array, summed: bool) -> tuple[Array, Array | None]:
    """g where y is positive, else 0; and with `summed` the sum of its rows. All contiguous, of one floating type."""
    rows, columns, xp = rows_of(g), g.shape[-1], driver().xp
    gx = xp.empty(g.shape, g.dtype)
    vector = vector_length(columns, g, y, gx)
    blocks, each, parts = _shared_out(g, rows, columns, vector)
    sums = xp.empty((columns,), g.dtype) if summed else None
    parts = parts if summed else None
    _launch("relu_vjp_and_sums", g, vector, blocks, g, y, gx, parts, sums, rows, columns, each)
    if sums is not None and parts is not None:
        sum_of_parts(parts, sums)
    return gx, sums


def positive_bits(y: Array, bits: int) -> Array:
    """Whether each number of contiguous y (..., N) is positive, in `bits` of bytes for each row: (rows, bits / 8)."""
    rows, columns = rows_of(y), y.shape[-1]
    found = driver().xp.empty((rows, bits // 8), "uint8")
    blocks = -(-found.size // (_THREADS[0] * _THREADS[1]))
    _launch("positive_bits", y, vector_length(columns, y), blocks, y, found, rows, columns, found.shape[1])
    return found


def _tiles(columns: int, vector: int) -> int:
    return -(-columns // (32 * vector))


def _shared_out(x: Array, rows: int, columns: int, vector: int) -> tuple[int, int, Array | None]:
    """How many blocks take how many rows each, and where their sums go if they are several for one column."""
    tiles, now = _tiles(columns, vector), driver()
    chunks = min(-(-rows // _FEWEST), max(1, _BLOCKS * now.processors // max(1, tiles)))
    each = -(-rows // max(1, chunks))
    chunks = -(-rows // max(1, each))
    if chunks <= 1:
        return tiles, each, None
    return tiles * chunks, each, now.xp.empty((chunks, columns), wide_dtype(x))


def _launch(function: str, x: Array, vector: int, blocks: int, *arguments: Any) -> None:
    _source.launch(function, _types(x, vector), blocks, _THREADS, *arguments)


def _types(x: Array, vector: int) -> str:
    return f"{type_of(x.dtype)}, {vector}"
