"""Schedules by functions of one's own."""

from collections.abc import Callable, Sequence

from ..optimizer import Optimizer
from .scheduler import LRScheduler, check_groups, one_each

__all__ = ["LambdaLR", "MultiplicativeLR"]


class LambdaLR(LRScheduler):
    """The rate at the start times a function of the epoch.

    lr_lambda: the function, or one for each group. It is code, so `state_dict` leaves it out.
    """

    _unsaved = ("lr_lambdas",)

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas = one_each("LambdaLR", "lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rate at the start times what the function says."""
        check_groups(self, self.lr_lambdas)
        return [lr * f(self.last_epoch) for lr, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(LRScheduler):
    """The last rate times a function of the epoch.

    lr_lambda: the function, or one for each group. It is code, so `state_dict` leaves it out.
    """

    _unsaved = ("lr_lambdas",)

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas = one_each("MultiplicativeLR", "lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The last rate times what the function says, which is not asked for the first."""
        check_groups(self, self.lr_lambdas)
        groups = zip(self.optimizer.param_groups, self.lr_lambdas, strict=True)
        return [group["lr"] if self._begins else group["lr"] * f(self.last_epoch) for group, f in groups]

    def restart(self) -> None:
        """Begin again at epoch 0, from the rates that there are."""
        self._rewind()
        LRScheduler.step(self)
