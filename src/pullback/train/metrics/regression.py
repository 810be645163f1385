"""How far numbers are from the numbers they should be: R², and the mean absolute and squared error."""

from math import nan
from typing import Any

from ...backends import Array
from ...backends.host import host
from .arrays import check_kin, check_width, measured, paired

__all__ = [
    "MAE", "MSE", "R2", "RMSE", "mean_absolute_error", "mean_squared_error", "r2_score", "root_mean_squared_error",
]  # fmt: skip


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
        p, t = paired("R²", prediction, target)
        if len(t) == 0:
            return
        mean = t.mean(axis=0)
        self._add(len(t), host.square(p - t).sum(axis=0), mean, host.square(t - mean).sum(axis=0))

    def merge(self, other: "R2") -> None:
        """Take in what another one, of another process, has summed up."""
        check_kin(self, other)
        if other._samples:
            self._add(other._samples, other._error, other._mean, other._spread)

    def _add(self, count: int, error: Array, mean: Array, spread: Array) -> None:
        if self._samples:
            check_width("R²", len(self._error), len(error))
        samples = self._samples + count
        shift = mean - self._mean
        self._error = self._error + error
        self._spread = self._spread + spread + shift * shift * (self._samples * count / samples)
        self._mean = self._mean + shift * (count / samples)
        self._samples = samples

    def compute(self) -> float:
        """R² so far."""
        if self._samples < 2:
            return nan
        constant = self._spread == 0
        ratio = self._error / host.where(constant, 1.0, self._spread)
        return float(host.where(constant, self._error == 0, 1 - ratio).mean())


class _MeanError:
    """An error summed up over the samples, for each output."""

    name: str

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._samples = 0
        self._error: Any = 0.0

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch."""
        p, t = paired(self.name, prediction, target)
        self._add(len(t), self._of(p - t).sum(axis=0))

    def merge(self, other: Any) -> None:
        """Take in what another one, of another process, has summed up."""
        check_kin(self, other)
        self._add(other._samples, other._error)

    def _add(self, count: int, error: Array) -> None:
        if not count:
            return
        if self._samples:
            check_width(self.name, len(self._error), len(error))
        self._samples += count
        self._error = self._error + error

    def compute(self) -> float:
        """The error so far."""
        return float(host.mean(self._mean(self._error / self._samples))) if self._samples else nan

    def _of(self, difference: Array) -> Array:
        return host.square(difference)

    def _mean(self, error: Array) -> Array:
        return error


class MAE(_MeanError):
    """The mean absolute error of predictions and targets of one shape (N, ...); NaN when there were none.

    >>> metric = MAE()
    >>> metric.update([1.0, 2.0], [2.0, 5.0])
    >>> metric.compute()
    2.0
    """

    name = "mae"

    def _of(self, difference: Array) -> Array:
        return host.abs(difference)


class MSE(_MeanError):
    """The mean squared error of predictions and targets of one shape (N, ...); NaN when there were none.

    >>> metric = MSE()
    >>> metric.update([1.0, 2.0], [2.0, 5.0])
    >>> metric.compute()
    5.0
    """

    name = "mse"


class RMSE(_MeanError):
    """The root of the mean squared error, averaged over the outputs where there are several; NaN when there were none.

    Takes predictions and targets of one shape (N, ...).

    >>> metric = RMSE()
    >>> metric.update([1.0, 2.0], [2.0, 9.0])
    >>> metric.compute()
    5.0
    """

    name = "rmse"

    def _mean(self, error: Array) -> Array:
        return host.sqrt(error)


def r2_score(prediction: Any, target: Any) -> float:
    """The coefficient of determination; see `R2`.

    >>> r2_score([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    """
    return float(measured(R2(), prediction, target))


def mean_absolute_error(prediction: Any, target: Any) -> float:
    """The mean absolute error; see `MAE`.

    >>> mean_absolute_error([1.0, 2.0], [2.0, 5.0])
    2.0
    """
    return float(measured(MAE(), prediction, target))


def mean_squared_error(prediction: Any, target: Any) -> float:
    """The mean squared error; see `MSE`.

    >>> mean_squared_error([1.0, 2.0], [2.0, 5.0])
    5.0
    """
    return float(measured(MSE(), prediction, target))


def root_mean_squared_error(prediction: Any, target: Any) -> float:
    """The root of the mean squared error; see `RMSE`.

    >>> root_mean_squared_error([1.0, 2.0], [2.0, 9.0])
    5.0
    """
    return float(measured(RMSE(), prediction, target))
