"""Losses of classification.

Channels are last here: where PyTorch has the classes on the second axis of (N, C, ...), they are the
last axis of (N, ..., C).
"""

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

from ...autodiff.tensor import Tensor
from ...backends import Array
from ...ops.loss import (
    cross_entropy,
    kl_div,
    linear_cross_entropy,
    multi_margin_loss,
    multilabel_margin_loss,
    nll_loss,
)
from ...ops.manipulation import reshape
from ...ops.sizes import whole
from ..linear import Linear
from .reduction import Loss, Reduction

__all__ = [
    "CrossEntropyLoss", "KLDivLoss", "LinearCrossEntropyLoss", "MultiLabelMarginLoss", "MultiMarginLoss", "NLLLoss",
]  # fmt: skip


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
        _check_share(label_smoothing)
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


class LinearCrossEntropyLoss(Loss):
    """Cross-entropy between the logits that a linear map makes of an input and a class, reduced; the map learns.

    in_features: the length D of the input's last axis. num_classes: C.
    out_features: the lengths of several predictions for each input, (), for one.
    bias: True gives the map a bias.
    device, dtype: where and as what the parameters are made; by default on the current backend, float32.
    weight: (C,), a Tensor or array that rescales each class, and becomes a buffer; or None.
    ignore_index: a class that costs nothing and is not counted; None for -100. Probabilities go with None only.
    label_smoothing: the share of each target, in [0, 1], that is spread evenly over the classes.

    linear: the map, a `Linear`, whose outputs are sorted by class first: (C, *out_features) in one row.
    Raises ValueError for a size below 1, another shape of `weight` and a share outside [0, 1]; TypeError for what is
    no whole number.

    >>> import pullback as pb
    >>> loss = LinearCrossEntropyLoss(8, 10)
    >>> {name: value.shape for name, value in loss.state_dict().items()}
    {'linear.weight': (10, 8)}
    >>> loss(pb.ones((3, 8)), pb.tensor([1, 2, 3])).shape
    ()
    """

    weight: Tensor | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: Sequence[int] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: Reduction = "mean",
        weight: Array | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        _check_share(label_smoothing)
        self.num_classes = whole(num_classes, "num_classes")
        self.out_features = tuple(whole(length, "each of out_features") for length in out_features)
        self.keep_weight("weight", weight)
        if self.weight is not None and self.weight.shape != (self.num_classes,):
            raise ValueError(f"weight has one number for each of {num_classes} classes; got shape {self.weight.shape}")
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        outputs = prod(self.out_features, start=self.num_classes)
        self.linear = Linear(in_features, outputs, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Array, target: Array) -> Array:
        """input: (..., in_features). target: (..., *out_features) integer classes, or with C behind, probabilities.

        Returns a 0-d Tensor, or with "none" one of shape (..., *out_features).
        Raises ValueError when a class lies outside [0, C) and is not `ignore_index`.
        """
        shape, bias = (self.num_classes, *self.out_features), self.linear.bias
        return linear_cross_entropy(
            input,
            reshape(self.linear.weight, (*shape, self.linear.in_features)),
            target,
            None if bias is None else reshape(bias, shape),
            self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        """The sizes, and how the losses are put together."""
        sizes = f"in_features={self.linear.in_features}, num_classes={self.num_classes}"
        return f"{sizes}, out_features={self.out_features}, {super().extra_repr()}"


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


def _check_share(label_smoothing: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is a share between 0 and 1; got {label_smoothing!r}")
