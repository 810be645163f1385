"""Kernels of convolutions: cuDNN's where they are installed, else products whose factors are gathered as needed.

Windows are never laid out in memory. What overlaps nowhere is one matrix product, and is taken as such. In many groups
of few channels, such as in depthwise convolutions, there is no matrix to speak of: see `grouped.cu`.
"""

from functools import lru_cache
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

from ..backend import Array
from .columns import sum_of_rows
from .cudnn_convolution import convolve, pull_image, pull_weight
from .factors import wide_dtype
from .launch import FLOATING, Source, driver, type_of, vector_length
from .partial_sums import sum_of_parts
from .products import product
from .rows import ROW_TYPES, are_floating, contiguous
from .table import kernel

Lengths: TypeAlias = tuple[int, ...]
Pairs: TypeAlias = tuple[tuple[int, int], ...]

_NARROW: Final = [f"{name}, 1, 1" for name in FLOATING]
_WIDE: Final = [f"{pack}, {wide}" for pack in ("float, 4", "float16, 8", "bfloat16, 8") for wide in (1, 2)]
_tiles = Source("convolution", ("conv", "conv_transpose", "conv_weight"), [*_NARROW, *_WIDE])
_weights = Source("weights", ("transpose_weight",), FLOATING)
_windows = Source("grouped", ("conv_grouped", "conv_transpose_grouped", "conv_weight_grouped"), ROW_TYPES)

_STAGES: Final = 3
_STEP: Final = 64
"""The bytes of a row of a tile that one step multiplies; 16 more keep rows in different banks of memory."""
_RECORD: Final = 32
"""The bytes of what a tile remembers of a row of its own, and of an element of the kernel."""
_MOST_TAPS: Final = 1024
_FEW: Final = 4
"""Up to how many channels of a group each thread goes through a window alone."""
_LARGEST: Final = 2**29
"""What sources count in 32 bits is no more than this, so that sums of a few such numbers are right too."""
_TOGETHER: Final = 9
"""How many elements of a kernel a block of depthwise convolutions has the sums of."""


class _Geometry(NamedTuple):
    """How a kernel lies over images: lengths of the result, and what CUDA sources are told."""

    lengths: Lengths
    places: int
    """How many there are in an image of the result."""
    phases: int
    """How many parts they fall into that see different elements of the kernel; see `Along`."""
    most: int
    """How many places the largest part has."""
    taps: int
    arguments: tuple[int, ...]
    is_plain: bool
    """Whether each place sees the one place of the input that is its own."""
    fits: bool
    """Whether all that is counted fits into 32 bits."""


