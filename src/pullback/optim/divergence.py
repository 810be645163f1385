"""Divergence: a loss that runs away, and how training says so."""

from math import inf, isfinite
from typing import Any

__all__ = ["DIVERGENCE_BOUND", "Diverged", "LossWatch"]

DIVERGENCE_BOUND = 1e6
"""How many times its reference a loss may grow before training counts as diverged."""


class Diverged(ArithmeticError):
    """Training ran away: the loss is not finite, or has grown past its bound.

    iteration: the update at which it was noticed, counted from 1.
    rate: the learning rate of that update.
    last_loss: the last good loss; None when there was none.
    theta: the parameters at that loss, where they are not kept in a model.
    history: what was recorded until then: a list of losses, or a `train.History`.
    """

    def __init__(
        self,
        reason: str,
        *,
        iteration: int,
        rate: float,
        last_loss: float | None,
        theta: Any = None,
        history: Any = None,
    ) -> None:
        if last_loss is None:
            advice = "there was no good loss before it. Look for NaN or infinity in the data and at the start"
        else:
            advice = f"the last good loss was {last_loss:.6g}. Try a smaller learning rate"
            if "nan" in reason:
                advice += ", and look for NaN or infinity in the data"
        super().__init__(f"training diverged at iteration {iteration}, learning rate {rate:g}: {reason}; {advice}.")
        self.reason = reason
        self.iteration = iteration
        self.rate = rate
        self.last_loss = last_loss
        self.theta = theta
        self.history = history


class LossWatch:
    """Notices a loss that is not finite, or greater than `bound` times a reference.

    reference: the size a loss has when nothing is wrong; by default that of the first loss, or 1 where that
        is smaller, so that a model that starts out nearly perfect may still get worse.
    """

    def __init__(self, bound: float = DIVERGENCE_BOUND, reference: float | None = None) -> None:
        if not bound > 0:
            raise ValueError(f"the divergence bound is a positive factor; got {bound!r}")
        self.bound = bound
        self.limit = None if reference is None else bound * reference
        self.last_loss: float | None = None

    def accepts(self, loss: float) -> bool:
        """Whether a loss is good; if so it is remembered as the last good one."""
        if self.limit is None:
            self.limit = self.bound * max(abs(loss), 1.0) if isfinite(loss) else inf
        if not isfinite(loss) or loss > self.limit:
            return False
        self.last_loss = loss
        return True

    def complaint(self, loss: float) -> str:
        """What is wrong with a loss that was not accepted."""
        past = f", past the bound of {self.limit:.6g}" if isfinite(loss) else ""
        return f"the loss is {loss:.6g}{past}"
