"""Losses of classification: a score for each class, along the last axis."""

from math import nan, prod
from typing import Any, Literal

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, integers, normal, probabilities, uniform, values
from ...backends import Array, Namespace, dtype_name
from ..activation import log_softmax, softmax
from ..floating import floating_op
from ..indexing import one_hot
from ..linear_algebra import linear
from ..precision import in_float32
from ..special import xlogy
from ..utility import readable, somewhere
from .reduction import Reduction, beside, check_arrays, check_same_shape, check_scores, check_weight, reduced

__all__ = [
    "cross_entropy", "kl_div", "linear_cross_entropy", "multi_margin_loss", "multilabel_margin_loss", "nll_loss",
]  # fmt: skip


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(6, 3), integers(6, high=3), reduction=r) for r in ("mean", "sum", "none")),
        example(normal(6, 3), integers(6, high=3), uniform(3, low=0.5, high=2), label_smoothing=0.1),
        example(normal(3, 3), values([0, 2, 1], differentiable=False), ignore_index=2),
        example(normal(2, 4, 3), integers(2, 4, high=3), uniform(3), reduction="none"),
        example(normal(6, 3), probabilities(6, 3), uniform(3), label_smoothing=0.2),
        example(normal(6, 3), integers(6, high=3), dtype="float64"),
    ]
)
def _cross_entropy(
    xp: Namespace,
    logits: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    dtype: Any = None,
) -> Array:
    """Cross-entropy between logits and a class, per sample, reduced.

    dtype: what is computed in and given; by default that of `logits`.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is a share between 0 and 1; got {label_smoothing!r}")
    check_scores("cross_entropy", logits)
    if tuple(target.shape) != tuple(logits.shape):
        _check_classes(xp, "cross_entropy", logits, target, ignore_index)
    check_weight(logits, weight)
    share, total = _shares(xp, logits, target, weight, ignore_index, label_smoothing)
    surprise = -xp.where(share == 0, xp.zeros_like(share), log_softmax(logits))  # a class of no share may be impossible
    losses = xp.sum(share * surprise, axis=-1)
    return _mean(xp, xp.sum(losses), total) if reduction == "mean" else reduced(xp, losses, reduction)


@_cross_entropy.vjp("logits")
@in_float32
def _(
    xp: Namespace,
    g: Array,
    logits: Array,
    target: Array,
    weight: Array | None,
    *,
    ignore_index: int,
    label_smoothing: float,
    reduction: Reduction,
) -> Array:
    logits = beside(xp, logits, g)
    share, total = _shares(xp, logits, target, weight, ignore_index, label_smoothing)
    g = g / _divisor(xp, total) if reduction == "mean" else g if reduction == "sum" else xp.expand_dims(g, axis=-1)
    return g * (softmax(logits) * xp.sum(share, axis=-1, keepdims=True) - share)


@_cross_entropy.vjp("target")
@in_float32
def _(
    xp: Namespace,
    g: Array,
    logits: Array,
    target: Array,
    weight: Array | None,
    *,
    label_smoothing: float,
    reduction: Reduction,
) -> Array:
    logits = beside(xp, logits, g)
    _, total = _shares(xp, logits, target, weight, -100, 0.0)
    g = g / _divisor(xp, total) if reduction == "mean" else g if reduction == "sum" else xp.expand_dims(g, axis=-1)
    slope = -(1 - label_smoothing) * log_softmax(logits)
    return g * (slope if weight is None else slope * beside(xp, weight, slope))


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy between logits and a class, per sample, reduced.

    logits: (N, ..., C), floating. target: (N, ...) integer classes, or (N, ..., C) probabilities.
    weight: (C,), rescales each class, or None. ignore_index: a class that costs nothing.
    label_smoothing: the share of each target that is spread evenly over the classes.
    Returns a 0-d array for "mean" and "sum", (N, ...) for "none", in the dtype of `logits`; inside `autocast` in
    float32, without a copy of logits of half precision. With classes, "mean" is weighted by the classes' weights.
    Raises ValueError when a class lies outside [0, C) and is not `ignore_index`; of a target on a device, which would
    have to be waited for, nobody looks at the values.

    Computed as logsumexp(logits) - logits[target], so it never overflows.
    """
    return _cross_entropy(
        logits,
        target,
        weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )


def _shares(
    xp: Namespace,
    logits: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[Array, Array | float]:
    """How much of each sample's target falls on each class, weighted; and what "mean" divides by."""
    classes, weight = logits.shape[-1], beside(xp, weight, logits)
    if tuple(target.shape) == tuple(logits.shape):
        share, total = beside(xp, target, logits), float(prod(logits.shape[:-1]))
        kept = None
    else:
        share, kept = _one_hot(xp, logits, target, ignore_index)
        total = xp.sum(share if weight is None else share * weight)
    if label_smoothing:
        share = share * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        share = share * weight
    return (share if kept is None else share * kept), total


def _one_hot(xp: Namespace, logits: Array, target: Array, ignore_index: int) -> tuple[Array, Array]:
    """(..., C) with 1 at the target's class, nothing where it is ignored; and (..., 1) with 1 where it counts."""
    target = _wide(xp, target)
    kept = xp.expand_dims(xp.astype(target != ignore_index, logits.dtype), axis=-1)
    return xp.astype(one_hot(target, classes=logits.shape[-1]), logits.dtype) * kept, kept


def _divisor(xp: Namespace, total: Array | float) -> Array | float:
    """What "mean" divides by; 1 where nothing counts, so that the gradients are 0."""
    return (total or 1.0) if type(total) is float else xp.where(total == 0, xp.ones_like(total), total)


def _mean(xp: Namespace, losses: Array, total: Array | float) -> Array:
    """The sum of the losses over what they count; NaN where nothing counts."""
    mean = losses / _divisor(xp, total)
    if type(total) is float:
        return mean if total else mean * nan
    return xp.where(total == 0, xp.full_like(mean, nan), mean)


def _check_classes(xp: Namespace, name: str, logits: Array, target: Array, ignore_index: int | None = None) -> None:
    check_scores(name, logits)
    if tuple(target.shape) != tuple(logits.shape[:-1]):
        raise ValueError(
            f"for scores of shape {tuple(logits.shape)}, classes have shape {tuple(logits.shape[:-1])}; "
            f"got {tuple(target.shape)}"
        )
    check_integers(target)
    if not readable(target):
        return
    target = _wide(xp, target)
    outside = xp.logical_or(target < 0, target >= logits.shape[-1])
    if ignore_index is not None:
        outside = xp.logical_and(outside, target != ignore_index)
    if somewhere(outside):
        but = "" if ignore_index is None else f" that is not ignore_index={ignore_index}"
        raise ValueError(f"found a class outside [0, {logits.shape[-1]}){but}")


def _wide(xp: Namespace, target: Array) -> Array:
    """Classes as integers that can be compared with any number of classes, and with an `ignore_index` below 0."""
    return xp.astype(target, xp.int64, copy=False)


def check_integers(target: Array) -> None:
    """Raise TypeError for classes that are no integers."""
    if "int" not in dtype_name(target.dtype):
        raise TypeError(f"classes are integers; got {dtype_name(target.dtype)}. Cast them: target.astype('int64')")


@floating_op(
    examples=[
        *(example(normal(6, 4), normal(3, 4), integers(6, high=3), reduction=r) for r in ("mean", "sum", "none")),
        example(normal(6, 4), normal(3, 4), integers(6, high=3), normal(3), integers(3, low=1, high=4), ignore_index=2),
        example(normal(2, 5, 4), normal(3, 4), integers(2, 5, high=3), label_smoothing=0.1),
        example(normal(6, 4), normal(3, 2, 5, 4), integers(6, 2, 5, high=3), normal(3, 2, 5), reduction="none"),
        example(normal(6, 4), normal(3, 2, 4), probabilities(6, 2, 3), normal(3, 2), integers(3, low=1, high=4)),
        example(normal(4), normal(3, 4), integers(high=3)),
    ]
)
def linear_cross_entropy(
    xp: Namespace,
    input: Array,
    linear_weight: Array,
    target: Array,
    linear_bias: Array | None = None,
    weight: Array | None = None,
    /,
    *,
    reduction: Reduction = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Array:
    """Cross-entropy between the logits that a linear map makes of an input and a class, reduced.

    input: (..., D), floating. linear_weight: (C, *lengths, D), where `lengths`, mostly (), are those of several
        predictions for each input. linear_bias: (C, *lengths), or None.
    target: (..., *lengths) integer classes, or (..., *lengths, C) probabilities.
    weight, ignore_index, label_smoothing, reduction: as for `cross_entropy`.
    Returns a 0-d array for "mean" and "sum", (..., *lengths) for "none".
    Raises ValueError for shapes that do not go together, for an `ignore_index` beside probabilities, and when a class
    lies outside [0, C) and is not `ignore_index`.

    >>> import pullback as pb
    >>> linear_cross_entropy(pb.ones((2, 4)), pb.zeros((10, 4)), pb.tensor([3, 7])).item()  # log(10)
    2.3025851249694824
    """
    check_arrays("linear_cross_entropy", linear_weight, target)
    shape = tuple(linear_weight.shape)
    matched = len(shape) > 1 and tuple(input.shape[-1:]) == shape[-1:]
    if not matched or (linear_bias is not None and tuple(linear_bias.shape) != shape[:-1]):
        raise ValueError(
            "linear_cross_entropy takes an input (..., D), linear_weight (C, *lengths, D) and linear_bias "
            f"(C, *lengths); got shapes {tuple(input.shape)}, {shape} and "
            f"{None if linear_bias is None else tuple(linear_bias.shape)}"
        )
    if len(shape) > 2:  # classes come last
        linear_weight = xp.reshape(xp.moveaxis(linear_weight, 0, -2), (prod(shape[:-1]), shape[-1]))
        linear_bias = None if linear_bias is None else xp.reshape(xp.moveaxis(linear_bias, 0, -1), (-1,))
    logits = xp.reshape(linear(input, linear_weight, linear_bias), (*input.shape[:-1], *shape[1:-1], shape[0]))
    if ignore_index is not None and tuple(target.shape) == tuple(logits.shape):
        raise ValueError(f"ignore_index={ignore_index} is a class, but the target has probabilities; leave it out")
    return cross_entropy(
        logits,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(6, 3), integers(6, high=3), reduction=r) for r in ("mean", "sum", "none")),
        example(normal(3, 3), values([0, 2, 1], differentiable=False), uniform(3, low=0.5, high=2), ignore_index=2),
    ]
)
def nll_loss(
    xp: Namespace,
    input: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Array:
    """Negative log-likelihood of classes, given log-probabilities; reduced.

    input: (N, ..., C), as `log_softmax` gives. target: (N, ...) integer classes.
    weight, ignore_index, reduction and what is raised: as for `cross_entropy`.
    """
    _check_classes(xp, "nll_loss", input, target, ignore_index)
    check_weight(input, weight)
    share = _weighted_classes(xp, input, target, weight, ignore_index)
    losses = -xp.sum(xp.where(share == 0, xp.zeros_like(share), share * input), axis=-1)
    return _mean(xp, xp.sum(losses), xp.sum(share)) if reduction == "mean" else reduced(xp, losses, reduction)


@nll_loss.vjp("input")
def _(
    xp: Namespace,
    g: Array,
    input: Array,
    target: Array,
    weight: Array | None,
    *,
    ignore_index: int,
    reduction: Reduction,
) -> Array:
    share = _weighted_classes(xp, input, target, weight, ignore_index)
    g = (
        g / _divisor(xp, xp.sum(share))
        if reduction == "mean"
        else g
        if reduction == "sum"
        else xp.expand_dims(g, axis=-1)
    )
    return -g * share


def _weighted_classes(xp: Namespace, input: Array, target: Array, weight: Array | None, ignore_index: int) -> Array:
    """(..., C) with the weight of the target's class at its place, 0 elsewhere and where it is ignored."""
    hot, _ = _one_hot(xp, input, target, ignore_index)
    return hot if weight is None else hot * beside(xp, weight, input)


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(6, 3), uniform(6, 3, low=0.2), reduction=r) for r in ("mean", "sum", "none", "batchmean")),
        example(normal(2, 4, 3), normal(2, 4, 3), log_target=True, reduction="batchmean"),
        example(normal(3), values([0.0, 0.4, 0.6], differentiable=False)),
    ]
)
def kl_div(
    xp: Namespace,
    input: Array,
    target: Array,
    /,
    *,
    reduction: Literal["mean", "sum", "none", "batchmean"] = "mean",
    log_target: bool = False,
) -> Array:
    """Kullback-Leibler divergence of distributions from log-probabilities, element by element, reduced.

    input: log-probabilities. target: probabilities of the same shape, or with `log_target` their logarithms.
    reduction: "batchmean", the sum over the length of the first axis, is the divergence that the mathematics
        means; "mean" divides by the number of elements.
    Returns a 0-d array, or with "none" one of the input's shape. A target of 0 costs nothing.
    """
    check_same_shape("kl_div", input, target)
    target = beside(xp, target, input)
    losses = xp.exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction == "batchmean":
        batch = input.shape[0] if input.shape else 1
        return xp.sum(losses) / batch if batch else xp.sum(losses) * nan
    return reduced(xp, losses, reduction)


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(6, 3), integers(6, high=3), reduction=r) for r in ("mean", "sum", "none")),
        example(normal(6, 3), integers(6, high=3), uniform(3, low=0.5, high=2), p=2, margin=0.5),
        example(normal(3), integers(high=3), uniform(3)),
    ]
)
def multi_margin_loss(
    xp: Namespace,
    input: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    p: int = 1,
    margin: float = 1.0,
    reduction: Reduction = "mean",
) -> Array:
    """By how much each wrong class comes within a margin of the right one, averaged over the classes; reduced.

    input: (..., C), scores. target: (...), integer classes. weight: (C,), rescales each class, or None.
    p: 1, or 2 for the squares. The derivative where a class just touches the margin is 0.
    Returns a 0-d array, or with "none" one of shape (...).
    Raises ValueError when a class lies outside [0, C).
    """
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss has p=1 or p=2; got {p!r}")
    _check_classes(xp, "multi_margin_loss", input, target)
    check_weight(input, weight)
    hot = one_hot(_wide(xp, target), classes=input.shape[-1])
    right = xp.sum(xp.where(hot, input, 0.0), axis=-1, keepdims=True)
    within = margin - right + input
    within = xp.where(xp.logical_and(within > 0, xp.logical_not(hot)), within, 0.0)
    losses = xp.mean(within * within if p == 2 else within, axis=-1)
    if weight is not None:
        losses = losses * xp.sum(xp.where(hot, beside(xp, weight, input), 0.0), axis=-1)
    return reduced(xp, losses, reduction)


