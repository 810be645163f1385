"""Connectionist temporal classification: the likelihood of a sequence of labels, however they are laid over time."""

from collections.abc import Sequence
from math import inf, nan
from typing import Any

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, integers, normal, values
from ...autodiff.op import op
from ...autodiff.tensor import array_of
from ...backends import Array, Namespace, array_beside, backend_of, dtype_name, find_backend_of, is_half
from ...backends.host import host
from ..data_types import astype
from ..elementwise import clip, logaddexp
from ..floating import check_floating
from ..indexing import take_along_axis
from ..manipulation import reshape
from ..precision import in_float32
from ..scatter import scatter_add_along_axis
from ..sizes import whole
from ..special import logsumexp
from ..statistical import sum as total
from ..utility import somewhere
from .classification import check_integers
from .reduction import Reduction, average, check_arrays, check_reduction

__all__ = ["ctc_loss"]

NEVER = -1e30
"""The logarithm of 0 on the way: sums of it stay finite, and so do derivatives."""

Lengths = Array | Sequence[int] | int


def ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Lengths,
    target_lengths: Lengths,
    /,
    *,
    blank: int = 0,
    reduction: Reduction = "mean",
    zero_infinity: bool = False,
) -> Any:
    """The negative log-likelihood of label sequences, summed over all ways to lay them over time; reduced.

    log_probs: (T, N, C), or (T, C) for one sequence: at each time the log-probabilities of the classes.
    targets: integer classes that are not blank: (N, S), of which those past a sequence's length do not matter; or
        all sequences one after the other, (sum of target_lengths,).
    input_lengths, target_lengths: (N,), integers: how much of the times and of the targets counts; or a list of
        numbers, and for one sequence a number.
    blank: the class that stands between labels, and has to where two neighbours are equal.
    reduction: "mean" divides each loss by its target's length, of at least 1, before the mean is taken.
    zero_infinity: what cannot be laid out, as its target is too long, costs 0 and not infinity (its gradient is
        NaN otherwise).
    Returns a 0-d array, or with "none" (N,), or () for one sequence.
    Raises ValueError for shapes that do not go together, classes outside [0, C) and lengths that are too long or below
    0; TypeError for targets and lengths that are no whole numbers, and for targets that are no array.

    Graves et al., "Connectionist temporal classification" (2006). Both passes work with logarithms, for all
    sequences and places at once, and with a loop over time. The gradient is that by `log_probs` themselves.

    >>> import pullback as pb
    >>> even = pb.log(pb.full((3, 1, 2), 0.5))  # three times, one label beside the blank
    >>> pb.exp(-ctc_loss(even, pb.tensor([[1]]), [3], [1], reduction="sum")).item()  # 6 of 8 ways say it once
    0.75
    """
    check_arrays("ctc_loss", log_probs, targets)
    check_floating("ctc_loss", log_probs)
    if len(log_probs.shape) not in (2, 3):
        raise ValueError(f"log_probs are (T, N, C), or (T, C) for one sequence; got shape {tuple(log_probs.shape)}")
    if not 0 <= blank < log_probs.shape[-1]:
        raise ValueError(f"blank is one of the classes, in [0, {log_probs.shape[-1]}); got {blank!r}")
    check_reduction(reduction)
    dtype = log_probs.dtype
    if is_half(dtype):
        log_probs = astype(log_probs, "float32")  # sums over time outgrow these
    single = len(log_probs.shape) == 2
    if single:
        log_probs = log_probs[:, None, :]
    sequences = log_probs.shape[1]
    times = _lengths("input_lengths", input_lengths, log_probs)
    counts = _lengths("target_lengths", target_lengths, log_probs)
    check_integers(targets)
    rows = _in_rows(astype(targets, "int64", copy=False), counts, sequences, single)
    losses = _ctc_loss(log_probs, rows, times, counts, blank=blank, zero_infinity=zero_infinity)
    if reduction == "mean":
        losses = average(losses / astype(clip(counts, 1), losses.dtype))
    elif reduction == "sum":
        losses = total(losses)
    elif single:
        losses = losses[0]
    return astype(losses, dtype, copy=False)


def _lengths(name: str, given: Lengths, log_probs: Array) -> Any:
    """Lengths as an array of int64, (N,), beside the log-probabilities."""
    sequences = log_probs.shape[1]
    if find_backend_of(array_of(given)):
        if "int" not in dtype_name(given.dtype):  # type: ignore[union-attr]
            raise TypeError(f"{name} are whole numbers; got {dtype_name(given.dtype)}")  # type: ignore[union-attr]
        lengths = reshape(astype(given, "int64", copy=False), (-1,))
    else:
        numbers = list(given) if isinstance(given, Sequence) else [given]
        counted = [whole(n, f"each of {name}", least=None) for n in numbers]
        lengths = array_beside(array_of(log_probs), counted, "int64")
    if tuple(lengths.shape) != (sequences,):
        raise ValueError(f"{name} has one number for each of {sequences} sequences; got {lengths.shape[0]}")
    return lengths


