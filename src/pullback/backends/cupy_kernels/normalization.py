"""Kernels of the normalizations over positions, by channels, which come last: batch norm and group norm."""

from functools import lru_cache
from typing import Any, Final, NamedTuple

from ..backend import Array
from .factors import empty_factors, sum_parts, wide_dtype, width_of
from .launch import Source, driver, type_of, vector_length
from .rows import ROW_TYPES, are_floating, contiguous
from .table import kernel

_source = Source(
    "normalization",
    (
        *("measure_values", "measure_both", "join_values", "join_both"),
        *("normalize_columns", "pull_columns", "track", "sum_parts"),
    ),
    ROW_TYPES,
)

_WARP: Final = 32
_BLOCK: Final = 256
_EACH: Final = 8
"""How many positions a thread takes at least, where there are enough of them."""
_PARTS: Final = 4
"""How many blocks a multiprocessor gets where each makes parts that are joined later; else as many as there are."""
_MOST: Final = 32
"""How many it gets at most else."""


@kernel("batch_norm", declines=True)
def _(x: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5) -> Any:
    if x.ndim < 2 or not _fits(x, weight, bias):
        return NotImplemented
    return _normalized(x, weight, bias, 1, x.shape[-1], float(eps))


@kernel("batch_norm.vjp(x,weight,bias)", declines=True)
def _(g: tuple[Array | None, ...], x: Array, weight: Array | None, *, eps: float) -> Any:
    gy, *of_statistics = g
    if gy is None or not _fits(x, weight) or gy.dtype != x.dtype:
        return NotImplemented
    if any(a is not None and a.dtype != wide_dtype(x) for a in of_statistics):
        return NotImplemented
    given = (None if a is None else contiguous(a) for a in of_statistics)
    return _gradients(gy, x, weight, 1, x.shape[-1], float(eps), *given)


@kernel("group_norm", declines=True)
def _(x: Array, weight: Array | None = None, bias: Array | None = None, *, num_groups: int, eps: float = 1e-5) -> Any:
    if x.ndim < 2 or num_groups < 1 or x.shape[-1] % num_groups or not _fits(x, weight, bias):
        return NotImplemented
    return _normalized(x, weight, bias, x.shape[0], num_groups, float(eps))[0]


@kernel("group_norm.vjp(x,weight,bias)", declines=True)
def _(g: Array, x: Array, weight: Array | None, *, num_groups: int, eps: float) -> Any:
    if not _fits(x, weight) or g.dtype != x.dtype:
        return NotImplemented
    return _gradients(g, x, weight, x.shape[0], num_groups, float(eps))


@kernel("standardize", declines=True)
def _(
    x: Array, mean: Array, var: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5
) -> Any:
    if not x.ndim or not _fits(x, mean, var) or not _fits(x, weight, bias):
        return NotImplemented
    return _standardized(x, mean, var, weight, bias, 1, x.shape[-1], float(eps))


@kernel("standardize.vjp(x)", declines=True)
def _(g: Array, var: Array, weight: Array | None, *, eps: float) -> Any:
    if not g.ndim or not _fits(g, var) or not _fits(g, weight):
        return NotImplemented
    return _standardized(g, None, var, weight, None, 1, g.shape[-1], float(eps))


