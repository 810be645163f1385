"""Losses of yes and no."""

from ...autodiff.tensor import Tensor
from ...backends import Array
from ...ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    multilabel_soft_margin_loss,
    soft_margin_loss,
)
from .reduction import Loss, Reduction

__all__ = ["BCELoss", "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss", "SoftMarginLoss"]


class BCELoss(Loss):
    """Cross-entropy between probabilities and targets in [0, 1], reduced.

    weight: a Tensor or array that rescales each loss, broadcast; it is a buffer, so it moves with the module.
    `BCEWithLogitsLoss` takes what comes before the sigmoid, and is the more accurate of the two.
    """

    weight: Tensor | None

    def __init__(self, weight: Array | None = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.keep_weight("weight", weight)

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, in [0, 1]. Returns a 0-d Tensor, or with "none" one of that shape."""
        return binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """Cross-entropy between sigmoid(input) and targets in [0, 1], reduced; never overflows.

    weight: rescales each loss. pos_weight: rescales the positive part of each class. Both are Tensors
    or arrays that broadcast, and become buffers; or None.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self, weight: Array | None = None, reduction: Reduction = "mean", pos_weight: Array | None = None
    ) -> None:
        super().__init__(reduction)
        self.keep_weight("weight", weight)
        self.keep_weight("pos_weight", pos_weight)

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape. Returns a 0-d Tensor, or with "none" one of that shape."""
        return binary_cross_entropy_with_logits(input, target, self.weight, self.pos_weight, reduction=self.reduction)


class SoftMarginLoss(Loss):
    """log(1 + exp(-target * input)), reduced: the logistic loss of scores; never overflows."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, the target 1 or -1. Returns a 0-d Tensor, or with "none" one of that shape."""
        return soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(Loss):
    """Binary cross-entropy of each label's logit, averaged over the labels of a sample; reduced.

    weight: (C,), a Tensor or array that rescales each label's loss, and becomes a buffer; or None.
    """

    weight: Tensor | None

    def __init__(self, weight: Array | None = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.keep_weight("weight", weight)

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: (..., C), logits, and 1 where the label holds and 0 where not.

        Returns a 0-d Tensor, or with "none" one of shape (...).
        """
        return multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)