def _in_rows(targets: Array, counts: Array, sequences: int, single: bool) -> Any:
    """Targets as (N, S), where they come one after the other."""
    if len(targets.shape) == 1 and single:
        return targets[None, :]
    if len(targets.shape) == 2 and targets.shape[0] == sequences:
        return targets
    if len(targets.shape) != 1:
        raise ValueError(
            f"targets are (N, S), or (sum of target_lengths,) one after the other; got {tuple(targets.shape)} "
            f"for {sequences} sequences"
        )
    like = array_of(counts)
    lengths = host.asarray(backend_of(like).to_host(like))
    if lengths.sum() != targets.shape[0]:
        raise ValueError(f"target_lengths add up to {lengths.sum()}, but there are {targets.shape[0]} targets")
    if not targets.shape[0]:
        return reshape(targets, (sequences, 0))
    places = (host.cumsum(lengths) - lengths)[:, None] + host.arange(lengths.max())
    return targets[array_beside(like, host.minimum(places, targets.shape[0] - 1))]


_TARGETS = values([[1, 2, 1], [2, 2, 0], [1, 0, 0], [0, 0, 0]], differentiable=False)
_COUNTS = values([3, 2, 1, 0], differentiable=False)


@autocasts_to("float32")
@op(
    examples=[
        example(normal(5, 4, 3), _TARGETS, values([5, 4, 2, 3], differentiable=False), _COUNTS),
        example(
            normal(4, 2, 3),
            values([[0, 1], [1, 1]], differentiable=False),
            values([3, 2], differentiable=False),
            values([2, 2], differentiable=False),
            blank=2,
            zero_infinity=True,
        ),
        example(
            normal(2, 2, 3),
            integers(2, 0, high=1),
            values([2, 0], differentiable=False),
            values([0, 0], differentiable=False),
        ),
    ]
)
@in_float32
def _ctc_loss(
    xp: Namespace,
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    /,
    *,
    blank: int = 0,
    zero_infinity: bool = False,
) -> Array:
    """One loss for each sequence (N,): log_probs (T, N, C), targets (N, S)."""
    _check(xp, log_probs, targets, input_lengths, target_lengths, blank)
    labels, skip, ends = _places(xp, log_probs, targets, target_lengths, blank)
    alive = _alive(xp, log_probs, input_lengths)
    before = _before(xp, _emitted(xp, log_probs, labels), skip, alive)
    likelihood, impossible = _likelihood(xp, before[-1], ends, input_lengths, target_lengths)
    return xp.where(impossible, 0.0 if zero_infinity else inf, -likelihood)


@_ctc_loss.vjp("log_probs")
def _(
    xp: Namespace,
    g: Array,
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    *,
    blank: int,
    zero_infinity: bool,
) -> Array:
    """The probability, negative, that a class was said at a time: of all ways to lay the target out, those by there."""
    labels, skip, ends = _places(xp, log_probs, targets, target_lengths, blank)
    alive, emitted = _alive(xp, log_probs, input_lengths), _emitted(xp, log_probs, labels)
    before, behind = _before(xp, emitted, skip, alive), _behind(xp, emitted, skip, ends, alive)
    likelihood, impossible = _likelihood(xp, before[-1], ends, input_lengths, target_lengths)
    likelihood = xp.expand_dims(xp.where(impossible, 0.0, likelihood), axis=-1)
    by = xp.stack([
        xp.where(on, xp.exp(front + rest - likelihood), 0.0)
        for on, front, rest in zip(alive, before, behind, strict=True)
    ])  # fmt: skip
    said = scatter_add_along_axis(by, xp.broadcast_to(labels, by.shape), size=log_probs.shape[-1], axis=-1)
    slope = -xp.expand_dims(g, axis=-1) * said
    if zero_infinity:
        return slope
    return xp.where(xp.logical_and(xp.stack(alive), xp.expand_dims(impossible, axis=-1)), nan, slope)