@kernel("running_statistics", declines=True)
def _(
    mean: Array,
    var: Array,
    count: Array,
    batch_mean: Array,
    batch_var: Array,
    *,
    size: int,
    momentum: float | None = 0.1,
) -> Any:
    wide, is_whole = width_of(mean, batch_mean, batch_var), count.dtype.name == "int64"
    if wide is None or not are_floating(mean, var) or not (is_whole or count.dtype == mean.dtype) or count.size != 1:
        return NotImplemented
    if mean.ndim != 1 or not mean.shape == var.shape == batch_mean.shape == batch_var.shape:
        return NotImplemented
    given = list(map(contiguous, (mean, var, count, batch_mean, batch_var)))
    renewed = [driver().xp.empty(a.shape, a.dtype) for a in (mean, var, count)]
    share = -1.0 if momentum is None else float(momentum)
    numbers = mean.shape[0], wide, int(is_whole), size / max(size - 1, 1), share
    blocks = max(1, -(-mean.shape[0] // _BLOCK))
    _source.launch("track", f"{type_of(mean.dtype)}, 1", blocks, _BLOCK, *given, *renewed, *numbers)
    return tuple(renewed)


class _Tiles(NamedTuple):
    """How an array (samples, positions, channels) is parted among blocks, see normalization.cu."""

    blocks: int
    threads: tuple[int, int]
    splits: int
    stretch: int


@lru_cache(maxsize=1024)
def _tiles(samples: int, positions: int, channels: int, vector: int, most: int) -> _Tiles:
    """most: how many blocks are wanted."""
    packs = channels // vector
    across = -(-packs // -(-packs // _WARP))
    along = _BLOCK // across
    beside = samples * -(-packs // across)
    wanted = -(-most // beside)
    splits = max(1, min(wanted, positions // (along * _EACH)))
    stretch = -(-positions // splits)
    splits = -(-positions // stretch)
    return _Tiles(beside * splits, (across, along), splits, stretch)


def _fits(x: Array, *factors: Array | None) -> bool:
    """Whether there is something to normalize, in a type that sources know, and factors go with its channels."""
    if not x.size or not are_floating(x) or width_of(x, *factors) is None:
        return False
    return all(factor is None or factor.shape == x.shape[-1:] for factor in factors)


def _normalized(
    x: Array, weight: Array | None, bias: Array | None, samples: int, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    """x normalized over the positions and channels of each group in each sample; mean and variance of each."""
    x, channels = contiguous(x), x.shape[-1]
    positions, empty = x.size // (samples * channels), driver().xp.empty
    vector = vector_length(channels, x)
    types = f"{type_of(x.dtype)}, {vector}"
    blocks, threads, splits, stretch = _tiles(samples, positions, channels, vector, driver().processors * _PARTS)
    parts = empty((2, samples, splits, channels), wide_dtype(x))
    mean, var = empty((samples * groups,), parts.dtype), empty((samples * groups,), parts.dtype)
    _source.launch("measure_values", types, blocks, threads, x, parts, samples, positions, channels, splits, stretch)
    warps = min(_BLOCK // _WARP, channels // groups)
    shape = samples, groups, positions, channels, splits, stretch
    _source.launch("join_values", types, samples * groups, (_WARP, warps), parts, mean, var, *shape)
    return _standardized(x, mean, var, weight, bias, samples, groups, eps), mean, var


def _standardized(
    x: Array,
    mean: Array | None,
    var: Array,
    weight: Array | None,
    bias: Array | None,
    samples: int,
    groups: int,
    eps: float,
) -> Array:
    """x less the mean of its group in its sample, over the root of the variance, times weight, plus bias."""
    x, channels = contiguous(x), x.shape[-1]
    y, positions = driver().xp.empty(x.shape, x.dtype), x.size // (samples * channels)
    vector = vector_length(channels, x, y)
    blocks, threads, splits, stretch = _tiles(samples, positions, channels, vector, driver().processors * _MOST)
    arrays = x, *(None if a is None else contiguous(a) for a in (mean, var, weight, bias)), y
    numbers = groups, positions, channels, splits, stretch, width_of(x, mean, var), width_of(x, weight, bias), eps
    _source.launch("normalize_columns", f"{type_of(x.dtype)}, {vector}", blocks, threads, *arrays, *numbers)
    return y


def _gradients(
    g: Array,
    x: Array,
    weight: Array | None,
    samples: int,
    groups: int,
    eps: float,
    of_mean: Array | None = None,
    of_var: Array | None = None,
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias, given those of the result and of the statistics of `_normalized`."""
    g, x, channels, empty = contiguous(g), contiguous(x), x.shape[-1], driver().xp.empty
    weight = None if weight is None else contiguous(weight)
    gx, (of_weight, of_bias, wide) = empty(x.shape, x.dtype), empty_factors(x, (channels,), weight)
    positions, vector = x.size // (samples * channels), vector_length(channels, g, x, gx)
    types = f"{type_of(x.dtype)}, {vector}"
    blocks, threads, splits, stretch = _tiles(samples, positions, channels, vector, driver().processors * _PARTS)
    parts = empty((4, samples, splits, channels), wide_dtype(x))
    _source.launch("measure_both", types, blocks, threads, x, g, parts, samples, positions, channels, splits, stretch)
    slopes = empty((4, samples, groups), parts.dtype)
    of_samples = empty((samples, 2, channels), parts.dtype) if samples > 1 else None
    warps = min(_BLOCK // _WARP, channels // groups)
    arrays = parts, weight, of_mean, of_var, slopes, of_samples, of_weight, of_bias
    numbers = samples, groups, positions, channels, splits, stretch, wide, eps
    _source.launch("join_both", types, samples * groups, (_WARP, warps), *arrays, *numbers)
    if of_samples is not None:
        sum_parts(_source, types, of_samples, of_weight, of_bias, samples, channels, wide)
    blocks, threads, splits, stretch = _tiles(samples, positions, channels, vector, driver().processors * _MOST)
    shape = samples, groups, positions, channels, splits, stretch
    _source.launch("pull_columns", types, blocks, threads, g, x, slopes, weight, gx, *shape, wide)
    return gx, of_weight, of_bias
