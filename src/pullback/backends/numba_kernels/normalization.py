"""Normalization, compiled: statistics and gradients with a pass or two over memory.

In the functions of columns x is (blocks, rows, columns); statistics are (blocks, columns) in float64, coefficients
(groups of blocks, columns) in the dtype of x. In those of rows x is (rows, columns), `eps` is what is added to the
variance, `per` is one over the columns and `one` is 1, all in the dtype of x; gradients of weight and bias are (blocks,
columns), each of a block of rows.
"""

from typing import Any

from ..host import host as np
from .compiling import compiled

__all__ = [
    "column_moments", "column_sums", "layer_norm", "layer_norm_vjp", "rms_norm", "rms_norm_vjp", "scale_columns",
    "slope_columns",
]  # fmt: skip

_RUN = 128
"""How many rows are summed in their own precision, before the sum goes into one in float64."""


@compiled
def column_moments(start: int, stop: int, x: Any, mean: Any, squares: Any) -> None:
    """The mean of each column in each block, and the sum of its squared deviations."""
    rows, columns = x.shape[1:]
    run, centre = np.empty(columns, x.dtype), np.empty(columns, x.dtype)
    for b in range(start, stop):
        mean[b, :] = 0.0
        squares[b, :] = 0.0
        for first in range(0, rows, _RUN):
            run[:] = 0.0
            for r in range(first, min(first + _RUN, rows)):
                for c in range(columns):
                    run[c] += x[b, r, c]
            for c in range(columns):
                mean[b, c] += run[c]
        for c in range(columns):
            centre[c] = mean[b, c] / rows
            mean[b, c] = centre[c]
        for first in range(0, rows, _RUN):
            run[:] = 0.0
            for r in range(first, min(first + _RUN, rows)):
                for c in range(columns):
                    d = x[b, r, c] - centre[c]
                    run[c] += d * d
            for c in range(columns):
                squares[b, c] += run[c]


@compiled
def column_sums(start: int, stop: int, g: Any, x: Any, mean: Any, squares: Any, total: Any, product: Any) -> None:
    """As `column_moments`; and the sums of g and of g times the deviation of x."""
    rows, columns = x.shape[1:]
    run, centre = np.empty(columns, x.dtype), np.empty(columns, x.dtype)
    ones, units = np.empty(columns, x.dtype), np.empty(columns, x.dtype)
    for b in range(start, stop):
        mean[b, :] = 0.0
        squares[b, :] = 0.0
        total[b, :] = 0.0
        product[b, :] = 0.0
        for first in range(0, rows, _RUN):
            run[:] = 0.0
            for r in range(first, min(first + _RUN, rows)):
                for c in range(columns):
                    run[c] += x[b, r, c]
            for c in range(columns):
                mean[b, c] += run[c]
        for c in range(columns):
            centre[c] = mean[b, c] / rows
            mean[b, c] = centre[c]
        for first in range(0, rows, _RUN):
            run[:] = 0.0
            ones[:] = 0.0
            units[:] = 0.0
            for r in range(first, min(first + _RUN, rows)):
                for c in range(columns):
                    d = x[b, r, c] - centre[c]
                    run[c] += d * d
                    ones[c] += g[b, r, c]
                    units[c] += g[b, r, c] * d
            for c in range(columns):
                squares[b, c] += run[c]
                total[b, c] += ones[c]
                product[b, c] += units[c]


@compiled
def scale_columns(start: int, stop: int, x: Any, centre: Any, scale: Any, shift: Any, y: Any) -> None:
    """(x - centre) * scale + shift."""
    blocks, rows, columns = x.shape
    each = blocks // centre.shape[0]
    for b in range(start, stop):
        q = b // each
        for r in range(rows):
            for c in range(columns):
                y[b, r, c] = (x[b, r, c] - centre[q, c]) * scale[q, c] + shift[q, c]


