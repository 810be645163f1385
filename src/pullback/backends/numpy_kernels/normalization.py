"""Kernels of normalization: by columns where channels are normalized over positions, by rows over the last axes."""

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any

from ..host import host as np
from ..memory import empty
from ..numba_kernels import is_float, is_worthwhile
from ..numba_kernels import normalization as machine_code
from ..numba_kernels.compiling import in_parts
from .table import kernel

_WIDTH = 128
"""About how many columns a block has, with several positions side by side where channels are few. NumPy takes more."""
_BLOCK = 65536
"""About how many elements a block has, so that what is passed over twice is in the cache the second time."""
_SMALL = 20_000
"""Below which size the fewest calls are the quickest."""
_LONGEST = 65536
"""Up to which length rows are summed in one go; NumPy sums longer ones more precisely."""


@kernel("batch_norm", declines=True)
def _(x: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5) -> Any:
    if x.ndim < 2 or not _is_usual(x, weight, bias, shape=x.shape[-1:]):
        return NotImplemented
    if _is_small(x):
        apart, mean, var = _small_moments(x)
        scale = 1 / np.sqrt(var + eps)
        y = apart.reshape(x.shape)
        y *= scale if weight is None else scale * weight
        return _affine(y, None, bias), mean, var
    y, mean, var = _normalized(x, weight, bias, eps, 1, x.shape[-1])
    return y, mean.reshape(-1).astype(x.dtype), var.reshape(-1).astype(x.dtype)


@kernel("batch_norm.vjp(x,weight,bias)", declines=True)
def _(g: Any, x: Any, weight: Any, *, eps: float) -> Any:
    gy, of_mean, of_var = g
    if gy is None or not _is_usual(x, gy, weight):
        return NotImplemented
    of_mean, of_var = (x.dtype.type(0) if a is None else a for a in (of_mean, of_var))
    if not _is_small(x):
        return _gradients(gy, x, weight, eps, 1, x.shape[-1], of_mean.reshape(1, -1, 1), of_var.reshape(1, -1, 1))
    apart, _, var = _small_moments(x)
    g2, count = gy.reshape(apart.shape), apart.dtype.type(apart.shape[0])
    scale = 1 / np.sqrt(var + eps)
    of_bias, of_weight = np.add.reduce(g2), np.add.reduce(g2 * apart) * scale
    factor = scale if weight is None else scale * weight
    apart *= (2 * of_var - factor * scale * of_weight) / count
    apart += (of_mean - factor * of_bias) / count
    apart += g2 * factor
    return apart.reshape(x.shape), of_weight, of_bias


@kernel("standardize", declines=True)
def _(x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5) -> Any:
    if not _is_usual(x, mean, var, weight, bias, shape=x.shape[-1:]):
        return NotImplemented
    scale = 1 / np.sqrt(var + eps)
    return _along(x, mean, scale if weight is None else scale * weight, bias)


@kernel("standardize.vjp(x)", declines=True)
def _(g: Any, var: Any, weight: Any, *, eps: float) -> Any:
    if not _is_usual(g, var, weight) or var.shape != g.shape[-1:]:
        return NotImplemented
    scale = 1 / np.sqrt(var + eps)
    return _along(g, None, scale if weight is None else scale * weight, None)


@kernel("running_statistics", declines=True)
def _(
    mean: Any, var: Any, count: Any, batch_mean: Any, batch_var: Any, *, size: int, momentum: float | None = 0.1
) -> Any:
    if not mean.dtype == var.dtype == batch_mean.dtype == batch_var.dtype:
        return NotImplemented
    count = count + 1
    share = mean.dtype.type(1 / count if momentum is None else momentum)
    unbiased = batch_var * mean.dtype.type(size / max(size - 1, 1))
    return mean + share * (batch_mean - mean), var + share * (unbiased - var), np.asarray(count)


@kernel("group_norm", declines=True)
def _(x: Any, weight: Any = None, bias: Any = None, *, num_groups: int, eps: float = 1e-5) -> Any:
    if x.ndim < 2 or num_groups < 1 or x.shape[-1] % num_groups or not _is_usual(x, weight, bias, shape=x.shape[-1:]):
        return NotImplemented
    return _normalized(x, weight, bias, eps, x.shape[0], num_groups)[0]


