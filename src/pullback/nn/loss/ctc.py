"""Connectionist temporal classification as a module."""

from typing import Any

from ...backends import Array
from ...ops.loss import ctc_loss
from ...ops.loss.ctc import Lengths
from .reduction import Loss, Reduction

__all__ = ["CTCLoss"]


class CTCLoss(Loss):
    """The negative log-likelihood of label sequences, summed over all ways to lay them over time (Graves et al., 2006).

    blank: the class that stands between labels. zero_infinity: what cannot be laid out costs 0, not infinity.
    reduction: "mean" divides each loss by its target's length before the mean is taken.
    """

    def __init__(self, blank: int = 0, reduction: Reduction = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs: Array, targets: Array, input_lengths: Lengths, target_lengths: Lengths) -> Any:
        """log_probs: (T, N, C) or (T, C). targets: (N, S), or one after the other. Lengths: (N,).

        Returns a 0-d Tensor, or with "none" (N,). Raises ValueError for what does not go together; see `ctc_loss`.
        """
        return ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            blank=self.blank,
            reduction=self.reduction,
            zero_infinity=self.zero_infinity,
        )
