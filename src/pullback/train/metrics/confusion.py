"""Which classes are taken for which, and what is counted from that: precision, recall and F1."""

from math import nan
from typing import Any, Literal, TypeAlias

from ...backends import Array
from ...backends.host import host
from .arrays import check_count, check_kin, check_within, classes_on_host, measured

__all__ = [
    "F1", "Average", "ConfusionMatrix", "Precision", "Recall", "confusion_matrix", "f1", "precision", "recall",
]  # fmt: skip

Average: TypeAlias = Literal["binary", "micro", "macro", "weighted"] | None
"""How the measures of several classes become one; None leaves them as they are."""

_SEVERAL = "which average: 'micro', 'macro', 'weighted' or None"


class ConfusionMatrix:
    """How often each true class (row) was predicted as each class (column).

    `compute` gives a host array (classes, classes) of int64.
    classes: how many there are. threshold: as for `Accuracy`.
    Raises ValueError when a class lies outside [0, classes), for scores of more classes, and for scores of NaN.

    >>> metric = ConfusionMatrix(2)
    >>> metric.update([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1])
    >>> metric.compute()
    array([[1, 0],
           [1, 1]])
    """

    name = "confusion_matrix"

    def __init__(self, classes: int, threshold: float | None = None) -> None:
        check_count("classes, how many there are,", classes)
        self.classes = classes
        self.threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._counts = host.zeros((self.classes, self.classes), dtype=host.int64)

    def update(self, prediction: Any, target: Any) -> None:
        """Count a batch."""
        predicted, true, _, scores = classes_on_host("the confusion matrix", prediction, target, self.threshold)
        if scores is not None and scores > self.classes:
            raise ValueError(f"the confusion matrix of {self.classes} classes got scores of {scores}")
        for classes in (predicted, true):
            check_within("the confusion matrix", classes, self.classes)
        cells = host.bincount(true * self.classes + predicted, minlength=self.classes**2)
        self._counts += cells.reshape(self.classes, self.classes)

    def merge(self, other: "ConfusionMatrix") -> None:
        """Take in what another one, of another process, has counted."""
        check_kin(self, other)
        self._counts += other._counts

    def compute(self) -> Array:
        """The matrix so far."""
        return self._counts.copy()


class _OfEachClass:
    """What is counted of each class: how often it was predicted, how often it was true, and how often both."""

    measure: str

    def __init__(
        self,
        average: Average = "binary",
        *,
        classes: int | None = None,
        threshold: float | None = None,
        zero_division: float = 0.0,
    ) -> None:
        if average not in ("binary", "micro", "macro", "weighted", None):
            raise ValueError(f"average is 'binary', 'micro', 'macro', 'weighted' or None; got {average!r}")
        if classes is not None:
            check_count("classes, how many there are,", classes)
            if average == "binary" and classes != 2:
                raise ValueError(f"average 'binary' has 2 classes; got {classes}: say {_SEVERAL}")
        self.average, self.classes, self.threshold, self.zero_division = average, classes, threshold, zero_division
        self.name = self.measure if average in ("binary", None) else f"{self.measure}_{average}"
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._counts = host.zeros((3, self.classes or 2), dtype=host.int64)

    def update(self, prediction: Any, target: Any) -> None:
        """Count a batch."""
        predicted, true, _, scores = classes_on_host(self.name, prediction, target, self.threshold)
        met = host.concatenate([predicted, true, [(scores or 1) - 1]])
        count = int(met.max()) + 1
        if self.average == "binary" and count > 2:
            raise ValueError(f"{self.name} met {count} classes, and average 'binary' has 2: say {_SEVERAL}")
        check_within(self.name, met, self.classes or count)
        length = max(count, self._counts.shape[1])
        parts = predicted, true, true[predicted == true]
        self._add(host.stack([host.bincount(part, minlength=length) for part in parts]))

    def merge(self, other: Any) -> None:
        """Take in what another one, of another process, has counted."""
        check_kin(self, other)
        self._add(other._counts)

    def _add(self, counts: Array) -> None:
        length = max(counts.shape[1], self._counts.shape[1])
        mine, others = (host.pad(c, ((0, 0), (0, length - c.shape[1]))) for c in (self._counts, counts))
        self._counts = mine + others

    def compute(self) -> Any:
        """The measure so far: a number, or with average None a host array (classes,)."""
        predicted, true, both = self._counts
        if not true.sum():
            return nan if self.average else host.full(len(true), nan)
        if self.average == "binary":
            return float(self._of(predicted[1:2], true[1:2], both[1:2])[0])
        if self.average == "micro":
            return float(self._of(*self._counts.sum(axis=1, keepdims=True))[0])
        each = self._of(predicted, true, both)
        if self.average == "weighted":
            return float(each @ true / true.sum())
        if self.average == "macro":
            return float(each.mean() if self.classes else each[(predicted > 0) | (true > 0)].mean())
        return each

    def _of(self, predicted: Array, true: Array, both: Array) -> Array:
        over, under = self._ratio(predicted, true, both)
        return host.where(under > 0, over / host.maximum(under, 1), self.zero_division)

    def _ratio(self, predicted: Array, true: Array, both: Array) -> tuple[Array, Array]:
        """What is divided by what."""
        raise NotImplementedError


