"""Loss functions: how far predictions are from targets, as one number or one for each sample."""

from math import nan, prod
from typing import Literal, TypeAlias

from ..autodiff.examples import example, integers, normal, probabilities, uniform, values
from ..autodiff.op import op
from ..backends import Array, Namespace, dtype_name
from .activation import log_softmax, sigmoid, softmax
from .indexing import one_hot
from .utility import anywhere

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "huber_loss", "l1_loss", "mse_loss",
    "nll_loss",
]  # fmt: skip

Reduction: TypeAlias = Literal["mean", "sum", "none"]

_PAIR = [example(normal(5, 3), normal(5, 3), reduction=r) for r in ("mean", "sum", "none")]


def _reduce(xp: Namespace, losses: Array, reduction: str) -> Array:
    if reduction == "mean":
        return xp.mean(losses)
    if reduction == "sum":
        return xp.sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"reduction is 'mean', 'sum' or 'none'; got {reduction!r}")


def _share(g: Array, shape: tuple[int, ...], reduction: str) -> Array:
    """The gradient of each single loss, given that of the reduced one."""
    if reduction != "mean":
        return g
    return g / prod(shape)


def _check_same_shape(name: str, input: Array, target: Array) -> None:
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(
            f"{name} expects a target of the input's shape {tuple(input.shape)}; got {tuple(target.shape)}"
        )


@op(examples=_PAIR)
def mse_loss(xp: Namespace, input: Array, target: Array, /, *, reduction: Reduction = "mean") -> Array:
    """Squared error, reduced.

    input, target: arrays of one shape, floating. Returns a 0-d array, or with "none" one of that shape.
    """
    _check_same_shape("mse_loss", input, target)
    return _reduce(xp, xp.square(input - target), reduction)


@mse_loss.vjp("input")
def _(xp: Namespace, g: Array, input: Array, target: Array, *, reduction: Reduction) -> Array:
    return _share(g, input.shape, reduction) * (2 * (input - target))


@mse_loss.vjp("target")
def _(xp: Namespace, g: Array, input: Array, target: Array, *, reduction: Reduction) -> Array:
    return _share(g, input.shape, reduction) * (2 * (target - input))


@op(examples=_PAIR)
def l1_loss(xp: Namespace, input: Array, target: Array, /, *, reduction: Reduction = "mean") -> Array:
    """Absolute error, reduced. Its derivative where the error is 0 is taken as 0.

    input, target: arrays of one shape, floating. Returns a 0-d array, or with "none" one of that shape.
    """
    _check_same_shape("l1_loss", input, target)
    return _reduce(xp, xp.abs(input - target), reduction)


@op(examples=[*_PAIR, example(normal(5, 3), normal(5, 3), delta=0.3)])
def huber_loss(
    xp: Namespace, input: Array, target: Array, /, *, reduction: Reduction = "mean", delta: float = 1.0
) -> Array:
    """Half the squared error up to `delta`, linear beyond it; reduced (Huber, 1964).

    input, target: arrays of one shape, floating. Returns a 0-d array, or with "none" one of that shape.
    """
    _check_same_shape("huber_loss", input, target)
    error = xp.abs(input - target)
    inner = xp.minimum(error, delta)
    return _reduce(xp, inner * (error - 0.5 * inner), reduction)