@kernel("group_norm.vjp(x,weight,bias)", declines=True)
def _(g: Any, x: Any, weight: Any, *, num_groups: int, eps: float) -> Any:
    if not _is_usual(x, g, weight):
        return NotImplemented
    return _gradients(g, x, weight, eps, x.shape[0], num_groups)


@kernel("layer_norm", declines=True)
def _(x: Any, weight: Any = None, bias: Any = None, *, normalized_shape: Any, eps: float = 1e-5) -> Any:
    shape = _last_lengths(x, normalized_shape)
    if not shape or not _is_usual(x, weight, bias, shape=shape):
        return NotImplemented
    rows = _rows(x, shape)
    if not _compiles(rows):
        unit, _ = _standardized_rows(rows, eps)
        return _affine(unit.reshape(x.shape), weight, bias)
    y = empty(x.shape, x.dtype)
    factors = _flat(weight, 1, rows), _flat(bias, 0, rows)
    in_parts(machine_code.layer_norm, rows.shape[0], rows, *factors, y.reshape(rows.shape), *_numbers(rows, eps))
    return y


@kernel("layer_norm.vjp(x,weight,bias)", declines=True)
def _(g: Any, x: Any, weight: Any, *, normalized_shape: Any, eps: float) -> Any:
    if not _is_usual(x, g, weight):
        return NotImplemented
    shape = _last_lengths(x, normalized_shape)
    g2, x2 = _rows(g, shape), _rows(x, shape)
    if _compiles(x2):
        gx, parts = empty(x.shape, x.dtype), np.empty((2, _row_blocks(x2), x2.shape[1]), x.dtype)
        arrays = g2, x2, _flat(weight, 1, x2), gx.reshape(x2.shape), *parts
        in_parts(machine_code.layer_norm_vjp, parts.shape[1], *arrays, *_numbers(x2, eps))
        return gx, np.add.reduce(parts[0]).reshape(shape), np.add.reduce(parts[1]).reshape(shape)
    unit, scale = _standardized_rows(x2, eps)
    of_weight = np.add.reduce(g2 * unit).reshape(shape)
    gx = g2 * scale if weight is None else g2 * weight.reshape(-1)
    if weight is not None:
        gx *= scale
    unit *= np.vecdot(gx, unit)[:, None] / x2.shape[1]
    unit += np.add.reduce(gx, axis=-1, keepdims=True) / x2.shape[1]
    gx -= unit
    return gx.reshape(x.shape), of_weight, np.add.reduce(g2).reshape(shape)


@kernel("rms_norm", declines=True)
def _(x: Any, weight: Any = None, *, normalized_shape: Any, eps: float | None = None) -> Any:
    shape = _last_lengths(x, normalized_shape)
    if not shape or not _is_usual(x, weight, shape=shape):
        return NotImplemented
    rows = _rows(x, shape)
    if not _compiles(rows):
        return _affine((rows * _reciprocal_sizes(rows, eps)).reshape(x.shape), weight, None)
    y = empty(x.shape, x.dtype)
    arrays = rows, _flat(weight, 1, rows), y.reshape(rows.shape)
    in_parts(machine_code.rms_norm, rows.shape[0], *arrays, *_numbers(rows, eps))
    return y


@kernel("rms_norm.vjp(x,weight)", declines=True)
def _(g: Any, x: Any, weight: Any, *, normalized_shape: Any, eps: float | None) -> Any:
    if not _is_usual(x, g, weight):
        return NotImplemented
    shape = _last_lengths(x, normalized_shape)
    g2, x2 = _rows(g, shape), _rows(x, shape)
    if _compiles(x2):
        gx, parts = empty(x.shape, x.dtype), np.empty((_row_blocks(x2), x2.shape[1]), x.dtype)
        arrays = g2, x2, _flat(weight, 1, x2), gx.reshape(x2.shape), parts
        in_parts(machine_code.rms_norm_vjp, parts.shape[0], *arrays, *_numbers(x2, eps))
        return gx, np.add.reduce(parts).reshape(shape)
    scale = _reciprocal_sizes(x2, eps)
    unit = x2 * scale
    of_weight = np.add.reduce(g2 * unit).reshape(shape)
    gx = g2 * scale if weight is None else g2 * weight.reshape(-1)
    if weight is not None:
        gx *= scale
    unit *= np.vecdot(gx, unit)[:, None] / x2.shape[1]
    gx -= unit
    return gx.reshape(x.shape), of_weight


