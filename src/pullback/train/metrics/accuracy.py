"""How many classes are predicted right: accuracy, by the best and by the best few."""

from math import nan, prod
from typing import Any

from ...backends.host import host
from ...ops.data_types import astype
from ...ops.elementwise import equal
from ...ops.statistical import sum as total
from .arrays import as_array, classes_of, measured, numbers, on_host, whole

__all__ = ["Accuracy", "TopKAccuracy", "accuracy", "top_k_accuracy"]


class Accuracy:
    """The share of samples whose class is predicted right, from 0 to 1; NaN when there were none.

    Takes scores (N, ..., C) against classes (N, ...) or against probabilities (N, ..., C), the greatest score
    being the class predicted; or classes against classes.
    threshold: for one score each, of the target's shape or with a last axis of 1: above it the prediction is
        1, else 0. It is 0 for logits and 0.5 for probabilities.
    Counts stay on the device until `compute`.

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
        self._samples = 0

    def update(self, prediction: Any, target: Any) -> None:
        """Count a batch."""
        predicted, true = classes_of(prediction, target, self.threshold)
        self._right = self._right + total(astype(equal(predicted, true), "int64"))
        self._samples += prod(true.shape)

    def merge(self, other: "Accuracy") -> None:
        """Take in what another one, of another process, has counted."""
        self._right = int(on_host(self._right)) + int(on_host(other._right))
        self._samples += other._samples

    def compute(self) -> float:
        """The share so far."""
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
        if k < 1:
            raise ValueError(f"k, how many classes are looked at, is at least 1; got {k!r}")
        self.k = k
        self.name = f"top_{k}_accuracy"
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._right = self._samples = 0

    def update(self, prediction: Any, target: Any) -> None:
        """Count a batch."""
        scores = numbers(prediction)
        shape, true = scores.shape, whole(target)
        wanted = tuple(as_array(target).shape)
        if scores.ndim < 1 or wanted != shape[:-1]:
            raise ValueError(f"expected scores (N, ..., C) with classes (N, ...); got {shape} and {wanted}")
        if true.size and not 0 <= true.min() <= true.max() < shape[-1]:
            found = true.min() if true.min() < 0 else true.max()
            raise ValueError(f"top-{self.k} accuracy has scores of {shape[-1]} classes; met class {found}")
        rows = scores.reshape(true.size, shape[-1])
        own = host.take_along_axis(rows, true[:, None], axis=1)
        before = host.arange(shape[-1]) < true[:, None]
        greater = ~(own >= rows) | ((own == rows) & before)  # a score that is no number is greater than all
        self._right += int((greater.sum(axis=1) < self.k).sum())
        self._samples += true.size

    def merge(self, other: "TopKAccuracy") -> None:
        """Take in what another one, of another process, has counted."""
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
