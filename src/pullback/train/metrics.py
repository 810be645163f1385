"""Metrics: accuracy, the confusion matrix and R², of one call or gathered batch by batch.

Predictions and targets are Tensors, arrays or nested lists; classes lie along the last axis.
"""

from math import nan
from typing import Any, Protocol

from ..autodiff.tensor import Tensor
from ..backends import Array, dtype_name, find_backend_of
from ..backends.host import host
from ..ops.data_types import astype
from ..ops.elementwise import equal, greater
from ..ops.searching import argmax
from ..ops.statistical import sum as total

__all__ = ["R2", "Accuracy", "ConfusionMatrix", "Metric", "accuracy", "confusion_matrix", "r2_score"]


class Metric(Protocol):
    """What gathers a measure over the batches of an epoch."""

    name: str
    """What its column of the history is called."""

    def update(self, prediction: Any, target: Any) -> None:
        """Take a batch into account."""

    def compute(self) -> Any:
        """The measure of all batches since `reset`."""

    def reset(self) -> None:
        """Forget all batches."""


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
        predicted, true = _classes(prediction, target, self.threshold)
        self._right = self._right + total(astype(equal(predicted, true), "int64"))
        self._samples += _size(true)

    def compute(self) -> float:
        """The share so far."""
        return float(_on_host(self._right)) / self._samples if self._samples else nan


class ConfusionMatrix:
    """How often each true class (row) was predicted as each class (column).

    `compute` gives a host array (classes, classes) of int64.
    classes: how many there are. threshold: as for `Accuracy`.
    Raises ValueError when a class lies outside [0, classes).

    >>> metric = ConfusionMatrix(2)
    >>> metric.update([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1])
    >>> metric.compute()
    array([[1, 0],
           [1, 1]])
    """

    name = "confusion_matrix"

    def __init__(self, classes: int, threshold: float | None = None) -> None:
        self.classes = classes
        self.threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._counts = host.zeros((self.classes, self.classes), dtype=host.int64)

    def update(self, prediction: Any, target: Any) -> None:
        """Count a batch."""
        predicted, true = (_whole(x) for x in _classes(prediction, target, self.threshold))
        for classes in (predicted, true):
            if classes.size and not 0 <= classes.min() <= classes.max() < self.classes:
                found = classes.min() if classes.min() < 0 else classes.max()
                raise ValueError(f"the confusion matrix of {self.classes} classes met class {found}")
        cells = host.bincount(true * self.classes + predicted, minlength=self.classes**2)
        self._counts += cells.reshape(self.classes, self.classes)

    def compute(self) -> Array:
        """The matrix so far."""
        return self._counts.copy()


class R2:
    """The coefficient of determination: 1 minus the squared error over that of the best constant prediction.

    Takes predictions and targets of one shape (N, ...); several outputs are averaged. 1 is perfect, 0 as good
    as the mean of the targets. A constant target gives 1 when predicted exactly and else 0; fewer than 2
    samples give NaN.
    Sums are float64 on the host, merged as by Chan, Golub and LeVeque (1979), so that nothing cancels.

    >>> metric = R2()
    >>> metric.update([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0])
    >>> round(metric.compute(), 3)
    0.949
    """

    name = "r2"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._samples = 0
        self._error: Any = 0.0
        self._mean: Any = 0.0
        self._spread: Any = 0.0

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch."""
        p, t = (_on_host(_as_array(x)).astype(host.float64) for x in (prediction, target))
        if p.shape != t.shape or p.ndim == 0:
            raise ValueError(f"R² expects a prediction of the target's shape {t.shape}; got {p.shape}")
        if len(t) == 0:
            return
        p, t = p.reshape(len(p), -1), t.reshape(len(t), -1)
        mean, samples = t.mean(axis=0), self._samples + len(t)
        shift = mean - self._mean
        self._error = self._error + host.square(p - t).sum(axis=0)
        self._spread = (
            self._spread + host.square(t - mean).sum(axis=0) + shift * shift * (self._samples * len(t) / samples)
        )
        self._mean = self._mean + shift * (len(t) / samples)
        self._samples = samples

    def compute(self) -> float:
        """R² so far."""
        if self._samples < 2:
            return nan
        constant = self._spread == 0
        ratio = self._error / host.where(constant, 1.0, self._spread)
        return float(host.where(constant, self._error == 0, 1 - ratio).mean())


def accuracy(prediction: Any, target: Any, *, threshold: float | None = None) -> float:
    """The share of samples whose class is predicted right; see `Accuracy`.

    >>> accuracy([0, 1, 2, 2], [0, 1, 1, 2])
    0.75
    """
    metric = Accuracy(threshold)
    metric.update(prediction, target)
    return metric.compute()


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
    predicted, true = (_whole(x) for x in _classes(prediction, target, threshold))
    if classes is None:
        classes = 1 + max((int(x.max()) for x in (predicted, true) if x.size), default=-1)
    metric = ConfusionMatrix(classes)
    metric.update(predicted, true)
    return metric.compute()


def r2_score(prediction: Any, target: Any) -> float:
    """The coefficient of determination; see `R2`.

    >>> r2_score([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    """
    metric = R2()
    metric.update(prediction, target)
    return metric.compute()


def _classes(prediction: Any, target: Any, threshold: float | None) -> tuple[Array, Array]:
    """The predicted and the true classes, as arrays of one shape."""
    scores, true = _as_array(prediction), _as_array(target)
    shape, wanted = tuple(scores.shape), tuple(true.shape)
    floating = "float" in dtype_name(scores.dtype)
    if threshold is not None and floating and shape in (wanted, (*wanted, 1)):
        above = greater(scores.reshape(wanted), threshold)
        return astype(above, "int64"), astype(greater(astype(true, "float32"), 0.5), "int64")
    if shape == wanted and not floating:
        return scores, true
    if floating and shape[-1:] > (1,) and wanted == shape[:-1]:
        return argmax(scores, axis=-1), true
    if floating and shape[-1:] > (1,) and wanted == shape and len(shape) > 1:
        return argmax(scores, axis=-1), argmax(true, axis=-1)
    if floating and shape in (wanted, (*wanted, 1)):
        raise ValueError(
            f"a prediction of shape {shape} has one score for each target: say with threshold= above which "
            "it means 1 (0 for logits, 0.5 for probabilities)"
        )
    raise ValueError(
        f"a prediction of shape {shape} and a target of shape {wanted} do not fit: expected scores "
        f"(N, ..., C) with classes (N, ...), or classes of one shape"
    )


def _as_array(x: Any) -> Array:
    if isinstance(x, Tensor):
        return x.array
    return x if find_backend_of(x) is not None else host.asarray(x)


def _on_host(x: Any) -> Any:
    owner = find_backend_of(x)
    return x if owner is None else owner.to_host(x)


def _whole(x: Array) -> Array:
    """Classes as a flat host array of int64."""
    return host.asarray(_on_host(x)).astype(host.int64).reshape(-1)


def _size(x: Array) -> int:
    count = 1
    for n in x.shape:
        count *= n
    return count
