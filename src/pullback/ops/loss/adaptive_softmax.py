"""Adaptive softmax (Grave et al., 2017): for many classes, of which the rare ones stand in clusters.

The head scores the frequent classes, the shortlist, and each cluster as one; a cluster's own scores are taken for the
samples that fall into it, after a projection to fewer features.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ...backends import Array
from ..activation import log_softmax
from ..data_types import astype
from ..elementwise import greater_equal, less, logical_and, logical_or
from ..indexing import take, take_along_axis
from ..linear_algebra import linear
from ..manipulation import concat, expand_dims, reshape
from ..scatter import scatter_add
from ..searching import nonzero, where
from ..utility import readable, somewhere
from .classification import check_integers
from .reduction import average, check_arrays

__all__ = ["adaptive_log_prob", "adaptive_log_softmax_with_loss"]


def adaptive_log_softmax_with_loss(
    input: Array,
    target: Array,
    head: Sequence[Array | None],
    tails: Sequence[Sequence[Array]],
    /,
    *,
    cutoffs: Sequence[int],
) -> tuple[Any, Any]:
    """The log-probability of each sample's own class, by adaptive softmax; and their mean, negative, the loss.

    input: (N, D), or (D,) for one sample. target: (N,) or (), integer classes, the frequent ones first.
    head: weight (cutoffs[0] + K, D) and bias, or None for the latter: the shortlist, then the K clusters.
    tails: for each cluster the weights (H, D) of its projection and (its classes, H) of its scores.
    cutoffs: where the shortlist and each cluster end; K + 1 numbers, of which the last is the number of classes.
    Returns (N,) or (), and a 0-d array.
    Raises ValueError when a class lies outside [0, cutoffs[-1]), and for shapes that do not go together.
    """
    check_arrays("adaptive softmax", input, target)
    check_integers(target)
    if len(input.shape) not in (1, 2) or tuple(target.shape) != tuple(input.shape[:-1]):
        raise ValueError(
            f"adaptive softmax takes inputs (N, D) and classes (N,), or (D,) and (); "
            f"got {tuple(input.shape)} and {tuple(target.shape)}"
        )
    target = astype(target, "int64", copy=False)  # a narrow type may not hold the cutoffs
    if readable(target) and somewhere(logical_or(less(target, 0), greater_equal(target, cutoffs[-1]))):
        raise ValueError(f"found a class outside [0, {cutoffs[-1]})")
    rows = reshape(input, (-1, input.shape[-1]))
    output = reshape(_of_own_classes(rows, reshape(target, (-1,)), head, tails, cutoffs), target.shape)

    return output, average(-output)


def _of_own_classes(
    input: Array,
    target: Array,
    head: Sequence[Array | None],
    tails: Sequence[Sequence[Array]],
    cutoffs: Sequence[int],
) -> Any:
    """The log-probability of each sample's class, (N,): what its cluster gives, on top of what the head gives."""
    places, parts = target, []
    for number, (low, high) in enumerate(pairwise(cutoffs)):
        inside = logical_and(greater_equal(target, low), less(target, high))
        places = where(inside, cutoffs[0] + number, places)
        rows = nonzero(inside)[0]
        if rows.shape[0]:
            scores = log_softmax(_cluster(take(input, rows, axis=0), tails[number]))
            own = take_along_axis(scores, expand_dims(take(target, rows) - low, axis=-1), axis=-1)
            parts.append(scatter_add(own[:, 0], rows, size=input.shape[0]))
    scores = log_softmax(linear(input, *head))
    return sum(parts, take_along_axis(scores, expand_dims(places, axis=-1), axis=-1)[:, 0])


def adaptive_log_prob(
    input: Array, head: Sequence[Array | None], tails: Sequence[Sequence[Array]], /, *, cutoffs: Sequence[int]
) -> Any:
    """The log-probabilities of all classes, by adaptive softmax; (..., D) gives (..., cutoffs[-1]).

    head, tails, cutoffs: as for `adaptive_log_softmax_with_loss`.
    """
    scores, end = log_softmax(linear(input, *head)), cutoffs[0]
    clusters = [
        log_softmax(_cluster(input, tail)) + scores[..., end + number : end + number + 1]
        for number, tail in enumerate(tails)
    ]
    return concat([scores[..., :end], *clusters], axis=-1)


def _cluster(input: Array, tail: Sequence[Array]) -> Any:
    projection, weight = tail
    return linear(linear(input, projection), weight)
