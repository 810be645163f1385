"""Schedules along a cosine wave."""

from math import cos, floor, pi

from ..optimizer import Optimizer
from .scheduler import LRScheduler

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    """Half a cosine wave from the rate at the start down to `eta_min` in `T_max` epochs, then up again.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017 (without its restarts).
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR expects a T_max of at least 1 epoch; got {T_max!r}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, initial_lr: float) -> float:
        """The last rate, scaled as the wave goes on; from its lowest point, where that fails, a step up."""
        epoch, half = self.last_epoch, self.T_max
        if epoch == 0 or self._begins:
            return lr
        if (epoch - 1 - half) % (2 * half) == 0:
            return lr + (initial_lr - self.eta_min) * (1 - cos(pi / half)) / 2
        ratio = (1 + cos(pi * epoch / half)) / (1 + cos(pi * (epoch - 1) / half))
        return self.eta_min + (lr - self.eta_min) * ratio


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine wave from the rate at the start down to `eta_min`, again and again.

    The first takes T_0 epochs, each of the next T_mult times as many as the one before (Loshchilov and Hutter, 2017).
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"CosineAnnealingWarmRestarts expects {name} to be a whole number of at least 1; got {value!r}"
                )
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        self.T_cur, self.T_i = self._place(max(0, last_epoch + 1))
        super().__init__(optimizer, last_epoch)

    def _place(self, epoch: float) -> tuple[float, int]:
        """How far into its wave an epoch is, and how long that wave is."""
        length = self.T_0
        if self.T_mult == 1:
            return epoch % length, length
        while epoch >= length:
            epoch -= length
            length *= self.T_mult
        return epoch, length

    def rate(self, lr: float, initial_lr: float) -> float:
        """Where the wave is."""
        return self.eta_min + (initial_lr - self.eta_min) * (1 + cos(pi * self.T_cur / self.T_i)) / 2

    def step(self, epoch: float | None = None) -> None:
        """Go on by one epoch, or to any: after each batch, `step(epoch + batch / batches)`.

        Raises ValueError for an epoch below 0.
        """
        if epoch is not None and not epoch >= 0:
            raise ValueError(f"an epoch is at least 0; got {epoch!r}")
        if epoch is None and self.last_epoch >= 0:
            self.last_epoch, self.T_cur = self.last_epoch + 1, self.T_cur + 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult
        else:
            self.last_epoch = floor(epoch or 0)
            self.T_cur, self.T_i = self._place(epoch or 0)
        self._set(self.get_lr())

    def _rewind(self) -> None:
        super()._rewind()
        self.T_cur, self.T_i = 0, self.T_0