class Precision(_OfEachClass):
    """The share of those predicted to be of a class that are: from 0 to 1; NaN when there were no samples.

    average: "binary" for class 1 of two; "micro" of all classes together; "macro", the mean over the classes (those
        met, if `classes` is None); "weighted" by how often each is true; None gives a host array (classes,).
    classes: how many there are; None for those met. threshold: as for `Accuracy`.
    zero_division: what stands for the measure of a class when nothing is counted that it could be divided by.
    Raises ValueError when a class lies outside [0, classes), for "binary" of more than two classes, and for scores
        of NaN.

    >>> metric = Precision("macro")
    >>> metric.update([0, 1, 1, 2], [0, 1, 2, 2])
    >>> round(metric.compute(), 3)
    0.833
    """

    measure = "precision"

    def _ratio(self, predicted: Array, true: Array, both: Array) -> tuple[Array, Array]:
        return both, predicted


class Recall(_OfEachClass):
    """The share of those of a class that are predicted to be: from 0 to 1; NaN when there were no samples.

    The arguments are those of `Precision`.

    >>> metric = Recall("macro")
    >>> metric.update([0, 1, 1, 2], [0, 1, 2, 2])
    >>> round(metric.compute(), 3)
    0.833
    """

    measure = "recall"

    def _ratio(self, predicted: Array, true: Array, both: Array) -> tuple[Array, Array]:
        return both, true


class F1(_OfEachClass):
    """The harmonic mean of precision and recall: from 0 to 1; NaN when there were no samples.

    The arguments are those of `Precision`.

    >>> metric = F1(threshold=0.5)
    >>> metric.update([0.9, 0.8, 0.2, 0.1], [1, 0, 1, 0])
    >>> metric.compute()
    0.5
    """

    measure = "f1"

    def _ratio(self, predicted: Array, true: Array, both: Array) -> tuple[Array, Array]:
        return 2 * both, predicted + true


def confusion_matrix(
    prediction: Any, target: Any, *, classes: int | None = None, threshold: float | None = None
) -> Array:
    """How often each true class (row) was predicted as each class (column); see `ConfusionMatrix`.

    classes: how many there are; by default one more than the greatest met.

    >>> confusion_matrix([0, 1, 2, 2], [0, 1, 1, 2])
    array([[1, 0, 0],
           [0, 1, 1],
           [0, 0, 1]])
    """
    if classes is None:
        predicted, true, _, scores = classes_on_host("the confusion matrix", prediction, target, threshold)
        classes = max(scores or 1, *(1 + int(x.max(initial=0)) for x in (predicted, true)))
    return measured(ConfusionMatrix(classes, threshold), prediction, target)


def precision(prediction: Any, target: Any, *, average: Average = "binary", **options: Any) -> Any:
    """The share of those predicted to be of a class that are; see `Precision`, whose options are taken.

    >>> precision([1, 1, 0, 0], [1, 0, 1, 0])
    0.5
    """
    return measured(Precision(average, **options), prediction, target)


def recall(prediction: Any, target: Any, *, average: Average = "binary", **options: Any) -> Any:
    """The share of those of a class that are predicted to be; see `Recall`, whose options are taken.

    >>> recall([1, 1, 0, 0], [1, 1, 1, 0], average=None)
    array([1.        , 0.66666667])
    """
    return measured(Recall(average, **options), prediction, target)


def f1(prediction: Any, target: Any, *, average: Average = "binary", **options: Any) -> Any:
    """The harmonic mean of precision and recall; see `F1`, whose options are taken.

    >>> f1([0, 1, 2, 2], [0, 1, 1, 2], average="micro")
    0.75
    """
    return measured(F1(average, **options), prediction, target)
