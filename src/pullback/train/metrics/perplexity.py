"""Perplexity: among how many words a language model wavers."""

from math import exp, inf, nan
from typing import Any

from ...backends.host import host
from .arrays import check_kin, check_within, measured, scored

__all__ = ["Perplexity", "perplexity"]


class Perplexity:
    """The exponential of the mean negative log-likelihood of the right classes: 1 is certainty, C is chance.

    Takes logits or log-probabilities (N, ..., C) against integer classes (N, ...); NaN when there were none.
    ignore_index: a class that is not counted, as padding is.
    Sums are float64 on the host. Raises ValueError when a class lies outside [0, C) and is not `ignore_index`.

    >>> metric = Perplexity()
    >>> metric.update([[0.0, 0.0, 0.0, 0.0]], [2])
    >>> round(metric.compute(), 6)
    4.0
    """

    name = "perplexity"

    def __init__(self, ignore_index: int = -100) -> None:
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._surprise = 0.0
        self._samples = 0

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch."""
        rows, true = scored(self.name, prediction, target)
        counted = true != self.ignore_index
        rows, true = rows[counted], true[counted]
        check_within(self.name, true, rows.shape[1])
        own = host.take_along_axis(rows, true[:, None], axis=1)
        if true.size:
            with host.errstate(invalid="ignore"):  # of NaN the perplexity is NaN
                self._surprise += float((host.logaddexp.reduce(rows, axis=1) - own[:, 0]).sum())
        self._samples += true.size

    def merge(self, other: "Perplexity") -> None:
        """Take in what another one, of another process, has summed up."""
        check_kin(self, other)
        self._surprise += other._surprise
        self._samples += other._samples

    def compute(self) -> float:
        """The perplexity so far; infinite where it is too large for a float."""
        mean = self._surprise / self._samples if self._samples else nan
        return inf if mean > 700 else exp(mean)


def perplexity(prediction: Any, target: Any, *, ignore_index: int = -100) -> float:
    """The exponential of the mean negative log-likelihood; see `Perplexity`.

    >>> round(perplexity([[0.0, 0.0], [0.0, 0.0]], [1, -100]), 6)
    2.0
    """
    return float(measured(Perplexity(ignore_index), prediction, target))
