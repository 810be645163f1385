"""Losses of comparison: which of two is greater, and which of two is nearer."""

from collections.abc import Callable
from typing import Any

from ...backends import Array
from ...ops.loss import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ...ops.loss.ranking import check_margin
from ..distance import PairwiseDistance
from .reduction import Loss, Reduction

__all__ = [
    "CosineEmbeddingLoss", "HingeEmbeddingLoss", "MarginRankingLoss", "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]  # fmt: skip


class MarginRankingLoss(Loss):
    """By how much the order of two scores falls short of a margin, reduced."""

    def __init__(self, margin: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: Array, input2: Array, target: Array) -> Array:
        """input1, input2, target: one shape; the target 1 where the first should be the greater, else -1.

        Returns a 0-d Tensor, or with "none" one of that shape.
        """
        return margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class HingeEmbeddingLoss(Loss):
    """A distance where two should be alike, by how much it falls short of a margin where they should not; reduced."""

    def __init__(self, margin: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, distances, and 1 for alike, -1 for not.

        Returns a 0-d Tensor, or with "none" one of that shape.
        """
        return hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(Loss):
    """1 less the cosine of two vectors that should be alike, the cosine above a margin of others; reduced."""

    def __init__(self, margin: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: Array, input2: Array, target: Array) -> Array:
        """input1, input2: (..., D). target: (...), 1 for alike, -1 for not.

        Returns a 0-d Tensor, or with "none" one of shape (...).
        """
        return cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(Loss):
    """By how much an anchor falls short of being nearer to its like than to its unlike by a margin; reduced.

    margin: positive. p, eps: as for `PairwiseDistance`. swap: measure the unlike from the positive, where that is
    nearer (Balntas et al., 2016). Raises ValueError for a margin that is not positive.
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        check_margin(margin)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Array, positive: Array, negative: Array) -> Array:
        """anchor, positive, negative: (..., D). Returns a 0-d Tensor, or with "none" one of shape (...)."""
        return triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(Loss):
    """`TripletMarginLoss` by a distance of your own.

    distance_function: takes two of the Tensors and gives their distances; None for a `PairwiseDistance()`.
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Any, Any], Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        check_margin(margin)
        self.distance_function = distance_function or PairwiseDistance()
        self.margin, self.swap = margin, swap

    def forward(self, anchor: Array, positive: Array, negative: Array) -> Any:
        """anchor, positive, negative: of one shape. Returns a 0-d Tensor, or with "none" the distances' shape."""
        return triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
