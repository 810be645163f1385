"""Convolution and its gradients, compiled: tiles of positions and channels, with no windows gathered.

What is multiplied with what depends on the geometry alone. A plan of it is made once: for each tile of an image's
result, where it lies, and where what is multiplied for it begins; and from there, where each block of that lies. It
serves every image, any number of axes, and all three operations.
"""

from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from itertools import product
from math import prod
from typing import Any, NamedTuple, TypeAlias

from ..host import host as np
from ..memory import empty
from .compiling import MULTIPLICATIONS, at_once, compiled, in_parts, inlined
from .products import packed
from .tiles import add_products, are_parts_fast, columns_of_tile, rows_of_tile, vectors_of_tile

__all__ = ["LARGEST", "Geometry", "convolved", "is_direct", "spread", "weight_gradient"]

Lengths: TypeAlias = tuple[int, ...]
Pairs: TypeAlias = tuple[tuple[int, int], ...]

FEWEST = 5
"""At fewer positions along the last axis a matrix product of windows is faster."""
LARGEST = 2**19
"""Up to how many elements a weight's gradient is summed in place for each image; a larger one is a matrix product."""
SUMMED = 2**18
"""How many elements the sums of a weight's gradient have, which several groups of images make at once, if they may."""
CHUNK = 2**16
"""Over how many elements of an image a weight's gradient is summed at a time: they fit into the second cache."""


class Geometry(NamedTuple):
    """A convolution from (*lengths, ins) to (*positions, out), whose weight is (out, *kernel, ins / groups)."""

    lengths: Lengths
    positions: Lengths
    ins: int
    out: int
    kernel: Lengths
    stride: Lengths
    padding: Pairs
    dilation: Lengths
    groups: int