_LABELS = values([[0, 2, -1, 3], [1, -1, 2, 0], [3, 3, 0, -1], [-1, 0, 0, 0]], differentiable=False)


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(4, 4), _LABELS, reduction=r) for r in ("mean", "sum", "none")),
        example(normal(3), values([2, 1, -1], differentiable=False)),
    ]
)
def multilabel_margin_loss(xp: Namespace, input: Array, target: Array, /, *, reduction: Reduction = "mean") -> Array:
    """By how much wrong classes come within 1 of right ones, summed over the pairs, over the classes; reduced.

    input: (..., C), scores. target: of that shape, integers: the right classes of each sample, then -1; what follows
        the first -1 is not looked at.
    The derivative where a pair just touches the margin is 0. All pairs are held at once: the memory of (..., C, C).
    Returns a 0-d array, or with "none" one of shape (...).
    Raises ValueError when a class lies outside [-1, C).
    """
    check_same_shape("multilabel_margin_loss", input, target)
    check_scores("multilabel_margin_loss", input)
    check_integers(target)
    target, classes = _wide(xp, target), input.shape[-1]
    if readable(target) and somewhere(xp.logical_or(target < -1, target >= classes)):
        raise ValueError(f"found a class outside [0, {classes}) that is not the -1 which ends a list")
    listed = xp.cumulative_sum(xp.astype(target < 0, xp.int64), axis=-1) == 0
    hot = one_hot(xp.where(listed, target, -1), classes=classes)  # (..., place in the list, class)
    wrong = xp.logical_not(xp.any(hot, axis=-2, keepdims=True))
    right = xp.sum(xp.where(hot, xp.expand_dims(input, axis=-2), 0.0), axis=-1, keepdims=True)
    within = 1 - right + xp.expand_dims(input, axis=-2)
    counts = xp.logical_and(xp.logical_and(xp.expand_dims(listed, axis=-1), wrong), within > 0)
    return reduced(xp, xp.sum(xp.where(counts, within, 0.0), axis=(-2, -1)) / classes, reduction)
