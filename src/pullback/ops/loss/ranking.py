"""Losses of comparison: which of two is greater, and which of two is nearer."""

from collections.abc import Callable
from typing import Any

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal, values
from ...backends import Array, Namespace
from ..creation import ones_like
from ..elementwise import minimum
from ..floating import floating_op
from ..precision import in_float32
from .distances import pairwise_distance
from .reduction import Reduction, beside, check_arrays, check_same_shape, reduced

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip

_SIGNS = values([1, -1, 1, -1, 1], differentiable=False)


def _positive_part(xp: Namespace, x: Array) -> Array:
    """x where it is above 0, else 0; the slope at 0 is 1."""
    return xp.where(x >= 0, x, 0.0)


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(5), normal(5), _SIGNS, reduction=r) for r in ("mean", "sum", "none")),
        example(normal(5), normal(5), values([1.0, -1.0, 1.0, 1.0, -1.0]), margin=0.5),
    ]
)
def margin_ranking_loss(
    xp: Namespace,
    input1: Array,
    input2: Array,
    target: Array,
    /,
    *,
    margin: float = 0.0,
    reduction: Reduction = "mean",
) -> Array:
    """By how much the order of two scores falls short of a margin, reduced.

    input1, input2: scores, of one shape. target: of that shape, 1 where the first should be the greater, -1 where
        the second. Returns a 0-d array, or with "none" one of that shape.
    """
    check_same_shape("margin_ranking_loss", input1, input2)
    check_same_shape("margin_ranking_loss", input1, target)
    lead = input1 - input2
    return reduced(xp, _positive_part(xp, margin - beside(xp, target, lead) * lead), reduction)


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(5), _SIGNS, reduction=r) for r in ("mean", "sum", "none")),
        example(normal(2, 5), values([[1.0, -1.0, -1.0, 1.0, -1.0]] * 2, differentiable=False), margin=0.5),
    ]
)
def hinge_embedding_loss(
    xp: Namespace, input: Array, target: Array, /, *, margin: float = 1.0, reduction: Reduction = "mean"
) -> Array:
    """A distance where two should be alike, by how much it falls short of a margin where they should not; reduced.

    input: distances, any shape. target: of that shape, 1 for alike, -1 for not.
    Returns a 0-d array, or with "none" one of that shape.
    """
    check_same_shape("hinge_embedding_loss", input, target)
    target = beside(xp, target, input)
    alike = xp.where(target != -1, input, 0.0)
    return reduced(xp, alike + xp.where(target != 1, _positive_part(xp, margin - input), 0.0), reduction)


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(5, 3), normal(5, 3), _SIGNS, reduction=r) for r in ("mean", "sum", "none")),
        example(normal(5, 3), normal(5, 3), _SIGNS, margin=0.2),
        example(normal(3), normal(3), values(-1, differentiable=False), margin=-0.5),
    ]
)
@in_float32
def cosine_embedding_loss(
    xp: Namespace,
    input1: Array,
    input2: Array,
    target: Array,
    /,
    *,
    margin: float = 0.0,
    reduction: Reduction = "mean",
) -> Array:
    """1 less the cosine of two vectors that should be alike, the cosine above a margin of two that should not; reduced.

    input1, input2: (..., D), of one shape. target: (...), 1 for alike, -1 for not; any other costs nothing.
    Returns a 0-d array, or with "none" one of shape (...).
    """
    check_same_shape("cosine_embedding_loss", input1, input2)
    if tuple(target.shape) != tuple(input1.shape[:-1]):
        raise ValueError(
            f"for vectors of shape {tuple(input1.shape)}, targets have shape {tuple(input1.shape[:-1])}; "
            f"got {tuple(target.shape)}"
        )
    tiny = 1e-12
    lengths = (xp.sum(xp.square(input1), axis=-1) + tiny) * (xp.sum(xp.square(input2), axis=-1) + tiny)
    cosine = xp.sum(input1 * input2, axis=-1) / xp.sqrt(lengths)
    target = beside(xp, target, cosine)
    unlike = xp.where(target == -1, _positive_part(xp, cosine - margin), 0.0)
    return reduced(xp, xp.where(target == 1, 1 - cosine, unlike), reduction)


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(5, 3), normal(5, 3), normal(5, 3), reduction=r) for r in ("mean", "sum", "none")),
        example(normal(5, 3), normal(5, 3), normal(5, 3), swap=True, margin=0.5),
        example(normal(3), normal(3), normal(3), p=1.0, eps=0.0, margin=3.0),
    ]
)
def triplet_margin_loss(
    xp: Namespace,
    anchor: Array,
    positive: Array,
    negative: Array,
    /,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Array:
    """By how much an anchor falls short of being nearer to its like than to its unlike by a margin; reduced.

    anchor, positive, negative: (..., D), of one shape. p, eps: as for `pairwise_distance`. margin: above 0.
    swap: measure the unlike from the positive, where that is nearer (Balntas et al., 2016).
    Returns a 0-d array, or with "none" one of shape (...).
    """

    def distance(x1: Array, x2: Array) -> Array:
        return pairwise_distance(x1, x2, p=p, eps=eps)

    return _triplets(distance, anchor, positive, negative, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    /,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Any:
    """`triplet_margin_loss` by a distance of your own.

    distance_function: takes two of the arrays and gives their distances; None for `pairwise_distance`.

    >>> import pullback as pb
    >>> one, two, six = pb.tensor([[1.0, 0.0]]), pb.tensor([[2.0, 0.0]]), pb.tensor([[1.0, 5.0]])
    >>> triplet_margin_with_distance_loss(one, two, six, margin=7.0, distance_function=lambda a, b: abs(a - b).sum(-1))
    Tensor(3., dtype=float32)
    """
    return _triplets(distance_function or pairwise_distance, anchor, positive, negative, margin, swap, reduction)


def _triplets(
    distance: Callable[[Any, Any], Any],
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: float,
    swap: bool,
    reduction: Reduction,
) -> Any:
    check_margin(margin)
    check_arrays("triplet_margin_loss", anchor, positive, negative)
    for other in (positive, negative):
        if tuple(other.shape) != tuple(anchor.shape):
            raise ValueError(
                f"the anchor, the positive and the negative have one shape; got {tuple(anchor.shape)}, "
                f"{tuple(positive.shape)} and {tuple(negative.shape)}"
            )
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return margin_ranking_loss(far, near, ones_like(far), margin=margin, reduction=reduction)


def check_margin(margin: float) -> None:
    """Raise ValueError for a margin of triplets that is not positive."""
    if not margin > 0:
        raise ValueError(f"margin, by which the negative is to be farther, is positive; got {margin!r}")