@op(
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
    Logarithms are held above -100, so a confident mistake costs 100 and not infinity.
    """
    _check_same_shape("binary_cross_entropy", input, target)
    if bool(anywhere(xp.logical_or(input < 0, input > 1))):
        raise ValueError("binary_cross_entropy takes probabilities, in [0, 1]; for logits: ..._with_logits")
    losses = _surprise(xp, input, target)
    return _reduce(xp, losses if weight is None else losses * weight, reduction)


@binary_cross_entropy.vjp("input")
def _(xp: Namespace, g: Array, input: Array, target: Array, weight: Array | None, *, reduction: Reduction) -> Array:
    # The bound keeps a confident mistake's slope finite, and large.
    slope = (input - target) / xp.maximum(input * (1 - input), 1e-12)
    return _share(g, input.shape, reduction) * (slope if weight is None else slope * weight)


@binary_cross_entropy.vjp("target")
def _(xp: Namespace, g: Array, input: Array, weight: Array | None, *, reduction: Reduction) -> Array:
    slope = _log_above(xp, 1 - input) - _log_above(xp, input)
    return _share(g, input.shape, reduction) * (slope if weight is None else slope * weight)


@binary_cross_entropy.vjp("weight")
def _(xp: Namespace, g: Array, input: Array, target: Array, *, reduction: Reduction) -> Array:
    return _share(g, input.shape, reduction) * _surprise(xp, input, target)


def _surprise(xp: Namespace, input: Array, target: Array) -> Array:
    return -(target * _log_above(xp, input) + (1 - target) * _log_above(xp, 1 - input))


def _log_above(xp: Namespace, p: Array) -> Array:
    smallest = 3.720075976020836e-44  # exp(-100)
    return xp.where(p > smallest, xp.log(xp.where(p > smallest, p, 1.0)), -100.0)


@op(
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
    """
    _check_same_shape("binary_cross_entropy_with_logits", input, target)
    tail = xp.log1p(xp.exp(-xp.abs(input))) + xp.maximum(-input, 0)  # log(1 + exp(-input))
    scale = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    losses = (1 - target) * input + scale * tail
    return _reduce(xp, losses if weight is None else losses * weight, reduction)


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
    scale = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    slope = (1 - target) - scale * (1 - sigmoid(input))
    return _share(g, input.shape, reduction) * (slope if weight is None else slope * weight)


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
    tail = xp.log1p(xp.exp(-xp.abs(input))) + xp.maximum(-input, 0)
    slope = -input if pos_weight is None else (pos_weight - 1) * tail - input
    return _share(g, input.shape, reduction) * (slope if weight is None else slope * weight)


@op(
    examples=[
        *(example(normal(6, 3), integers(6, high=3), reduction=r) for r in ("mean", "sum", "none")),
        example(normal(6, 3), integers(6, high=3), uniform(3, low=0.5, high=2), label_smoothing=0.1),
        example(normal(3, 3), values([0, 2, 1], differentiable=False), ignore_index=2),
        example(normal(2, 4, 3), integers(2, 4, high=3), uniform(3), reduction="none"),
        example(normal(6, 3), probabilities(6, 3), uniform(3), label_smoothing=0.2),
    ]
)
def cross_entropy(
    xp: Namespace,
    logits: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy between logits and a class, per sample, reduced.

    logits: (N, ..., C), floating. target: (N, ...) integer classes, or (N, ..., C) probabilities.
    weight: (C,), rescales each class, or None. ignore_index: a class that costs nothing.
    label_smoothing: the share of each target that is spread evenly over the classes.
    Returns a 0-d array for "mean" and "sum", (N, ...) for "none", in the dtype of `logits`. With classes,
    "mean" is weighted by the classes' weights.
    Raises ValueError when a class lies outside [0, C) and is not `ignore_index`.

    Computed as logsumexp(logits) - logits[target], so it never overflows.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is a share between 0 and 1; got {label_smoothing!r}")
    if tuple(target.shape) != tuple(logits.shape):
        _check_classes(xp, logits, target, ignore_index)
    _check_weight(logits, weight)
    share, total = _shares(xp, logits, target, weight, ignore_index, label_smoothing)
    surprise = -xp.where(share == 0, xp.zeros_like(share), log_softmax(logits))  # a class of no share may be impossible
    losses = xp.sum(share * surprise, axis=-1)
    return _mean(xp, xp.sum(losses), total) if reduction == "mean" else _reduce(xp, losses, reduction)


@cross_entropy.vjp("logits")
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
    share, total = _shares(xp, logits, target, weight, ignore_index, label_smoothing)
    g = g / _divisor(xp, total) if reduction == "mean" else g if reduction == "sum" else xp.expand_dims(g, axis=-1)
    return g * (softmax(logits) * xp.sum(share, axis=-1, keepdims=True) - share)


@cross_entropy.vjp("target")
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
    _, total = _shares(xp, logits, target, weight, -100, 0.0)
    g = g / _divisor(xp, total) if reduction == "mean" else g if reduction == "sum" else xp.expand_dims(g, axis=-1)
    slope = -(1 - label_smoothing) * log_softmax(logits)
    return g * (slope if weight is None else slope * weight)


def _shares(
    xp: Namespace,
    logits: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[Array, Array | float]:
    """How much of each sample's target falls on each class, weighted; and what "mean" divides by."""
    classes = logits.shape[-1]
    if tuple(target.shape) == tuple(logits.shape):
        share, total = target, float(prod(logits.shape[:-1]))
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
    kept = xp.expand_dims(xp.astype(target != ignore_index, logits.dtype), axis=-1)
    return xp.astype(one_hot(target, classes=logits.shape[-1]), logits.dtype) * kept, kept


def _divisor(xp: Namespace, total: Array | float) -> Array | float:
    """What "mean" divides by; 1 where nothing counts, so that the gradients are 0."""
    return total if type(total) is float else xp.where(total == 0, xp.ones_like(total), total)


def _mean(xp: Namespace, losses: Array, total: Array | float) -> Array:
    """The sum of the losses over what they count; NaN where nothing counts."""
    mean = losses / _divisor(xp, total)
    return mean if type(total) is float else xp.where(total == 0, xp.full_like(mean, nan), mean)


def _check_weight(logits: Array, weight: Array | None) -> None:
    if weight is not None and tuple(weight.shape) != tuple(logits.shape[-1:]):
        raise ValueError(
            f"weight has one number for each of {logits.shape[-1]} classes; got shape {tuple(weight.shape)}"
        )


def _check_classes(xp: Namespace, logits: Array, target: Array, ignore_index: int) -> None:
    if tuple(target.shape) != tuple(logits.shape[:-1]):
        raise ValueError(
            f"for logits of shape {tuple(logits.shape)}, classes have shape {tuple(logits.shape[:-1])}; "
            f"got {tuple(target.shape)}"
        )
    if "int" not in dtype_name(target.dtype):
        raise TypeError(f"classes are integers; got {dtype_name(target.dtype)}. Cast them: target.astype('int64')")
    outside = xp.logical_or(target < 0, target >= logits.shape[-1])
    if bool(anywhere(xp.logical_and(outside, target != ignore_index))):
        raise ValueError(f"found a class outside [0, {logits.shape[-1]}) that is not ignore_index={ignore_index}")


@op(
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
    _check_classes(xp, input, target, ignore_index)
    _check_weight(input, weight)
    hot, _ = _one_hot(xp, input, target, ignore_index)
    share = hot if weight is None else hot * weight
    losses = -xp.sum(xp.where(share == 0, xp.zeros_like(share), share * input), axis=-1)
    return _mean(xp, xp.sum(losses), xp.sum(share)) if reduction == "mean" else _reduce(xp, losses, reduction)


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
    hot, _ = _one_hot(xp, input, target, ignore_index)
    share = hot if weight is None else hot * weight
    g = (
        g / _divisor(xp, xp.sum(share))
        if reduction == "mean"
        else g
        if reduction == "sum"
        else xp.expand_dims(g, axis=-1)
    )
    return -g * share