@lru_cache(maxsize=4096)
def _geometry(
    lengths: Lengths, kernel: Lengths, stride: Lengths, padding: Pairs, dilation: Lengths, transposed: bool
) -> _Geometry:
    each = list(zip(lengths, kernel, stride, dilation, padding, strict=True))
    spans = [step * (n - 1) + 1 for n, step in zip(kernel, dilation, strict=True)]
    if transposed:
        to = tuple((n - 1) * s + reach - sum(pair) for (n, _, s, _, pair), reach in zip(each, spans, strict=True))
    else:
        to = tuple((n + sum(pair) - reach) // s + 1 for (n, _, s, _, pair), reach in zip(each, spans, strict=True))
    before = tuple(pair[0] for pair in padding)
    rows = list(zip(lengths, to, kernel, stride, dilation, before, strict=True))
    rows = [(1, 1, 1, 1, 1, 0)] * (3 - len(rows)) + rows
    parts = stride if transposed else (1,) * len(stride)
    numbers = [*map(abs, before), *spans, prod(kernel), *stride, prod(lengths), prod(to)]
    return _Geometry(
        to,
        prod(to),
        prod(parts),
        prod(-(-n // m) for n, m in zip(to, parts, strict=True)),
        prod(kernel),
        tuple(value for row in zip(*rows, strict=True) for value in row),
        prod(kernel) == 1 and set(stride) == {1} and all(pair == (0, 0) for pair in padding),
        max(numbers) <= _LARGEST and min(to) >= 0,
    )


def _is_taken(geometry: _Geometry, *arrays: Array | None) -> bool:
    return are_floating(*arrays) and 3 <= arrays[0].ndim <= 5 and geometry.fits  # type: ignore[union-attr]


def _are_few(groups: int, ins: int, outs: int) -> bool:
    """Whether groups have so few channels that tiles would be next to empty."""
    return groups > 1 and max(ins, outs) <= _FEW


@kernel("conv", declines=True)
def _(
    x: Array, weight: Array, bias: Array | None = None, *, stride: Lengths, padding: Pairs, dilation: Lengths,
    groups: int,
) -> Any:  # fmt: skip
    of = _geometry(x.shape[1:-1], weight.shape[1:-1], stride, padding, dilation, False)
    if not _is_taken(of, x, weight, bias):
        return NotImplemented
    if of.is_plain and groups == 1:
        bias = None if bias is None else contiguous(bias)
        y = product(x.reshape(-1, x.shape[-1]), weight.reshape(weight.shape[0], -1).T, bias=bias)
        return y.reshape((*x.shape[:-1], weight.shape[0]))
    y = driver().xp.empty((x.shape[0], *of.lengths, weight.shape[0]), x.dtype)
    if not y.size:
        return y
    x, weight, bias = contiguous(x), contiguous(weight), None if bias is None else contiguous(bias)
    few = _are_few(groups, weight.shape[-1], weight.shape[0] // groups)
    if not few and convolve(x, weight, bias, y, stride, padding, dilation):
        return y
    return _gathered("conv", x, weight, bias, y, of, groups)


@kernel("conv_transpose", declines=True)
def _(
    x: Array, weight: Array, bias: Array | None = None, *, stride: Lengths, padding: Pairs, dilation: Lengths,
    groups: int,
) -> Any:  # fmt: skip
    of = _geometry(x.shape[1:-1], weight.shape[1:-1], stride, padding, dilation, True)
    if not _is_taken(of, x, weight, bias):
        return NotImplemented
    outs, ins = weight.shape[-1], weight.shape[0] // groups
    if of.is_plain and groups == 1:
        bias = None if bias is None else contiguous(bias)
        y = product(x.reshape(-1, x.shape[-1]), weight.reshape(-1, outs), bias=bias)
        return y.reshape((*x.shape[:-1], outs))
    y = driver().xp.empty((x.shape[0], *of.lengths, groups * outs), x.dtype)
    if not y.size:
        return y
    x, weight, bias = contiguous(x), contiguous(weight), None if bias is None else contiguous(bias)
    if not _are_few(groups, ins, outs) and pull_image(x, weight, bias, y, stride, padding, dilation):
        return y
    if ins > 1 or outs > 1:
        given, weight = weight, driver().xp.empty((groups * outs, *weight.shape[1:-1], ins), weight.dtype)
        blocks = groups * of.taps * -(-outs // 32) * -(-ins // 32)
        arguments = given, weight, groups, ins, of.taps, outs
        _weights.launch("transpose_weight", type_of(weight.dtype), blocks, (32, 8), *arguments)
    return _gathered("conv_transpose", x, weight, bias, y, of, groups)


@kernel("conv_weight", declines=True)
def _(
    x: Array, cotangent: Array, *, kernel: Lengths, stride: Lengths, padding: Pairs, dilation: Lengths, groups: int
) -> Any:
    of = _geometry(x.shape[1:-1], kernel, stride, padding, dilation, False)
    if not _is_taken(of, x, cotangent):
        return NotImplemented
    if of.is_plain and groups == 1:
        rows = cotangent.reshape(-1, cotangent.shape[-1]).T
        return product(rows, x.reshape(-1, x.shape[-1])).reshape((cotangent.shape[-1], *kernel, x.shape[-1]))
    ins, outs = x.shape[-1] // groups, cotangent.shape[-1] // groups
    y = driver().xp.empty((groups * outs, *kernel, ins), x.dtype)
    x, cotangent = contiguous(x), contiguous(cotangent)
    few = _are_few(groups, ins, outs)
    if x.size and cotangent.size and not few and pull_weight(x, cotangent, y, stride, padding, dilation):
        return y
    if few and ins == outs == 1:
        return _summed_over_windows(x, cotangent, y, of)
    vector = vector_length(ins, x) if outs % vector_length(ins, x) == 0 else 1
    vector = min(vector, vector_length(outs, cotangent))
    name = type_of(x.dtype)
    if name == "double":
        vector = 1
    tile, depth = _tile(name, vector, of.taps * ins), _STEP // x.dtype.itemsize
    tiles = groups * -(-outs // tile.rows) * -(-of.taps * ins // tile.columns)
    places = x.shape[0] * of.places
    splits = max(1, min(4 * driver().processors // tiles, places // (8 * depth)))
    parts = _parts(splits, y)
    _tiles.launch(
        "conv_weight", f"{name}, {vector}, {tile.wide}", tiles * splits, tile.threads, x, cotangent, parts, y,
        x.shape[0], *of.arguments, groups, ins, outs, splits,
        shared=_STAGES * depth * ((tile.rows + tile.columns) * x.dtype.itemsize + 32),
    )  # fmt: skip
    if parts is not None:
        sum_of_parts(parts, y)
    return y


@kernel("conv.vjp(bias)", declines=True)
@kernel("conv_transpose.vjp(bias)", declines=True)
def _(g: Array) -> Any:
    return sum_of_rows(contiguous(g)) if are_floating(g) else NotImplemented


class _Tile(NamedTuple):
    """The tile of one block; see `tiles.cuh`."""

    rows: int
    columns: int
    wide: int
    threads: int


def _tile(name: str, vector: int, columns: int) -> _Tile:
    if name == "double":
        return _Tile(64, 32, 1, 128)
    return _Tile(128, 128, 2, 256) if vector > 1 and columns > 64 else _Tile(128, 64, 1, 128)


def _gathered(function: str, x: Array, weight: Array, bias: Array | None, y: Array, of: _Geometry, groups: int) -> Any:
    """Fill y. weight: (groups * outs, ..., ins)."""
    name, images = type_of(x.dtype), x.shape[0]
    outs, ins = weight.shape[0] // groups, weight.shape[-1]
    if _are_few(groups, ins, outs):
        by_taps = contiguous(weight.reshape(groups * outs, -1).T)
        vector = vector_length(groups, x, y, bias) if ins == outs == 1 else 1
        blocks = -(-y.size // (vector * 256))
        arguments = x, by_taps, bias, y, images, *of.arguments, groups, ins, outs
        _windows.launch(f"{function}_grouped", f"{name}, {vector}", blocks, 256, *arguments)
        return y
    if of.taps > _MOST_TAPS:
        return NotImplemented
    vector = 1 if name == "double" else vector_length(ins, x, weight)
    tile = _tile(name, vector, outs)
    tiles = groups * -(-outs // tile.columns) * -(-images * of.most // tile.rows)
    shared = _STAGES * (tile.rows + tile.columns) * (_STEP + 16) + (tile.rows + of.taps) * _RECORD
    arguments = x, weight, bias, y, images, *of.arguments, groups, ins, outs
    _tiles.launch(
        function, f"{name}, {vector}, {tile.wide}", tiles * of.phases, tile.threads, *arguments, shared=shared
    )
    return y


def _summed_over_windows(x: Array, cotangent: Array, y: Array, of: _Geometry) -> Array:
    """The gradient of a weight (channels, ..., 1) of groups of one channel."""
    channels = x.shape[-1]
    vector = vector_length(channels, x, cotangent)
    tiles, places = -(-channels // (32 * vector)) * -(-of.taps // _TOGETHER), x.shape[0] * of.places
    splits = max(1, min(4 * driver().processors // tiles, places // 64))
    parts = driver().xp.empty((splits, *y.shape), wide_dtype(y))
    _windows.launch(
        "conv_weight_grouped", f"{type_of(x.dtype)}, {vector}", tiles * splits, (32, 8), x, cotangent, parts,
        x.shape[0], *of.arguments, channels, splits,
    )  # fmt: skip
    sum_of_parts(parts, y)
    return y


def _parts(splits: int, y: Array) -> Array | None:
    return driver().xp.empty((splits, *y.shape), wide_dtype(y)) if splits > 1 else None