def _places(xp: Namespace, log_probs: Array, targets: Array, counts: Array, blank: int) -> tuple[Array, Array, Array]:
    """The labels with a blank before, between and behind them: (N, L) with L = 2 * S + 1.

    And, as logarithms to add, whether a place is reached from two before it, and whether it may be the last.
    """
    (sequences, most), dtype, device = targets.shape, log_probs.dtype, log_probs.device
    counted = xp.arange(most, dtype=counts.dtype, device=device) < xp.expand_dims(counts, axis=-1)
    targets = xp.where(counted, targets, blank)
    pairs = xp.stack([xp.full_like(targets, blank), targets], axis=-1)
    end = xp.full((sequences, 1), blank, dtype=targets.dtype, device=device)
    labels = xp.concat([xp.reshape(pairs, (sequences, 2 * most)), end], axis=1)
    zeros = xp.zeros(labels.shape, dtype=dtype, device=device)
    two_before = xp.concat([xp.full((sequences, 2), blank, dtype=labels.dtype, device=device), labels], axis=1)
    differs = xp.logical_and(labels != blank, labels != two_before[:, : 2 * most + 1])
    place = xp.arange(2 * most + 1, dtype=counts.dtype, device=device)
    last = xp.expand_dims(2 * counts, axis=-1)
    ends = xp.logical_or(place == last, place == last - 1)
    return labels, xp.where(differs, zeros, NEVER), xp.where(ends, zeros, NEVER)


def _emitted(xp: Namespace, log_probs: Array, labels: Array) -> Array:
    """The log-probability of each place's label at each time, (T, N, L)."""
    return take_along_axis(xp.maximum(log_probs, NEVER), xp.expand_dims(labels, axis=0), axis=-1)


def _alive(xp: Namespace, log_probs: Array, input_lengths: Array) -> list[Array]:
    """At each time, which sequences still go on: (N, 1)."""
    return [xp.expand_dims(t < input_lengths, axis=-1) for t in range(log_probs.shape[0])]


def _before(xp: Namespace, emitted: Array, skip: Array, alive: list[Array]) -> list[Array]:
    """At each time, all ways that lead to each place, with what they emit up to there. At its end a sequence stays."""
    length = skip.shape[-1]
    edge = xp.full_like(skip[:, :1], NEVER)
    ways = xp.where(xp.arange(length, device=skip.device) <= 1, emitted[0, ...], NEVER)
    found = [ways]
    for t in range(1, emitted.shape[0]):
        padded = xp.concat([edge, edge, ways], axis=1)
        steps = logaddexp(logaddexp(ways, padded[:, 1 : length + 1]), padded[:, :length] + skip)
        ways = xp.where(alive[t], steps + emitted[t, ...], ways)
        found.append(ways)
    return found


def _behind(xp: Namespace, emitted: Array, skip: Array, ends: Array, alive: list[Array]) -> list[Array]:
    """At each time, all ways that lead from each place to an end, with what they emit later."""
    edge = xp.full_like(skip[:, :1], NEVER)
    ways = ends
    found = [ways]
    for t in range(emitted.shape[0] - 1, 0, -1):
        later = ways + emitted[t, ...]
        on = xp.concat([later[:, 1:], edge], axis=1)
        over = xp.concat([later + skip, edge, edge], axis=1)[:, 2:]
        ways = xp.where(alive[t], logaddexp(logaddexp(later, on), over), ends)
        found.append(ways)
    return found[::-1]


def _likelihood(
    xp: Namespace, ways: Array, ends: Array, input_lengths: Array, target_lengths: Array
) -> tuple[Array, Array]:
    """The log-likelihood of each target, and whether there is no way at all to lay it out."""
    found = logsumexp(ways + ends, axis=-1)
    nothing = xp.where(target_lengths == 0, 0.0, xp.full_like(found, NEVER))
    found = xp.where(input_lengths == 0, nothing, found)
    return found, found < NEVER / 2


def _check(xp: Namespace, log_probs: Array, targets: Array, times: Array, counts: Array, blank: int) -> None:
    (length, _, classes), most = log_probs.shape, targets.shape[1]
    if length == 0:
        raise ValueError("ctc_loss takes log_probs of at least one time; got none")
    if somewhere(xp.logical_or(times < 0, times > length)):
        raise ValueError(f"found an input length outside [0, {length}], the times that log_probs have")
    if somewhere(xp.logical_or(counts < 0, counts > most)):
        raise ValueError(f"found a target length outside [0, {most}], the labels that targets have")
    counted = xp.arange(most, dtype=counts.dtype, device=counts.device) < xp.expand_dims(counts, axis=-1)
    outside = xp.logical_or(xp.logical_or(targets < 0, targets >= classes), targets == blank)
    if somewhere(xp.logical_and(counted, outside)):
        raise ValueError(f"found a target outside [0, {classes}), or one that is the blank, {blank}")