def is_direct(of: Geometry, channels: int, positions: Lengths, itemsize: int) -> bool:
    """Whether tiles are for a result of so many channels at so many positions, or the gradient that comes from it."""
    return (
        min(positions) > 0
        and positions[-1] >= FEWEST
        and (are_parts_fast() or vectors_of_tile(channels // of.groups, itemsize) > 0)
    )


def convolved(x: Any, weight: Any, bias: Any, of: Geometry) -> Any:
    """(N, *lengths, ins) as (N, *positions, out)."""
    y = empty((len(x), *of.positions, of.out), x.dtype)
    columns = of.out // of.groups
    matrices = weight.reshape(of.groups, columns, -1).swapaxes(1, 2).reshape(-1, columns)
    _convolution(of, columns_of_tile(columns, x.itemsize)).run(x, matrices, y, bias)
    return y


def spread(x: Any, weight: Any, bias: Any, of: Geometry) -> Any:
    """(N, *positions, out) as (N, *lengths, ins): the transpose of `convolved`."""
    y = empty((len(x), *of.lengths, of.ins), x.dtype)
    columns = of.ins // of.groups
    matrices = weight.reshape(of.groups, of.out // of.groups, -1, columns).swapaxes(1, 2).reshape(-1, columns)
    _transpose(of, columns_of_tile(columns, x.itemsize)).run(x, matrices, y, bias)
    return y


def weight_gradient(x: Any, cotangent: Any, of: Geometry) -> Any:
    """The gradient of the weight, from x (N, *lengths, ins) and the cotangent (N, *positions, out)."""
    columns, channels = of.out // of.groups, of.ins // of.groups
    totals = _gradient(of).sums(x, cotangent, (of.groups, prod(of.kernel) * channels, columns))
    return np.ascontiguousarray(totals.swapaxes(1, 2)).reshape(of.out, *of.kernel, channels)


class _Frame:
    """An image, or where the kernel reaches over its border, a copy of it with zeros around.

    steps: how far from an element the next one is, along each spatial axis. lines: of each row that is copied, where
    it begins in the copy and in the image, and `line` is how long it is.
    """

    def __init__(self, lengths: Lengths, channels: int, low: Lengths, high: Lengths) -> None:
        self.needed = any(a < 0 or b > n for a, b, n in zip(low, high, lengths, strict=True))
        inner = [(max(a, 0), min(b, n)) for a, b, n in zip(low, high, lengths, strict=True)]
        steps = _steps(lengths, channels)
        self.size, self.steps, self.origin = 0, steps, 0
        self.lines, self.line = np.empty((0, 2), np.int64), 0
        if not self.needed:
            return
        whole = tuple(b - a for a, b in zip(low, high, strict=True))
        self.size, self.steps = prod(whole) * channels, _steps(whole, channels)
        self.origin = -_dot(low, self.steps)
        if all(a < b for a, b in inner):
            starts = [*(range(a, b) for a, b in inner[:-1]), range(inner[-1][0], inner[-1][0] + 1)]
            self.lines = np.stack([_places(starts, self.steps) + self.origin, _places(starts, steps)], axis=1)
            self.line = (inner[-1][1] - inner[-1][0]) * channels


class _Plan:
    """Tiles, each (rows, where in y, c, a and b it begins, its first and last block), and where the blocks are."""

    def __init__(
        self, frame: _Frame, tiles: Any, blocks: tuple[Any, Any], length: int, y_row: int, c_row: int, a: Lengths,
        b_step: int,
    ) -> None:  # fmt: skip
        self.frame, self.tiles, self.length = frame, np.ascontiguousarray(tiles), length
        self.a_blocks, self.b_blocks = blocks
        self.strides = (y_row, c_row, *a, b_step)
        self.work = int((self.tiles[:, 0] * (self.tiles[:, 6] - self.tiles[:, 5])).sum()) * length

    def run(self, x: Any, matrices: Any, y: Any, bias: Any) -> None:
        """Write to y the products of x and matrices, plus the bias."""
        c = np.zeros(y.shape[-1], y.dtype) if bias is None else np.ascontiguousarray(bias)
        rows, columns = matrices.shape
        wide = columns_of_tile(columns, x.itemsize)
        panels = packed(matrices)
        arguments = self.arguments(x, panels, 0, rows * wide, c, y, y[:1].size, columns)
        each, _ = _products(vectors_of_tile(columns, x.itemsize))
        in_parts(each, len(x) * len(self.tiles), *arguments, cost=self.cost(columns))

    def sums(self, x: Any, cotangent: Any, shape: Lengths) -> Any:
        """The sum over all images of products of x and the cotangent."""
        columns = shape[-1]
        wide = columns_of_tile(columns, x.itemsize)
        groups = max(1, min(len(x), at_once(prod(shape), SUMMED)))
        totals = np.zeros((groups, *shape), x.dtype)
        cotangent = np.ascontiguousarray(cotangent)
        arguments = self.arguments(x, cotangent, cotangent[:1].size, wide, totals, totals, prod(shape), columns)
        _, summed = _products(vectors_of_tile(columns, x.itemsize))
        in_parts(summed, groups, *arguments, cost=self.cost(columns) * len(self.tiles) * len(x) // groups)
        return np.add.reduce(totals)

    def arguments(
        self, x: Any, b: Any, b_image: int, b_panel: int, c: Any, y: Any, y_image: int, columns: int
    ) -> tuple[Any, ...]:
        """What the compiled functions take behind `start` and `stop`."""
        of_x = (np.ascontiguousarray(x).reshape(-1), x[:1].size, self.frame.size, self.frame.lines, self.frame.line)
        of_b = (b.reshape(-1), b_image, b_panel)
        of_y = (c.reshape(-1), y.reshape(-1), y_image, columns, columns_of_tile(columns, x.itemsize))
        return self.tiles, self.a_blocks, self.b_blocks, self.length, *of_x, *of_b, *of_y, *self.strides

    def cost(self, columns: int) -> int:
        """Of a tile, on the average, as `in_parts` counts."""
        return self.work * columns // (len(self.tiles) * MULTIPLICATIONS) + 1


@cache
def _products(vectors: int) -> tuple[Callable[..., None], Callable[..., None]]:
    """To do the tiles from `start` to `stop`, counted through all images; and to sum those of groups of images."""

    @inlined
    def framed(a: Any, frame: Any, lines: Any, line: int) -> Any:
        if not frame.size:
            return a
        for i in range(len(lines)):
            into, row = frame[lines[i, 0] :], a[lines[i, 1] :]
            for k in range(line):
                into[k] = row[k]
        return frame

    @inlined
    def multiply(
        first: int, last: int, tiles: Any, a_blocks: Any, b_blocks: Any, length: int, a: Any, b: Any, b_image: int,
        b_panel: int, c: Any, c_image: int, y: Any, y_image: int, columns: int, wide: int, y_row: int, c_row: int,
        a_row: int, a_step: int, b_step: int,
    ) -> None:  # fmt: skip
        for panel in range((columns + wide - 1) // wide):
            column = panel * wide
            for tile in range(first, last):
                rows, y_at, c_at, a_at, b_at, low, high = tiles[tile]
                add_products(
                    rows, columns - column, vectors,
                    y, y_image + y_at + column, y_row,
                    c, c_image + c_at + column, c_row,
                    a, a_at, a_row, a_step, a_blocks[low:high],
                    b, b_image + panel * b_panel + b_at, b_step, b_blocks[low:high],
                    length,
                )  # fmt: skip

    @compiled
    def each(
        start: int, stop: int, tiles: Any, a_blocks: Any, b_blocks: Any, length: int, x: Any, x_image: int, size: int,
        lines: Any, line: int, b: Any, b_image: int, b_panel: int, c: Any, y: Any, y_image: int, columns: int,
        wide: int, y_row: int, c_row: int, a_row: int, a_step: int, b_step: int,
    ) -> None:  # fmt: skip
        count, frame = len(tiles), np.zeros(size, x.dtype)
        for image in range(start // count, (stop + count - 1) // count):
            multiply(
                max(start - image * count, 0), min(stop - image * count, count), tiles, a_blocks, b_blocks, length,
                framed(x[image * x_image : (image + 1) * x_image], frame, lines, line), b, image * b_image, b_panel,
                c, 0, y, image * y_image, columns, wide, y_row, c_row, a_row, a_step, b_step,
            )  # fmt: skip

    @compiled
    def summed(
        start: int, stop: int, tiles: Any, a_blocks: Any, b_blocks: Any, length: int, x: Any, x_image: int, size: int,
        lines: Any, line: int, b: Any, b_image: int, b_panel: int, c: Any, y: Any, y_image: int, columns: int,
        wide: int, y_row: int, c_row: int, a_row: int, a_step: int, b_step: int,
    ) -> None:  # fmt: skip
        frame, images, groups = np.zeros(size, x.dtype), len(x) // x_image, len(y) // y_image
        for group in range(start, stop):
            for image in range(images * group // groups, images * (group + 1) // groups):
                multiply(
                    0, len(tiles), tiles, a_blocks, b_blocks, length,
                    framed(x[image * x_image : (image + 1) * x_image], frame, lines, line), b, image * b_image,
                    b_panel, c, group * y_image, y, group * y_image, columns, wide, y_row, c_row, a_row, a_step,
                    b_step,
                )  # fmt: skip

    return each, summed


@lru_cache(256)
def _convolution(of: Geometry, wide: int) -> _Plan:
    frame, strides, first = _reached(of)
    columns, channels = of.out // of.groups, of.ins // of.groups
    a_blocks, length = _kernel(of, frame)
    b_blocks = np.arange(len(a_blocks)) * (length * wide)
    at = _places([range(n) for n in of.positions[:-1]], strides)
    rows, begins = _parts(of.positions[-1])
    line, part, group = np.ix_(np.arange(len(at)), np.arange(len(rows)), np.arange(of.groups))
    tiles = _table(
        rows[part],
        (line * of.positions[-1] + begins[part]) * of.out + group * columns,
        group * columns,
        first + at[line] + begins[part] * strides[-1] + group * channels,
        group * (len(a_blocks) * length * wide),
        0,
        len(a_blocks),
    )
    return _Plan(frame, tiles, (a_blocks, b_blocks), length, of.out, 0, (strides[-1], 1), wide)


@lru_cache(256)
def _gradient(of: Geometry) -> _Plan:
    frame, strides, first = _reached(of)
    columns, channels = of.out // of.groups, of.ins // of.groups
    places, width = _kernel(of, frame)
    a_blocks = _places([range(n) for n in of.positions[:-1]], strides)
    b_blocks = np.arange(len(a_blocks)) * (of.positions[-1] * of.out)
    each = max(1, CHUNK // (of.positions[-1] * (of.out + strides[-1])))
    low = np.arange(0, len(a_blocks), each)
    rows, begins = _parts(width)
    chunk, block, part, group = np.ix_(*map(np.arange, (len(low), len(places), len(rows), of.groups)))
    y_at = ((group * len(places) + block) * width + begins[part]) * columns
    tiles = _table(
        rows[part],
        y_at,
        y_at,
        first + places[block] + begins[part] + group * channels,
        group * columns,
        low[chunk],
        np.minimum(low + each, len(a_blocks))[chunk],
    )
    blocks = (a_blocks, b_blocks)
    return _Plan(frame, tiles, blocks, of.positions[-1], columns, columns, (1, strides[-1]), of.out)


@lru_cache(256)
def _transpose(of: Geometry, wide: int) -> _Plan:
    """The phases of the stride each take other elements of the kernel, and are convolutions without a stride."""
    axes = [
        list(_phases(*axis)) for axis in zip(of.lengths, of.kernel, of.stride, of.padding, of.dilation, strict=True)
    ]
    reach = [[(begin, begin + n) for _, n, taken in axis for _, begin in taken] or [(0, 0)] for axis in axes]
    low, high = tuple(min(a for a, _ in each) for each in reach), tuple(max(b for _, b in each) for each in reach)
    frame = _Frame(of.positions, of.out, low, high)
    columns, length = of.ins // of.groups, of.out // of.groups
    y_steps, elements = _steps(of.lengths, of.ins), _steps(of.kernel, length * wide)
    tables, a_blocks, b_blocks, count = [], [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for phase in product(*axes):
        starts, counts, taken = zip(*phase, strict=True)
        a_blocks.append(_places([[begin for _, begin in each] for each in taken], frame.steps))
        b_blocks.append(_places([[element for element, _ in each] for each in taken], elements))
        a_at = _places([range(n) for n in counts[:-1]], frame.steps)
        y_at = _places([range(*axis) for axis in zip(starts[:-1], of.lengths, of.stride, strict=False)], y_steps)
        rows, begins = _parts(counts[-1])
        line, part, group = np.ix_(np.arange(len(a_at)), np.arange(len(rows)), np.arange(of.groups))
        tables.append(
            _table(
                rows[part],
                y_at[line] + (starts[-1] + begins[part] * of.stride[-1]) * of.ins + group * columns,
                group * columns,
                frame.origin + a_at[line] + begins[part] * frame.steps[-1] + group * length,
                group * (prod(of.kernel) * length * wide),
                count,
                count + len(a_blocks[-1]),
            )
        )
        count += len(a_blocks[-1])
    blocks = (np.concatenate(a_blocks), np.concatenate(b_blocks))
    return _Plan(frame, np.concatenate(tables), blocks, length, of.stride[-1] * of.ins, 0, (frame.steps[-1], 1), wide)


def _phases(
    length: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int
) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Where along an axis each phase starts, how long it is, and its elements of the kernel with where they begin."""
    for start in range(min(stride, length)):
        places = [(element, start + padding[0] - element * dilation) for element in range(kernel)]
        yield start, -(-(length - start) // stride), [(u, at // stride) for u, at in places if at % stride == 0]


def _reached(of: Geometry) -> tuple[_Frame, Lengths, int]:
    """What the kernel reaches; how far its next position along each axis is away; where its first one is."""
    low = tuple(-before for before, _ in of.padding)
    each = zip(low, of.positions, of.kernel, of.stride, of.dilation, strict=True)
    high = tuple(a + (n - 1) * step + (k - 1) * far + 1 for a, n, k, step, far in each)
    frame = _Frame(of.lengths, of.ins, low, high)
    strides = tuple(step * size for step, size in zip(of.stride, frame.steps, strict=True))
    return frame, strides, frame.origin + _dot(low, frame.steps)


def _kernel(of: Geometry, frame: _Frame) -> tuple[Any, int]:
    """Where the kernel's elements lie, and of how many numbers; those in one run of memory are one."""
    channels = of.ins // of.groups
    steps = [far * size for far, size in zip(of.dilation, frame.steps, strict=True)]
    if of.groups == of.dilation[-1] == 1:
        return _places([range(n) for n in of.kernel[:-1]], steps), of.kernel[-1] * channels
    return _places([range(n) for n in of.kernel], steps), channels


def _parts(length: int) -> tuple[Any, Any]:
    """How many rows each tile along `length` has, as alike as can be, and where it begins."""
    count = -(-length // rows_of_tile())
    ends = np.arange(count + 1) * length // count
    return np.diff(ends), ends[:-1]


def _places(indices: Any, steps: Any) -> Any:
    """The sum of index times step over some axes, for the product of the indices along each."""
    total = np.zeros(1, np.int64)
    for each, step in zip(indices, steps, strict=False):
        total = (total[:, None] + np.asarray(each, np.int64) * step).reshape(-1)
    return total


def _table(*columns: Any) -> Any:
    return np.stack([column.reshape(-1) for column in np.broadcast_arrays(*columns)], axis=1)


def _steps(lengths: Lengths, channels: int) -> Lengths:
    """How far from an element of an array in one piece the next one is, along each axis but the channels'."""
    return tuple(prod(lengths[axis + 1 :]) * channels for axis in range(len(lengths)))


def _dot(a: Lengths, b: Lengths) -> int:
    return sum(n * m for n, m in zip(a, b, strict=True))
