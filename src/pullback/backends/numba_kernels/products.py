"""Matrix products in tiles: shared among threads, and with the bias in the same pass.

OpenBLAS has threads of its own, which for some time after each product keep a core busy with waiting for the next one.
Ours, which do what stands between the products, would have to share that core with them.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from ..host import host as np
from ..memory import empty
from .compiling import MULTIPLICATIONS, Compiled, called, compiled, in_parts, inlined, is_float, is_worthwhile
from .threads import PARTS, pool
from .tiles import VECTOR, add_products, columns_of_tile, copy_vector, rows_of_tile, vectors_of_tile

__all__ = ["are_worthwhile", "packed", "product", "rows_times_panels", "sum_of_rows", "tile_lines"]

FEWEST = 1_000_000
"""From how many multiplications on a product is worth compiled functions."""
SUMMED = 256
"""Over how many elements is summed at once: what a tile reads stays in the first two caches."""
_LINE = SUMMED + VECTOR // 4
"""How far the rows of a tile lie apart: by no power of 2, or they would meet in the same places of the cache."""
_ROW = 16
"""How far the rows of a tile lie apart where its columns came in one piece: as far as a vector reaches, and more."""
DIRECT = 1 << 10
"""Up to how many bytes a row of the second matrix is read where it is: farther apart they are in each other's way."""
CACHED = 3 << 19
"""Up to how many bytes the second matrix stays in the cache."""
ROWS, COLUMNS = 96, 512
"""How large the blocks of the result are, each of which one thread makes: fewer rows share the work better."""


def are_worthwhile(rows: int, length: int, columns: int, *arrays: Any) -> bool:
    """Whether a product of (rows, length) and (length, columns) is for compiled functions. Arrays may be None."""
    kind = arrays[0].dtype
    return (
        rows * length * columns >= FEWEST
        and is_worthwhile(max(rows * length, length * columns, rows * columns))
        and is_float(kind)
        and all(a is None or (a.dtype == kind and a.flags.c_contiguous) for a in arrays)
    )


