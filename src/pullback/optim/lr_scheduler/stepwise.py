"""Schedules that multiply the rate: at some steps, or at every one."""

from collections.abc import Iterable

from ..optimizer import Optimizer
from .scheduler import LRScheduler

__all__ = ["ConstantLR", "ExponentialLR", "LinearLR", "MultiStepLR", "PolynomialLR", "StepLR"]


class StepLR(LRScheduler):
    """Multiplies the rate by `gamma` every `step_size` epochs.

    >>> import pullback as pb
    >>> from pullback.optim import SGD
    >>> optimizer = SGD([pb.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for epoch in range(5):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR expects a step_size of at least 1; got {step_size!r}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, initial_lr: float) -> float:
        """Smaller at each multiple of the step size."""
        return lr * self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else lr


class MultiStepLR(LRScheduler):
    """Multiplies the rate by `gamma` at each of the epochs in `milestones`."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, initial_lr: float) -> float:
        """Smaller at a milestone, as often as it is named."""
        return lr * self.gamma ** self.milestones.count(self.last_epoch)


class ExponentialLR(LRScheduler):
    """Multiplies the rate by `gamma` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, initial_lr: float) -> float:
        """Smaller every time."""
        return lr if self.last_epoch == 0 or self._begins else lr * self.gamma


class ConstantLR(LRScheduler):
    """`factor` times the rate until epoch `total_iters`, the rate itself from then on."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        if not 0 < factor <= 1:
            raise ValueError(f"ConstantLR expects a factor in (0, 1]; got {factor!r}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, initial_lr: float) -> float:
        """Smaller at the start, and put back at the end."""
        if self.last_epoch == 0:
            return lr * self.factor
        return lr / self.factor if self.last_epoch == self.total_iters else lr


class LinearLR(LRScheduler):
    """A warm-up: a line from `start_factor` to `end_factor` times the rate in `total_iters` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not (0 < start_factor <= 1 and 0 <= end_factor <= 1):
            raise ValueError(
                "LinearLR expects a start_factor in (0, 1] and an end_factor in [0, 1]; "
                f"got {start_factor!r} and {end_factor!r}"
            )
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, initial_lr: float) -> float:
        """The last rate times the ratio of this factor to the last one."""
        if self.last_epoch == 0:
            return lr * self.start_factor
        if self.last_epoch > self.total_iters or self._begins:
            return lr
        return lr * self._factor(self.last_epoch) / self._factor(self.last_epoch - 1)

    def _factor(self, epoch: int) -> float:
        return (self.start_factor * (self.total_iters - epoch) + self.end_factor * epoch) / self.total_iters


class PolynomialLR(LRScheduler):
    """Down from the rate at the start to 0 in `total_iters` epochs, along a power of what is left of them."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, initial_lr: float) -> float:
        """The last rate times the ratio of what is left to what was left before."""
        if self.last_epoch == 0 or self.last_epoch > self.total_iters or self._begins:
            return lr
        left = self.total_iters - self.last_epoch
        return lr * float((left / (left + 1)) ** self.power)
