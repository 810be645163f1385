"""Losses of classification.

Channels are last here: where PyTorch has the classes on the second axis of (N, C, ...), they are the
last axis of (N, ..., C).
"""

from typing import Literal

from ...autodiff.tensor import Tensor
from ...backends import Array
from ...ops.loss import cross_entropy, kl_div, multi_margin_loss, multilabel_margin_loss, nll_loss
from .reduction import Loss, Reduction

__all__ = ["CrossEntropyLoss", "KLDivLoss", "MultiLabelMarginLoss", "MultiMarginLoss", "NLLLoss"]


class CrossEntropyLoss(Loss):
    """Cross-entropy between logits and a class for each sample, reduced.

    weight: (C,), a Tensor or array that rescales each class, and becomes a buffer; or None.
    ignore_index: a class that costs nothing and is not counted.
    label_smoothing: the share of each target, in [0, 1], that is spread evenly over the classes.
    Raises ValueError for a share outside [0, 1].

    >>> import pullback as pb
    >>> CrossEntropyLoss()(pb.zeros((3, 10)), pb.tensor([1, 2, 3])).item()  # log(10)
    2.3025851249694824
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Array | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing is a share between 0 and 1; got {label_smoothing!r}")
        self.keep_weight("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Array, target: Array) -> Array:
        """input: (N, ..., C), logits. target: (N, ...) integer classes, or (N, ..., C) probabilities.

        Returns a 0-d Tensor, or with "none" one of shape (N, ...).
        Raises ValueError when a class lies outside [0, C) and is not `ignore_index`.
        """
        return cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
        )


class NLLLoss(Loss):
    """Negative log-likelihood of a class for each sample, given log-probabilities; reduced.

    weight, ignore_index: as for `CrossEntropyLoss`, which is this after a `LogSoftmax`.
    """

    weight: Tensor | None

    def __init__(self, weight: Array | None = None, ignore_index: int = -100, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.keep_weight("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Array, target: Array) -> Array:
        """input: (N, ..., C), log-probabilities. target: (N, ...) integer classes.

        Returns a 0-d Tensor, or with "none" one of shape (N, ...).
        """
        return nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class KLDivLoss(Loss):
    """Kullback-Leibler divergence of distributions from log-probabilities, element by element, reduced.

    reduction: "batchmean" divides the sum by the batch's length, and is the divergence that the mathematics means.
    log_target: the target holds logarithms too.
    """

    def __init__(
        self, reduction: Literal["mean", "sum", "none", "batchmean"] = "mean", log_target: bool = False
    ) -> None:
        super().__init__("sum" if reduction == "batchmean" else reduction)
        self.reduction = reduction  # type: ignore[assignment]  # one more than the others have
        self.log_target = log_target

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, log-probabilities and probabilities.

        Returns a 0-d Tensor, or with "none" one of that shape.
        """
        return kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class MultiMarginLoss(Loss):
    """By how much each wrong class comes within a margin of the right one, averaged over the classes; reduced.

    p: 1, or 2 for the squares. weight: (C,), a Tensor or array that rescales each class, and becomes a buffer; or
    None.
    """

    weight: Tensor | None

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Array | None = None, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(reduction)
        if p not in (1, 2):
            raise ValueError(f"p is 1 or 2; got {p!r}")
        self.p, self.margin = p, margin
        self.keep_weight("weight", weight)

    def forward(self, input: Array, target: Array) -> Array:
        """input: (..., C), scores. target: (...), integer classes.

        Returns a 0-d Tensor, or with "none" one of shape (...). Raises ValueError for a class outside [0, C).
        """
        return multi_margin_loss(input, target, self.weight, p=self.p, margin=self.margin, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """By how much wrong classes come within 1 of right ones, summed over the pairs, over the classes; reduced."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Array, target: Array) -> Array:
        """input: (..., C), scores. target: of that shape, integers: the right classes, then -1.

        Returns a 0-d Tensor, or with "none" one of shape (...). Raises ValueError for a class outside [-1, C).
        """
        return multilabel_margin_loss(input, target, reduction=self.reduction)
