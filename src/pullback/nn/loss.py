"""Losses as modules: `loss(prediction, target)` gives one number, or one for each sample.

Channels are last here: where PyTorch has the classes on the second axis of (N, C, ...), they are the
last axis of (N, ..., C).
"""

from typing import Any

from ..autodiff.tensor import Tensor
from ..backends import Array, find_backend_of
from ..ops.loss import (
    Reduction,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    mse_loss,
    nll_loss,
)  # fmt: skip
from .module import Module

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "L1Loss", "MSELoss", "NLLLoss"]


class _Loss(Module):
    """What losses have in common: `reduction` is "mean", "sum", or "none" for one loss a sample."""

    def __init__(self, reduction: Reduction) -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction is 'mean', 'sum' or 'none'; got {reduction!r}")
        self.reduction = reduction

    def _keep_weight(self, name: str, value: Any) -> None:
        """A weight as a buffer: an array becomes a Tensor, as it would in a call of the function."""
        self.register_buffer(name, value if find_backend_of(value) is None else Tensor(value))

    def extra_repr(self) -> str:
        """How the losses are put together."""
        return f"reduction={self.reduction!r}"


class MSELoss(_Loss):
    """Squared error, reduced.

    >>> import pullback as pb
    >>> MSELoss()(pb.tensor([1.0, 2.0]), pb.tensor([1.0, 4.0])).item()
    2.0
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, floating. Returns a 0-d Tensor, or with "none" one of that shape."""
        return mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """Absolute error, reduced."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, floating. Returns a 0-d Tensor, or with "none" one of that shape."""
        return l1_loss(input, target, reduction=self.reduction)


class HuberLoss(_Loss):
    """Half the squared error up to `delta`, linear beyond it; reduced (Huber, 1964).

    Raises ValueError unless `delta` is positive.
    """

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        if not delta > 0:
            raise ValueError(f"delta, where the loss turns linear, is positive; got {delta!r}")
        self.delta = delta

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, floating. Returns a 0-d Tensor, or with "none" one of that shape."""
        return huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_Loss):
    """Cross-entropy between probabilities and targets in [0, 1], reduced.

    weight: a Tensor or array that rescales each loss, broadcast; it is a buffer, so it moves with the module.
    `BCEWithLogitsLoss` takes what comes before the sigmoid, and is the more accurate of the two.
    """

    weight: Tensor | None

    def __init__(self, weight: Array | None = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self._keep_weight("weight", weight)

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, in [0, 1]. Returns a 0-d Tensor, or with "none" one of that shape."""
        return binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
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
        self._keep_weight("weight", weight)
        self._keep_weight("pos_weight", pos_weight)

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape. Returns a 0-d Tensor, or with "none" one of that shape."""
        return binary_cross_entropy_with_logits(input, target, self.weight, self.pos_weight, reduction=self.reduction)


class CrossEntropyLoss(_Loss):
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
        self._keep_weight("weight", weight)
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


class NLLLoss(_Loss):
    """Negative log-likelihood of a class for each sample, given log-probabilities; reduced.

    weight, ignore_index: as for `CrossEntropyLoss`, which is this after a `LogSoftmax`.
    """

    weight: Tensor | None

    def __init__(self, weight: Array | None = None, ignore_index: int = -100, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self._keep_weight("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Array, target: Array) -> Array:
        """input: (N, ..., C), log-probabilities. target: (N, ...) integer classes.

        Returns a 0-d Tensor, or with "none" one of shape (N, ...).
        """
        return nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)