def _is_usual(x: Any, *others: Any, shape: tuple[int, ...] | None = None) -> bool:
    """Whether all are of one dtype, float32 or float64, and there is something to normalize; the others of a shape."""
    if not is_float(x.dtype) or not x.size:
        return False
    return all(a is None or (a.dtype == x.dtype and (shape is None or a.shape == shape)) for a in others)


def _affine(y: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y


def _last_lengths(x: Any, normalized_shape: Any) -> tuple[int, ...]:
    """The lengths of the last axes; none where they are not those of x."""
    shape = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
    return shape if shape and x.shape[-len(shape) :] == shape else ()


def _rows(x: Any, shape: tuple[int, ...]) -> Any:
    return np.ascontiguousarray(x).reshape(-1, prod(shape))


def _compiles(rows: Any) -> bool:
    return is_worthwhile(rows.size) and rows.shape[1] <= _LONGEST


def _flat(factor: Any, otherwise: float, rows: Any) -> Any:
    """A weight or a bias as one row; without one, the number that changes nothing."""
    return _row_of(otherwise, rows.shape[1], rows.dtype) if factor is None else np.ascontiguousarray(factor).reshape(-1)


@lru_cache
def _row_of(number: float, length: int, dtype: Any) -> Any:
    return np.full(length, number, dtype)


def _numbers(rows: Any, eps: float | None) -> tuple[Any, ...]:
    """What is added to the variance, one over the columns, and 1, in the dtype of the rows."""
    return _scalars(rows.dtype.type, float(_least(rows, eps)), rows.shape[1])


@lru_cache
def _scalars(kind: Any, least: float, columns: int) -> tuple[Any, ...]:
    return kind(least), kind(1 / columns), kind(1)


def _least(x: Any, eps: float | None) -> float:
    return float(np.finfo(x.dtype).eps) if eps is None else eps


def _row_blocks(rows: Any) -> int:
    """Into how many blocks rows are parted, each of which sums the gradients of weight and bias for itself."""
    return int(min(rows.shape[0], max(16, rows.shape[0] // 256)))


def _standardized_rows(x: Any, eps: float) -> tuple[Any, Any]:
    """Each row less its mean, over the root of its variance; and the reciprocals of these."""
    unit = x - np.add.reduce(x, axis=-1, keepdims=True) / x.shape[1]
    scale = _reciprocal_sizes(unit, eps)
    unit *= scale
    return unit, scale


def _reciprocal_sizes(x: Any, eps: float | None) -> Any:
    return 1 / np.sqrt(np.vecdot(x, x)[:, None] / x.shape[1] + _least(x, eps))


def _is_small(x: Any) -> bool:
    return x.size < _SMALL and not is_worthwhile(x.size)


def _small_moments(x: Any) -> tuple[Any, Any, Any]:
    """x less the means of its channels, (positions, channels); the means and the variances."""
    x = x.reshape(-1, x.shape[-1])
    mean = np.add.reduce(x) / x.dtype.type(x.shape[0])
    apart = x - mean
    return apart, mean, np.add.reduce(apart * apart) / x.dtype.type(x.shape[0])


def _along(x: Any, mean: Any, scale: Any, bias: Any) -> Any:
    """(x - mean) * scale + bias, for each channel."""
    if _is_small(x):
        return _affine(x - mean, scale, bias) if mean is not None else x * scale
    shape, blocks = (1, 1, x.shape[-1]), _blocks(x, 1)
    x3, y = np.ascontiguousarray(x).reshape(blocks), empty(x.shape, x.dtype)
    rows = tuple(0.0 if a is None else a for a in (mean, scale, bias))
    centre, scale, shift = _coefficients(rows, shape, x3)
    _scale(x3, centre, scale, shift, y.reshape(blocks))
    return y


def _normalized(x: Any, weight: Any, bias: Any, eps: float, samples: int, groups: int) -> tuple[Any, Any, Any]:
    """x normalized over the positions and channels of each group in each sample; mean and variance of each."""
    blocks, shape = _blocks(x, samples), (samples, groups, x.shape[-1] // groups)
    x3, y = np.ascontiguousarray(x).reshape(blocks), empty(x.shape, x.dtype)
    mean, var, *_ = _merged(_moments(x3), blocks[1], shape)
    scale = 1 / np.sqrt(var + eps)
    if weight is not None:
        scale = scale * weight.reshape(shape[1:])
    shift = 0.0 if bias is None else bias.reshape(shape[1:])
    centre, scale, shift = _coefficients((mean, scale, shift), shape, x3)
    _scale(x3, centre, scale, shift, y.reshape(blocks))
    return y, mean, var


def _gradients(
    g: Any, x: Any, weight: Any, eps: float, samples: int, groups: int, of_mean: Any = 0.0, of_var: Any = 0.0
) -> tuple[Any, Any, Any]:
    """The gradients of x, weight and bias, given those of the three results of `_normalized`."""
    blocks, shape = _blocks(x, samples), (samples, groups, x.shape[-1] // groups)
    g3, x3 = (np.ascontiguousarray(a).reshape(blocks) for a in (g, x))
    mean, var, of_bias, of_scale, count = _merged(_sums(g3, x3), blocks[1], shape)
    weight = np.ones(shape[1:]) if weight is None else weight.reshape(shape[1:])
    scale = 1 / np.sqrt(var + eps)
    along_one, along_x = (np.add.reduce(a * weight, axis=-1, keepdims=True) / count for a in (of_bias, of_scale))
    of_x, shift = 2 / count * of_var - scale**3 * along_x, of_mean / count - scale * along_one
    gx = empty(x.shape, x.dtype)
    of_g, centre, of_x, shift = _coefficients((scale * weight, mean, of_x, shift), shape, x3)
    _slope(g3, x3, of_g, centre, of_x, shift, gx.reshape(blocks))
    of_factors = np.add.reduce(of_scale * scale), np.add.reduce(of_bias)
    return gx, *(a.reshape(-1).astype(x.dtype) for a in of_factors)


def _blocks(x: Any, samples: int) -> tuple[int, int, int]:
    """How x is seen by blocks, (blocks, rows, columns): none holds elements of two of the samples."""
    channels = x.shape[-1]
    positions = x.size // (samples * channels)
    if samples == 1 and x.ndim > 2 and positions // x.shape[0] >= 16:
        samples, positions = x.shape[0], positions // x.shape[0]
    split = 1
    while positions % (2 * split) == 0 and positions // split * channels > _BLOCK:
        split *= 2
    rows, side = positions // split, 1
    width = _WIDTH if is_worthwhile(x.size) else 4 * _WIDTH
    while rows % (2 * side) == 0 and rows // side >= 16 and side * channels < width:
        side *= 2
    return samples * split, rows // side, side * channels


def _merged(statistics: Any, rows: int, shape: tuple[int, int, int]) -> tuple[Any, ...]:
    """The statistics of blocks (means, squared deviations, ...) as those of groups of channels.

    shape: (samples, groups, channels of a group). Returns mean and variance, (samples, groups, 1), the other
    statistics, of that shape, and how many values a group has in a sample.
    """
    means, squares, *others = statistics.reshape(len(statistics), shape[0], -1, statistics.shape[-1])
    channels = shape[1] * shape[2]
    blocks = means[0].size // channels
    mean = np.add.reduce(_by_channel(means, shape), axis=-1, keepdims=True) / (blocks * shape[2])
    apart = means - _along_channels(mean, shape, means.shape[-1], mean.dtype)[:, None]
    var = _by_channel(squares + rows * (apart * apart), shape)
    var = np.add.reduce(var, axis=-1, keepdims=True) / (rows * blocks * shape[2])
    if others:  # deviations from the group's mean instead of the block's
        total, product = others
        others = [_by_channel(total, shape), _by_channel(product + apart * total, shape)]
    return mean, var, *others, rows * blocks * shape[2]


def _by_channel(parts: Any, shape: tuple[int, int, int]) -> Any:
    """Sums over the blocks of each sample, and over positions side by side."""
    return np.add.reduce(np.add.reduce(parts, axis=1).reshape(shape[0], -1, *shape[1:]), axis=1)


def _along_channels(value: Any, shape: tuple[int, int, int], width: int, dtype: Any) -> Any:
    """A value for each channel, as (samples, width): repeated for positions side by side."""
    rows = np.empty((shape[0], width // (shape[1] * shape[2]), *shape[1:]), dtype)
    rows[...] = value[:, None] if np.ndim(value) == 3 else value
    return rows.reshape(shape[0], width)


def _coefficients(values: tuple[Any, ...], shape: tuple[int, int, int], x: Any) -> list[Any]:
    """Values for each channel as rows of the width of x, in its dtype."""
    return [_along_channels(a, shape, x.shape[2], x.dtype) for a in values]


def _parts(x: Any) -> Iterator[slice]:
    """Blocks that are taken together, few enough to stay in the cache."""
    step = max(1, _BLOCK // 4 // (x.shape[1] * x.shape[2]))
    return (slice(start, start + step) for start in range(0, x.shape[0], step))


def _moments(x: Any) -> Any:
    """Mean and squared deviations of each column of each block, (2, blocks, columns)."""
    found = np.empty((2, x.shape[0], x.shape[2]))
    if is_worthwhile(x.size):
        in_parts(machine_code.column_moments, x.shape[0], x, *found)
        return found
    for part in _parts(x):
        apart = _less_means(x[part], found[0, part])
        apart *= apart
        found[1, part] = np.add.reduce(apart, axis=1)
    return found


def _sums(g: Any, x: Any) -> Any:
    """As `_moments`; and the sums of g and of g times the deviation of x."""
    found = np.empty((4, x.shape[0], x.shape[2]))
    if is_worthwhile(x.size):
        in_parts(machine_code.column_sums, x.shape[0], g, x, *found)
        return found
    for part in _parts(x):
        apart = _less_means(x[part], found[0, part])
        found[2, part] = np.add.reduce(g[part], axis=1)
        found[3, part] = np.add.reduce(g[part] * apart, axis=1)
        apart *= apart
        found[1, part] = np.add.reduce(apart, axis=1)
    return found


def _less_means(x: Any, means: Any) -> Any:
    """x less the means of its columns in each block, which are written to `means`."""
    rounded = np.add.reduce(x, axis=1) / x.dtype.type(x.shape[1])
    means[...] = rounded
    return x - rounded[:, None]


def _scale(x: Any, centre: Any, scale: Any, shift: Any, y: Any) -> None:
    """Write (x - centre) * scale + shift, by columns, to y."""
    if is_worthwhile(x.size):
        in_parts(machine_code.scale_columns, x.shape[0], x, centre, scale, shift, y)
        return
    for part in _parts(x):
        group, of_part = _groups(part, x, centre), y[part]
        np.subtract(x[part], centre[group], out=of_part)
        of_part *= scale[group]
        of_part += shift[group]


def _slope(g: Any, x: Any, of_g: Any, centre: Any, of_x: Any, shift: Any, y: Any) -> None:
    """Write g * of_g + (x - centre) * of_x + shift, by columns, to y."""
    if is_worthwhile(x.size):
        in_parts(machine_code.slope_columns, x.shape[0], g, x, of_g, centre, of_x, shift, y)
        return
    for part in _parts(x):
        group, of_part = _groups(part, x, centre), y[part]
        np.subtract(x[part], centre[group], out=of_part)
        of_part *= of_x[group]
        of_part += shift[group]
        of_part += g[part] * of_g[group]


def _groups(part: slice, x: Any, coefficients: Any) -> Any:
    """The index that gives the coefficients of each block of a part, to be broadcast along its rows."""
    if len(coefficients) == 1:
        return slice(None), None
    return np.arange(*part.indices(x.shape[0])) // (x.shape[0] // len(coefficients)), None
