"""Matrix products in tiles: shared among threads, and with the bias in the same pass.

OpenBLAS has threads of its own, which for some time after each product keep a core busy with waiting for the next one.
Ours, which do what stands between the products, would have to share that core with them.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from ..host import host as np
from ..memory import empty
from .compiling import MULTIPLICATIONS, called, compiled, in_parts, is_float, is_worthwhile
from .threads import PARTS, pool
from .tiles import VECTOR, add_products, columns_of_tile, rows_of_tile, vectors_of_tile

__all__ = ["are_worthwhile", "packed", "product", "rows_times_panels", "sum_of_rows", "tile_lines"]

FEWEST = 1_000_000
"""From how many multiplications on a product is worth compiled functions."""
SUMMED = 1024
"""Over how many elements is summed at once: what a tile reads stays in the first two caches."""
_LINE = SUMMED + VECTOR // 4
"""How far the rows of a tile lie apart: by no power of 2, or they would meet in the same places of the cache."""
ROWS, COLUMNS = 96, 512
"""How large the blocks of the result are, each of which one thread makes."""


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
    panels = packed(b)
    y = empty((rows, columns), a.dtype)
    parts = pool().threads * PARTS
    across = min(-(-rows // rows_of_tile()), max(-(-rows // ROWS), parts))
    along = min(len(panels), max(-(-columns // COLUMNS), -(-parts // across)))
    c = np.zeros(columns, a.dtype) if c is None else c
    steps = (a.strides[0] // a.itemsize, a.strides[1] // a.itemsize)
    cost = rows * columns * length // (across * along * MULTIPLICATIONS)
    blocks = _blocks(vectors_of_tile(columns, a.itemsize), a.itemsize)
    flat = a.reshape(-1) if a.flags.c_contiguous else a.T.reshape(-1)
    shape = across, along, rows, columns, *steps, tile_lines()
    in_parts(blocks, across * along, flat, panels, c, y.reshape(-1), *shape, cost=cost)
    return y


def packed(b: Any) -> Any:
    """b (K, N) as panels of columns (N / wide, K, wide): what a tile reads of it is in one piece. Zeros follow."""
    length, columns = b.shape
    wide = columns_of_tile(columns, b.itemsize)
    panels = empty((-(-columns // wide), length, wide), b.dtype)
    in_parts(_pack, len(panels), b, panels, cost=length * wide)
    return panels


@cache
def rows_times_panels(vectors: int, itemsize: int) -> Callable[..., None]:
    """For compiled functions: y = c + a times the panels from `left` to `right` of all that are packed.

    rows, columns: of y. Where a, c and y begin, and how far the next row of a and c and the next element of a row of a
    are away, is said in elements; of a, one of them is 1. lines: memory for a tile's rows of a, see `tile_lines`.

    Rows of a are copied, since the tile is twice as fast where the steps between its elements are known beforehand.
    """
    wide = max(vectors, 1) * VECTOR // itemsize

    @called
    def multiply(
        rows: int, columns: int, left: int, right: int, a: Any, a_at: int, a_row: int, a_step: int, panels: Any,
        c: Any, c_at: int, c_row: int, y: Any, y_at: int, lines: Any,
    ) -> None:  # fmt: skip
        length = panels.shape[1]
        b, here = panels.reshape(-1), np.zeros(1, np.int64)
        tall = len(lines) // _LINE
        matrix = lines.reshape((tall, _LINE))
        tiles = (rows + tall - 1) // tall
        for low in range(0, length, SUMMED):
            summed = min(SUMMED, length - low)
            for tile in range(tiles):
                first, last = rows * tile // tiles, rows * (tile + 1) // tiles
                if a_step == 1:
                    for row in range(last - first):
                        begin = a_at + (first + row) * a_row + low
                        source, line = a[begin : begin + summed], matrix[row]
                        for k in range(source.size):
                            line[k] = source[k]
                else:
                    for k in range(summed):
                        begin = a_at + (low + k) * a_step + first
                        source = a[begin : begin + last - first]
                        for row in range(source.size):
                            matrix[row, k] = source[row]
                for panel in range(left, right):
                    column = panel * wide
                    at = y_at + first * columns + column
                    if low:
                        add_products(
                            last - first, columns - column, vectors, y, at, columns, y, at, columns,
                            lines, 0, _LINE, 1, here, b, (panel * length + low) * wide, wide, here, summed,
                        )  # fmt: skip
                    else:
                        add_products(
                            last - first, columns - column, vectors, y, at, columns,
                            c, c_at + first * c_row + column, c_row,
                            lines, 0, _LINE, 1, here, b, (panel * length + low) * wide, wide, here, summed,
                        )  # fmt: skip

    return multiply


def tile_lines() -> int:
    """How many elements the rows of a tile take."""
    return rows_of_tile() * _LINE


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


@compiled
def _pack(start: int, stop: int, b: Any, panels: Any) -> None:
    """The columns of b side by side in panels; in the last one, what is left is 0."""
    length, columns = b.shape
    wide = panels.shape[2]
    for number in range(start, stop):
        panel, first = panels[number], number * wide
        there = min(wide, columns - first)
        part = b[:, first : first + there]
        for k in range(length):
            for n in range(there):
                panel[k, n] = part[k, n]
            for n in range(there, wide):
                panel[k, n] = 0


@cache
def _blocks(vectors: int, itemsize: int) -> Callable[..., None]:
    multiply = rows_times_panels(vectors, itemsize)

    @compiled
    def blocks(
        start: int, stop: int, a: Any, panels: Any, c: Any, y: Any, across: int, along: int, rows: int, columns: int,
        a_row: int, a_step: int, lines: int,
    ) -> None:  # fmt: skip
        count, memory = len(panels), np.empty(lines, y.dtype)
        for block in range(start, stop):
            top, bottom = rows * (block // along) // across, rows * (block // along + 1) // across
            left, right = count * (block % along) // along, count * (block % along + 1) // along
            multiply(
                bottom - top, columns, left, right, a, top * a_row, a_row, a_step, panels, c, 0, 0,
                y, top * columns, memory,
            )  # fmt: skip

    return blocks