@compiled
def slope_columns(start: int, stop: int, g: Any, x: Any, of_g: Any, centre: Any, of_x: Any, shift: Any, y: Any) -> None:
    """g * of_g + (x - centre) * of_x + shift."""
    blocks, rows, columns = x.shape
    each = blocks // centre.shape[0]
    for b in range(start, stop):
        q = b // each
        for r in range(rows):
            for c in range(columns):
                y[b, r, c] = g[b, r, c] * of_g[q, c] + (x[b, r, c] - centre[q, c]) * of_x[q, c] + shift[q, c]


@compiled
def layer_norm(start: int, stop: int, x: Any, weight: Any, bias: Any, y: Any, eps: Any, per: Any, one: Any) -> None:
    """Each row less its mean, over the root of its variance, times weight, plus bias."""
    columns = x.shape[1]
    for r in range(start, stop):
        total = one - one
        for c in range(columns):
            total += x[r, c]
        mean = total * per
        total = one - one
        for c in range(columns):
            d = x[r, c] - mean
            total += d * d
        scale = one / np.sqrt(total * per + eps)
        for c in range(columns):
            y[r, c] = (x[r, c] - mean) * scale * weight[c] + bias[c]


@compiled
def layer_norm_vjp(
    start: int, stop: int, g: Any, x: Any, weight: Any, gx: Any, of_weight: Any, of_bias: Any, eps: Any, per: Any,
    one: Any,
) -> None:  # fmt: skip
    """The gradient of x; and those of weight and bias, of each block of rows from `start` to `stop`."""
    (rows, columns), blocks = x.shape, of_weight.shape[0]
    for b in range(start, stop):
        of_weight[b, :] = 0.0
        of_bias[b, :] = 0.0
        for r in range(rows * b // blocks, rows * (b + 1) // blocks):
            total = one - one
            for c in range(columns):
                total += x[r, c]
            mean = total * per
            total, along_one, along_x = one - one, one - one, one - one
            for c in range(columns):
                d = x[r, c] - mean
                gw = g[r, c] * weight[c]
                total += d * d
                along_one += gw
                along_x += gw * d
            scale = one / np.sqrt(total * per + eps)
            shift = along_one * per * scale
            slope = along_x * per * scale * scale * scale
            for c in range(columns):
                d = x[r, c] - mean
                gx[r, c] = g[r, c] * weight[c] * scale - shift - d * slope
                of_weight[b, c] += g[r, c] * (d * scale)
                of_bias[b, c] += g[r, c]


@compiled
def rms_norm(start: int, stop: int, x: Any, weight: Any, y: Any, eps: Any, per: Any, one: Any) -> None:
    """Each row over its root mean square, times weight."""
    columns = x.shape[1]
    for r in range(start, stop):
        total = one - one
        for c in range(columns):
            total += x[r, c] * x[r, c]
        scale = one / np.sqrt(total * per + eps)
        for c in range(columns):
            y[r, c] = x[r, c] * scale * weight[c]


@compiled
def rms_norm_vjp(
    start: int, stop: int, g: Any, x: Any, weight: Any, gx: Any, of_weight: Any, eps: Any, per: Any, one: Any
) -> None:
    """The gradient of x; and that of weight, of each block of rows from `start` to `stop`."""
    (rows, columns), blocks = x.shape, of_weight.shape[0]
    for b in range(start, stop):
        of_weight[b, :] = 0.0
        for r in range(rows * b // blocks, rows * (b + 1) // blocks):
            total, along_x = one - one, one - one
            for c in range(columns):
                total += x[r, c] * x[r, c]
                along_x += g[r, c] * weight[c] * x[r, c]
            scale = one / np.sqrt(total * per + eps)
            slope = along_x * per * scale * scale * scale
            for c in range(columns):
                gx[r, c] = g[r, c] * weight[c] * scale - x[r, c] * slope
                of_weight[b, c] += g[r, c] * (x[r, c] * scale)
