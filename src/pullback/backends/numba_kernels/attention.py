"""The rows of attention's weights, compiled: what stands between its matrix products."""

from typing import Any

from ..host import host as np
from .compiling import compiled
from .vector_math import exp_up_to_0, log

__all__ = ["slopes_of_rows", "softmax_of_rows"]


@compiled
def softmax_of_rows(
    start: int, stop: int, scores: Any, logarithms: Any, factor: Any, first: int, period: int, is_causal: bool
) -> None:
    """The softmax of the rows start:stop times `factor`, in place; if causal, row i reaches keys to first + i % period.

    What is left of a row is 0. logarithms: of the sums of exponentials; infinity for a row of nothing but -inf.
    """
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
            weight = exp_up_to_0(row[j] * factor - shift)
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
    zero = scores.dtype.type(0)
    for r in range(start, stop):
        row, slopes = scores[r], of_weights[r]
        logarithm, mean = logarithms[r], means[r]
        reached = first + r % period + 1 if is_causal else row.size
        for j in range(row.size):
            weight = exp_up_to_0(row[j] * factor - logarithm)
            weight = weight if j < reached else zero
            row[j] = weight
            slopes[j] = weight * (slopes[j] - mean) * scale