def product(a: Any, b: Any, c: Any = None) -> Any:
    """a (M, K) times b (K, N), plus c (N,). Of a and b each lies in one piece, as it is or transposed."""
    (rows, length), columns = a.shape, b.shape[1]
    wide = columns_of_tile(columns, b.itemsize)
    count = -(-columns // wide)
    if b.flags.c_contiguous and columns * b.itemsize <= DIRECT:  # its rows are read where they are
        panels, panel, step = b, wide, columns
    else:
        panels, panel, step = packed(b), length * wide, wide
    y = empty((rows, columns), a.dtype)
    parts = pool().threads * PARTS
    fewest = parts if length * columns * b.itemsize <= CACHED else min(parts, max(1, 2 * rows // ROWS))
    across = min(-(-rows // rows_of_tile()), max(-(-rows // ROWS), fewest))
    along = min(count, max(-(-columns // COLUMNS), -(-parts // across)))
    c = np.zeros(columns, a.dtype) if c is None else c
    cost = rows * columns * length // (across * along * MULTIPLICATIONS)
    row, step_of_a = (stride // a.itemsize for stride in a.strides)
    blocks = _blocks(vectors_of_tile(columns, a.itemsize), a.itemsize, row == 1 and step_of_a != 1)
    flat = a.reshape(-1) if a.flags.c_contiguous else a.T.reshape(-1)
    sizes = across, along, count, rows, columns, max(row, step_of_a), length, panel, step, tile_lines()
    in_parts(blocks, across * along, flat, panels.reshape(-1), c, y.reshape(-1), *sizes, cost=cost)
    return y


def packed(b: Any) -> Any:
    """b (K, N) as panels of columns (N / wide, K, wide): what a tile reads of it is in one piece. Zeros follow."""
    length, columns = b.shape
    wide = columns_of_tile(columns, b.itemsize)
    panels = empty((-(-columns // wide), length, wide), b.dtype)
    if b.flags.c_contiguous:
        in_parts(_pack_rows(b.itemsize), len(panels), b.reshape(-1), columns, panels, cost=length * wide)
    else:
        in_parts(_pack_columns, len(panels), b.T, panels, cost=length * wide)
    return panels


@cache
def rows_times_panels(vectors: int, itemsize: int, is_transposed: bool = False) -> Callable[..., None]:
    """For compiled functions: y = c + a times a matrix in panels, as `packed` gives them.

    rows, columns: of y. Where a, c and y begin, and how far the next row of a and c is away, is said in elements.
    is_transposed: a's columns lie in one piece, and `a_row` says where the next one is. lines: see `tile_lines`.
    """
    multiply = _in_tiles(vectors, itemsize, is_transposed)

    @inlined
    def times_panels(
        rows: int, columns: int, a: Any, a_at: int, a_row: int, panels: Any, c: Any, c_at: int, c_row: int, y: Any,
        y_at: int, lines: Any,
    ) -> None:  # fmt: skip
        count, length, wide = panels.shape
        multiply(
            rows, columns, 0, count, length, a.reshape(-1), a_at, a_row, panels.reshape(-1), length * wide, wide,
            c.reshape(-1), c_at, c_row, y.reshape(-1), y_at, lines,
        )  # fmt: skip

    return times_panels


@cache
def _in_tiles(vectors: int, itemsize: int, is_transposed: bool) -> Callable[..., None]:
    """For compiled functions: the same of the panels from `left` to `right`, which may be columns of b where it is.

    length: of a row of a. b_panel, b_row: how far the next panel and the next row of a panel are away.

    Rows of a are copied, since the tile is twice as fast where the steps between its elements are known beforehand.
    """
    lanes, tall = VECTOR // itemsize, rows_of_tile()
    wide = max(vectors, 1) * lanes
    next_row, next_step = (1, _ROW) if is_transposed else (_LINE, 1)

    @called
    def multiply(
        rows: int, columns: int, left: int, right: int, length: int, a: Any, a_at: int, a_row: int, b: Any,
        b_panel: int, b_row: int, c: Any, c_at: int, c_row: int, y: Any, y_at: int, lines: Any,
    ) -> None:  # fmt: skip
        here = np.zeros(1, np.int64)
        matrix = lines[: tall * _LINE].reshape((tall, _LINE))
        tiles = (rows + tall - 1) // tall
        for low in range(0, length, SUMMED):
            summed = min(SUMMED, length - low)
            sums, sums_at, sums_row = (y, y_at, columns) if low else (c, c_at, c_row)
            for tile in range(tiles):
                first, last = rows * tile // tiles, rows * (tile + 1) // tiles
                if is_transposed:
                    for k in range(summed):
                        begin, into = a_at + (low + k) * a_row + first, k * _ROW
                        if begin + _ROW <= a.size:
                            for row in range(0, _ROW, lanes):
                                copy_vector(lines, into + row, a, begin + row)
                        else:
                            for row in range(last - first):
                                lines[into + row] = a[begin + row]
                else:
                    for row in range(last - first):
                        begin = a_at + (first + row) * a_row + low
                        source, line = a[begin : begin + summed], matrix[row]
                        for k in range(source.size):
                            line[k] = source[k]
                for panel in range(left, right):
                    column = panel * wide
                    at = y_at + first * columns + column
                    of_sums, of_b = sums_at + first * sums_row + column, panel * b_panel + low * b_row
                    add_products(
                        last - first, columns - column, vectors, y, at, columns, sums, of_sums, sums_row,
                        lines, 0, next_row, next_step, here, b, of_b, b_row, here, summed,
                    )  # fmt: skip

    return multiply


def tile_lines() -> int:
    """How many elements of memory a tile's rows of the first matrix take."""
    return max(rows_of_tile() * _LINE, SUMMED * _ROW)


def sum_of_rows(x: Any) -> Any:
    """The sum of x (rows, columns) along the first axis."""
    blocks = max(1, min(len(x) // 8, pool().threads * PARTS))
    sums = np.empty((blocks, x.shape[1]), x.dtype)
    in_parts(_sum_rows, blocks, x, sums, cost=x.size // blocks)
    return np.add.reduce(sums)


@compiled
def _sum_rows(start: int, stop: int, x: Any, sums: Any) -> None:
    """The sum of each block, of runs of rows that are summed first, so that no error adds up."""
    rows, columns = x.shape
    run = np.empty(columns, x.dtype)
    for block in range(start, stop):
        total = sums[block]
        total[:] = 0
        end = rows * (block + 1) // len(sums)
        for first in range(rows * block // len(sums), end, 128):
            run[:] = 0
            for row in range(first, min(first + 128, end)):
                line = x[row]
                for column in range(columns):
                    run[column] += line[column]
            for column in range(columns):
                total[column] += run[column]


@cache
def _pack_rows(itemsize: int) -> Compiled:
    lanes = VECTOR // itemsize

    @compiled
    def pack_rows(start: int, stop: int, b: Any, columns: int, panels: Any) -> None:
        """The columns of b, whose rows lie in one piece, side by side in panels; behind the last ones comes 0."""
        _, length, wide = panels.shape
        flat = panels.reshape(-1)
        for number in range(start, stop):
            first = number * wide
            there = min(wide, columns - first)
            for k in range(length):
                source, target = k * columns + first, (number * length + k) * wide
                if there == wide:
                    for n in range(0, wide, lanes):
                        copy_vector(flat, target + n, b, source + n)
                else:
                    for n in range(wide):
                        flat[target + n] = b[source + n] if n < there else flat.dtype.type(0)

    return pack_rows


@compiled
def _pack_columns(start: int, stop: int, b: Any, panels: Any) -> None:
    """The same, where columns lie in one piece: b is (columns, length)."""
    columns, length = b.shape
    wide = panels.shape[2]
    for number in range(start, stop):
        panel, first = panels[number], number * wide
        there = min(wide, columns - first)
        part = b[first : first + there]
        for k in range(length):
            for n in range(there):
                panel[k, n] = part[n, k]
            for n in range(there, wide):
                panel[k, n] = 0


@cache
def _blocks(vectors: int, itemsize: int, is_transposed: bool) -> Callable[..., None]:
    multiply = _in_tiles(vectors, itemsize, is_transposed)

    @compiled
    def blocks(
        start: int, stop: int, a: Any, b: Any, c: Any, y: Any, across: int, along: int, count: int, rows: int,
        columns: int, a_row: int, length: int, b_panel: int, b_row: int, lines: int,
    ) -> None:  # fmt: skip
        memory = np.empty(lines, y.dtype)
        for block in range(start, stop):
            top, bottom = rows * (block // along) // across, rows * (block // along + 1) // across
            left, right = count * (block % along) // along, count * (block % along + 1) // along
            multiply(
                bottom - top, columns, left, right, length, a, top if is_transposed else top * a_row, a_row,
                b, b_panel, b_row, c, 0, 0, y, top * columns, memory,
            )  # fmt: skip

    return blocks
