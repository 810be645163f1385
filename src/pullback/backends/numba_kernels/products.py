"""Matrix products in tiles: shared among threads, and with the bias in the same pass.

OpenBLAS has threads of its own, which for some time after each product keep a core busy with waiting for the next one.
Ours, which do what stands between the products, would have to share that core with them.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from ..host import host as np
from ..memory import empty
from .compiling import MULTIPLICATIONS, compiled, in_parts, inlined, is_worthwhile
from .threads import PARTS, pool
from .tiles import VECTOR, add_products, rows_of_tile, vectors_of_tile

__all__ = ["are_worthwhile", "packed", "product", "rows_times_panels", "sum_of_rows"]

FEWEST = 1_000_000
"""From how many multiplications on a product is worth compiled functions."""
SUMMED = 512
"""Over how many elements is summed at once: what a tile reads stays in the first two caches."""
ROWS, COLUMNS = 96, 512
"""How large the blocks of the result are, each of which one thread makes."""


def are_worthwhile(rows: int, length: int, columns: int, *arrays: Any) -> bool:
    """Whether a product of (rows, length) and (length, columns) is for compiled functions. Arrays may be None."""
    kind = arrays[0].dtype
    return (
        rows * length * columns >= FEWEST
        and is_worthwhile(max(rows * length, length * columns, rows * columns))
        and kind.char in "fd"
        and all(a is None or (a.dtype == kind and a.flags.c_contiguous) for a in arrays)
    )


def product(a: Any, b: Any, c: Any = None) -> Any:
    """a (M, K) times b (K, N), plus c (N,). Of a and b each lies in one piece, as it is or transposed."""
    (rows, length), columns = a.shape, b.shape[1]
    vectors, panels = vectors_of_tile(columns, a.itemsize), packed(b)
    count = len(panels)
    y = empty((rows, columns), a.dtype)
    across = -(-rows // ROWS)
    along = min(count, max(-(-columns // COLUMNS), -(-pool().threads * PARTS // across)))
    shape = (across, along, rows, columns, length, a.strides[0] // a.itemsize, a.strides[1] // a.itemsize)
    c = np.zeros(columns, a.dtype) if c is None else c
    cost = rows * columns * length // (across * along * MULTIPLICATIONS)
    in_parts(_blocks(vectors), across * along, _flat(a), panels, c, y.reshape(-1), *shape, rows_of_tile(), cost=cost)
    return y


def packed(b: Any) -> Any:
    """b (K, N) as panels of columns (N / wide, K, wide): what a tile reads of it is in one piece. Behind N are zeros."""
    length, columns = b.shape
    wide = max(vectors_of_tile(columns, b.itemsize), 1) * VECTOR // b.itemsize
    panels = empty((-(-columns // wide), length, wide), b.dtype)
    in_parts(_pack, len(panels), b, panels, cost=length * wide)
    return panels


@cache
def rows_times_panels(vectors: int) -> Callable[..., None]:
    """For compiled functions: y = c + a times packed panels, of `rows` rows of `columns`; `at` is where each begins."""

    @inlined
    def multiply(
        rows: int, columns: int, tall: int, a: Any, a_at: int, panels: Any, c: Any, c_at: int, c_row: int, y: Any,
        y_at: int,
    ) -> None:  # fmt: skip
        count, length, wide = panels.shape
        b, here = panels.reshape(-1), np.zeros(1, np.int64)
        tiles = (rows + tall - 1) // tall
        for panel in range(count):
            column = panel * wide
            for tile in range(tiles):
                first, last = rows * tile // tiles, rows * (tile + 1) // tiles
                add_products(
                    last - first, columns - column, vectors, y, y_at + first * columns + column, columns,
                    c, c_at + first * c_row + column, c_row, a, a_at + first * length, length, 1, here,
                    b, column * length, wide, here, length,
                )  # fmt: skip

    return multiply


def _flat(a: Any) -> Any:
    return a.reshape(-1) if a.flags.c_contiguous else a.T.reshape(-1)


def sum_of_rows(x: Any) -> Any:
    """The sum of x (rows, columns) along the first axis."""
    blocks = min(len(x), pool().threads * PARTS)
    sums = np.empty((blocks, x.shape[1]), x.dtype)
    in_parts(_sum_rows, blocks, x, sums, cost=x.size // blocks)
    return np.add.reduce(sums)


@compiled
def _sum_rows(start: int, stop: int, x: Any, sums: Any) -> None:
    rows, columns = x.shape
    for block in range(start, stop):
        total = sums[block]
        total[:] = 0
        for row in range(rows * block // len(sums), rows * (block + 1) // len(sums)):
            for column in range(columns):
                total[column] += x[row, column]


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
def _blocks(vectors: int) -> Callable[..., None]:
    @compiled
    def blocks(
        start: int, stop: int, a: Any, panels: Any, c: Any, y: Any, across: int, along: int, rows: int, columns: int,
        length: int, a_row: int, a_step: int, tall: int,
    ) -> None:  # fmt: skip
        count, _, wide = panels.shape
        b, here = panels.reshape(-1), np.zeros(1, np.int64)
        packed = np.empty(0 if a_step == 1 else SUMMED * (ROWS + tall), y.dtype)
        for block in range(start, stop):
            top, bottom = rows * (block // along) // across, rows * (block // along + 1) // across
            left, right = count * (block % along) // along, count * (block % along + 1) // along
            tiles = (bottom - top + tall - 1) // tall
            for low in range(0, length, SUMMED):
                summed = min(SUMMED, length - low)
                if a_step != 1:
                    for tile in range(tiles):
                        first, last = (bottom - top) * tile // tiles, (bottom - top) * (tile + 1) // tiles
                        for k in range(summed):
                            line = a[(low + k) * a_step + top + first :]
                            into = packed[(tile * SUMMED + k) * tall :]
                            for row in range(last - first):
                                into[row] = line[row]
                for tile in range(tiles):
                    first = top + (bottom - top) * tile // tiles
                    last = top + (bottom - top) * (tile + 1) // tiles
                    if a_step == 1:
                        source, a_at, row, step = a, first * a_row + low, a_row, 1
                    else:
                        source, a_at, row, step = packed, tile * SUMMED * tall, 1, tall
                    for panel in range(left, right):
                        column = panel * wide
                        at = first * columns + column
                        before, before_at, before_row = (y, at, columns) if low else (c, column, 0)
                        add_products(
                            last - first, columns - column, vectors, y, at, columns, before, before_at, before_row,
                            source, a_at, row, step, here, b, (panel * length + low) * wide, wide, here, summed,
                        )  # fmt: skip

    return blocks
