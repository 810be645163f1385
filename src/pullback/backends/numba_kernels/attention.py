"""The rows of attention's weights, compiled: what stands between its matrix products."""

from functools import cache
from typing import Any

from ..host import host as np
from . import vector_math
from .compiling import compiled
from .vector_math import exp, log

__all__ = ["slopes_of_rows", "softmax_of_rows"]


def softmax_of_rows(
    start: int, stop: int, scores: Any, logarithms: Any, factor: Any, first: int, period: int, is_causal: bool
) -> None:
    """The softmax of the rows start:stop times `factor`, in place; if causal, row i reaches keys to first + i % period.

    What is left of a row is 0. logarithms: of the sums of exponentials; infinity for a row of nothing but -inf.
    """
    _register()
    _softmax_of_rows(start, stop, scores, logarithms, factor, first, period, is_causal)


def slopes_of_rows(
    start: int,
    stop: int,
    scores: Any,
    of_weights: Any,
    logarithms: Any,
    means: Any,
    factor: Any,
    scale: Any,
    first: int,
    period: int,
    is_causal: bool,
) -> None:
    """The weights again in place of the scores, and `scale` times the scores' gradient in place of the weights'."""
    _register()
    _slopes_of_rows(start, stop, scores, of_weights, logarithms, means, factor, scale, first, period, is_causal)


@compiled
def _softmax_of_rows(
    start: int, stop: int, scores: Any, logarithms: Any, factor: Any, first: int, period: int, is_causal: bool
) -> None:
    zero, one, infinity = scores.dtype.type(0), scores.dtype.type(1), scores.dtype.type(np.inf)
    shifts = np.empty(stop - start, scores.dtype)
    for r in range(start, stop):
        row = scores[r]
        reached = row.size
        if is_causal and first + r % period + 1 < reached:
            reached = first + r % period + 1
        # Eight maxima side by side: of one alone LLVM makes no vectors.
        t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = row[0]
        whole = reached // 8 * 8
        for j in range(0, whole, 8):
            t0 = row[j] if row[j] > t0 else t0
            t1 = row[j + 1] if row[j + 1] > t1 else t1
            t2 = row[j + 2] if row[j + 2] > t2 else t2
            t3 = row[j + 3] if row[j + 3] > t3 else t3
            t4 = row[j + 4] if row[j + 4] > t4 else t4
            t5 = row[j + 5] if row[j + 5] > t5 else t5
            t6 = row[j + 6] if row[j + 6] > t6 else t6
            t7 = row[j + 7] if row[j + 7] > t7 else t7
        for j in range(whole, reached):
            t0 = row[j] if row[j] > t0 else t0
        top = max(max(max(t0, t1), max(t2, t3)), max(max(t4, t5), max(t6, t7)))
        shift = top * factor if top > -infinity else zero
        for j in range(row.size):  # all, as whole vectors are quicker than the rest of one
            weight = _weight(row[j] * factor - shift)
            row[j] = weight if j < reached else zero
        total = zero
        for j in range(row.size):
            total += row[j]
        share = one / total if total != zero else total
        for j in range(row.size):
            row[j] *= share
        shifts[r - start], logarithms[r] = shift, total
    for r in range(start, stop):
        logarithms[r] = shifts[r - start] + log(logarithms[r]) if logarithms[r] != zero else infinity


@compiled
def _slopes_of_rows(
    start: int,
    stop: int,
    scores: Any,
    of_weights: Any,
    logarithms: Any,
    means: Any,
    factor: Any,
    scale: Any,
    first: int,
    period: int,
    is_causal: bool,
) -> None:
    zero = scores.dtype.type(0)
    for r in range(start, stop):
        row, slopes = scores[r], of_weights[r]
        logarithm, mean = logarithms[r], means[r]
        reached = first + r % period + 1 if is_causal else row.size
        for j in range(row.size):
            weight = _weight(row[j] * factor - logarithm)
            weight = weight if j < reached else zero
            row[j] = weight
            slopes[j] = weight * (slopes[j] - mean) * scale


def _weight(x: Any) -> Any:
    """exp(x) for x up to about 0, at half the cost of an exp that takes any x; 0 where it is no normal number."""
    return np.exp(x)


@cache
def _register() -> None:
    """Tell numba what to compile for `_weight`."""
    from numba import types
    from numba.extending import overload

    @overload(_weight, jit_options={"error_model": "numpy", "fastmath": {"contract"}, "forceinline": True})  # type: ignore[untyped-decorator]
    def _(x: Any) -> Any:
        return {types.float32: _weight32, types.float64: _weight64}.get(x)


# As `vector_math.exp`; the power of 2 is one factor, whose bits are all 0 at the least x: 2**-127, or 2**-1023.
_LEAST32, _ONE = np.float32(-88), np.float32(1)
_E0, _E1, _E2, _E3, _E4, _E5 = (getattr(vector_math, f"_E{i}") for i in range(6))
_PER_LOG2, _ROUNDER = vector_math._PER_LOG2, vector_math._ROUNDER
_LOG2_HIGH, _LOG2_LOW, _BIAS = vector_math._LOG2_HIGH, vector_math._LOG2_LOW, vector_math._ROUNDER_BITS - 127


def _weight32(x: Any) -> Any:
    x = _LEAST32 if x < _LEAST32 else x
    shifted = x * _PER_LOG2 + _ROUNDER
    n = shifted - _ROUNDER
    r = (x - n * _LOG2_HIGH) - n * _LOG2_LOW
    p = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
    p = p * (r * r) + r + _ONE
    return p * np.int32(np.int32(np.float32(shifted).view(np.int32) - _BIAS) << 23).view(np.float32)


def _weight64(x: Any) -> Any:
    y = exp(-709.0 if x < -709.0 else x)
    return y if x > -708.0 else 0.0
