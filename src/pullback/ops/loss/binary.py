"""Losses of yes and no: one score for each answer, or for each of several labels."""

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, integers, normal, uniform, values
from ...backends import Array, Namespace
from ..activation import sigmoid
from ..elementwise import logaddexp
from ..floating import floating_op
from ..utility import readable, somewhere
from .reduction import Reduction, beside, check_broadcasts, check_same_shape, check_scores, check_weight, reduced, share

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "multilabel_soft_margin_loss", "soft_margin_loss",
]  # fmt: skip


@autocasts_to("float32")
@floating_op(
    examples=[
        example(uniform(5, 3, low=0.1, high=0.9), uniform(5, 3), uniform(3), reduction=r) for r in ("mean", "none")
    ]
)
def binary_cross_entropy(
    xp: Namespace,
    input: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy between probabilities and targets in [0, 1], reduced.

    input, target: arrays of one shape. weight: rescales each loss, broadcast; or None.
    Returns a 0-d array, or with "none" one of that shape, in the dtype of `input`.
    Logarithms are held above -100, so a confident mistake costs 100 and not infinity.
    """
    check_same_shape("binary_cross_entropy", input, target)
    check_broadcasts("weight", weight, input)
    if readable(input) and somewhere(xp.logical_not(xp.logical_and(input >= 0, input <= 1))):  # NaN is none either
        raise ValueError("binary_cross_entropy takes probabilities, in [0, 1]; for logits: ..._with_logits")
    return reduced(xp, _weighted(xp, _surprise(xp, input, target), weight), reduction)


@binary_cross_entropy.vjp("input")
def _(xp: Namespace, g: Array, input: Array, target: Array, weight: Array | None, *, reduction: Reduction) -> Array:
    # The bound keeps a confident mistake's slope finite, and large.
    slope = (input - beside(xp, target, input)) / xp.maximum(input * (1 - input), 1e-12)
    return share(g, input.shape, reduction) * _weighted(xp, slope, weight)


@binary_cross_entropy.vjp("target")
def _(xp: Namespace, g: Array, input: Array, weight: Array | None, *, reduction: Reduction) -> Array:
    slope = _log_above(xp, 1 - input) - _log_above(xp, input)
    return share(g, input.shape, reduction) * _weighted(xp, slope, weight)


@binary_cross_entropy.vjp("weight")
def _(xp: Namespace, g: Array, input: Array, target: Array, *, reduction: Reduction) -> Array:
    return share(g, input.shape, reduction) * _surprise(xp, input, target)


def _weighted(xp: Namespace, losses: Array, weight: Array | None) -> Array:
    return losses if weight is None else losses * beside(xp, weight, losses)


def _surprise(xp: Namespace, input: Array, target: Array) -> Array:
    target = beside(xp, target, input)
    return -(target * _log_above(xp, input) + (1 - target) * _log_above(xp, 1 - input))


def _log_above(xp: Namespace, p: Array) -> Array:
    smallest = 3.720075976020836e-44  # exp(-100)
    return xp.where(p > smallest, xp.log(xp.where(p > smallest, p, 1.0)), -100.0)


@autocasts_to("float32")
@floating_op(
    examples=[
        example(normal(5, 3), uniform(5, 3)),
        example(normal(5, 3), uniform(5, 3), uniform(5, 3), uniform(3), reduction="none"),
    ]
)
def binary_cross_entropy_with_logits(
    xp: Namespace,
    input: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    /,
    *,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy between sigmoid(input) and targets in [0, 1], reduced; never overflows.

    input, target: arrays of one shape. weight: rescales each loss; pos_weight: rescales the positive
    part of each class; both broadcast, or None.
    Returns a 0-d array, or with "none" one of that shape, in the dtype of `input`.
    """
    check_same_shape("binary_cross_entropy_with_logits", input, target)
    check_broadcasts("weight", weight, input)
    check_broadcasts("pos_weight", pos_weight, input)
    target, scale = beside(xp, target, input), _scale(xp, input, target, pos_weight)
    losses = (1 - target) * input + scale * _tail(xp, input)
    return reduced(xp, _weighted(xp, losses, weight), reduction)


@binary_cross_entropy_with_logits.vjp("input")
def _(
    xp: Namespace,
    g: Array,
    input: Array,
    target: Array,
    weight: Array | None,
    pos_weight: Array | None,
    *,
    reduction: Reduction,
) -> Array:
    target, scale = beside(xp, target, input), _scale(xp, input, target, pos_weight)
    slope = (1 - target) - scale * (1 - sigmoid(input))
    return share(g, input.shape, reduction) * _weighted(xp, slope, weight)


@binary_cross_entropy_with_logits.vjp("target")
def _(
    xp: Namespace,
    g: Array,
    input: Array,
    weight: Array | None,
    pos_weight: Array | None,
    *,
    reduction: Reduction,
) -> Array:
    slope = -input if pos_weight is None else (beside(xp, pos_weight, input) - 1) * _tail(xp, input) - input
    return share(g, input.shape, reduction) * _weighted(xp, slope, weight)


def _tail(xp: Namespace, input: Array) -> Array:
    """log(1 + exp(-input))."""
    return xp.log1p(xp.exp(-xp.abs(input))) + xp.maximum(-input, 0)


def _scale(xp: Namespace, input: Array, target: Array, pos_weight: Array | None) -> Array | int:
    """By how much each element's tail counts."""
    return 1 if pos_weight is None else 1 + (beside(xp, pos_weight, input) - 1) * beside(xp, target, input)


_SIGNS = values([[1, -1, 1], [-1, -1, 1]], differentiable=False)


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(2, 3), _SIGNS, reduction=r) for r in ("mean", "sum", "none")),
        example(values([0.0, -40.0, 800.0]), values([1.0, 1.0, -1.0]), reduction="sum"),
    ]
)
def soft_margin_loss(xp: Namespace, input: Array, target: Array, /, *, reduction: Reduction = "mean") -> Array:
    """log(1 + exp(-target * input)), reduced: the logistic loss of scores; never overflows.

    input: scores, any shape. target: 1 or -1 for each. Returns a 0-d array, or with "none" one of that shape.
    """
    check_same_shape("soft_margin_loss", input, target)
    missed = -beside(xp, target, input) * input
    return reduced(xp, logaddexp(xp.zeros_like(missed), missed), reduction)


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(4, 3), uniform(4, 3), reduction=r) for r in ("mean", "sum", "none")),
        example(normal(4, 3), integers(4, 3, high=2), uniform(3)),
        example(normal(3), uniform(3), uniform(3)),
    ]
)
def multilabel_soft_margin_loss(
    xp: Namespace, input: Array, target: Array, weight: Array | None = None, /, *, reduction: Reduction = "mean"
) -> Array:
    """Binary cross-entropy of each label's logit, averaged over the labels of a sample; reduced.

    input: (..., C), logits. target: of that shape, 1 where the label holds and 0 where not.
    weight: (C,), rescales each label's loss, or None.
    Returns a 0-d array, or with "none" one of shape (...).
    """
    check_same_shape("multilabel_soft_margin_loss", input, target)
    check_scores("multilabel_soft_margin_loss", input)
    check_weight(input, weight)
    target, zero = beside(xp, target, input), xp.zeros_like(input)
    losses = target * logaddexp(zero, -input) + (1 - target) * logaddexp(zero, input)
    return reduced(xp, xp.mean(_weighted(xp, losses, weight), axis=-1), reduction)
