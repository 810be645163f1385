"""How many classes are predicted right: accuracy, by the best and by the best few."""

from math import nan, prod
from typing import Any

from ...backends.host import host
from ...ops.data_types import astype
from ...ops.elementwise import equal
from ...ops.statistical import sum as total
from .arrays import check_count, check_kin, check_within, classes_of, measured, no_classes, on_host, scored

__all__ = ["Accuracy", "TopKAccuracy", "accuracy", "top_k_accuracy"]


class Accuracy:
    """The share of samples whose class is predicted right, from 0 to 1; NaN when there were none.

    Takes scores (N, ..., C) against classes (N, ...) or against probabilities (N, ..., C), the greatest score
    being the class predicted; or classes against classes.
    threshold: for one score each, of the target's shape or with a last axis of 1: above it the prediction is
        1, else 0. It is 0 for logits and 0.5 for probabilities.
    A score of NaN hits nothing. Counts stay on the device until `compute`, which raises ValueError where targets
    were no classes: fractional, NaN, or outside [0, C).

    >>> metric = Accuracy()
    >>> metric.update([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1])
    >>> round(metric.compute(), 3)
    0.667
    """

    name = "accuracy"

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._right: Any = 0
        self._strange: Any = 0
        self._samples = 0

    def update(self, prediction: Any, target: Any) -> None:
        """Count a batch."""
        found = classes_of(prediction, target, self.threshold)
        self._right = self._right + total(astype(equal(found.predicted, found.true), "int64"))
        if found.known is not None:
            self._strange = self._strange + total(astype(~found.known, "int64"))
        self._samples += prod(found.true.shape)

    def merge(self, other: "Accuracy") -> None:
        """Take in what another one, of another process, has counted."""
        check_kin(self, other)
        self._right = int(on_host(self._right)) + int(on_host(other._right))
        self._strange = int(on_host(self._strange)) + int(on_host(other._strange))
        self._samples += other._samples

    def compute(self) -> float:
        """The share so far."""
        if strange := int(on_host(self._strange)):
            raise no_classes(self.name, strange)
        return float(on_host(self._right)) / self._samples if self._samples else nan


class TopKAccuracy:
    """The share of samples whose class is among the k with the greatest scores, from 0 to 1; NaN when there were none.

    Takes scores (N, ..., C) against classes (N, ...). Of classes that tie the first counts as the greater, as in
    `Accuracy`, which this is for k = 1.

    >>> metric = TopKAccuracy(2)
    >>> metric.update([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], [1, 0])
    >>> metric.compute()
    0.5
    """

    def __init__(self, k: int = 5) -> None:
        check_count("k, how many classes are looked at,", k)
        self.k = k
        self.name = f"top_{k}_accuracy"
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._right = self._samples = 0

    def update(self, prediction: Any, target: Any) -> None:
        """Count a batch."""
        rows, true = scored(self.name, prediction, target)
        check_within(self.name, true, rows.shape[1])
        own = host.take_along_axis(rows, true[:, None], axis=1)
        before = host.arange(rows.shape[1]) < true[:, None]
        greater = ~(own >= rows) | ((own == rows) & before)  # a score that is no number is greater than all
        self._right += int((greater.sum(axis=1) < self.k).sum())
        self._samples += true.size

    def merge(self, other: "TopKAccuracy") -> None:
        """Take in what another one, of another process, has counted."""
        check_kin(self, other)
        self._right += other._right
        self._samples += other._samples

    def compute(self) -> float:
        """The share so far."""
        return self._right / self._samples if self._samples else nan


def accuracy(prediction: Any, target: Any, *, threshold: float | None = None) -> float:
    """The share of samples whose class is predicted right; see `Accuracy`.

    >>> accuracy([0, 1, 2, 2], [0, 1, 1, 2])
    0.75
    """
    return float(measured(Accuracy(threshold), prediction, target))


def top_k_accuracy(prediction: Any, target: Any, *, k: int = 5) -> float:
    """The share of samples whose class is among the k with the greatest scores; see `TopKAccuracy`.

    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], [1, 0], k=2)
    0.5
    """
    return float(measured(TopKAccuracy(k), prediction, target))
