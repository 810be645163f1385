"""Schedules made of others: one after the other, or all at once."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from ..optimizer import Optimizer
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Combined(LRScheduler):
    """What both have in common: the schedules they are made of, whose state is theirs."""

    _unsaved = ("schedulers",)
    schedulers: list[LRScheduler]

    def _rewind(self) -> None:
        super()._rewind()
        for schedule in self.schedulers:
            schedule._rewind()

    def state_dict(self) -> dict[str, Any]:
        """Its own state, with that of each schedule."""
        return {**super().state_dict(), "schedulers": [schedule.state_dict() for schedule in self.schedulers]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As the base says, for each schedule too."""
        own = self.schedulers
        super().load_state_dict(state)
        self.schedulers = own
        for schedule, saved in zip(own, state["schedulers"], strict=True):
            schedule.load_state_dict(saved)


def _check_parts(name: str, optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
    """Raises ValueError for what is no schedule, or one of another optimizer, or that goes by a metric."""
    for schedule in schedulers:
        alike = isinstance(schedule, LRScheduler) and schedule.optimizer is optimizer
        if not alike or isinstance(schedule, ReduceLROnPlateau):
            raise ValueError(
                f"{name} expects schedules of its own optimizer that need no metric; got {type(schedule).__name__}"
            )


class SequentialLR(_Combined):
    """One schedule after the other; `milestones[i]` is the epoch at which schedule i + 1 begins at its start.

    schedulers: of the same optimizer, made before this one.
    Raises ValueError when there is not one milestone fewer than schedules, or one goes by a metric.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR expects one milestone fewer than schedules; got {len(milestones)} and {len(schedulers)}"
            )
        _check_parts("SequentialLR", optimizer, schedulers)
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        self._rewind()
        if last_epoch == -1:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"]
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """What the schedule whose turn it is says."""
        turn = bisect_right(self.milestones, self.last_epoch)
        schedule = self.schedulers[turn]
        if turn and self.milestones[turn - 1] == self.last_epoch:
            schedule.restart()
        elif self._begins:
            schedule._begin()
        else:
            schedule.step()
        return schedule.get_last_lr()


class ChainedScheduler(_Combined):
    """Several schedules at once, each stepped in turn, so that what they do to the rates is multiplied.

    schedulers: of one optimizer, which may be named. Raises ValueError where there are none, or one goes by a metric.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler expects at least one schedule; got none")
        first: Any = getattr(schedulers[0], "optimizer", None)
        self.optimizer = first if optimizer is None else optimizer
        _check_parts("ChainedScheduler", self.optimizer, schedulers)
        self.schedulers, self.last_epoch, self._base_lrs = list(schedulers), 0, []
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        """The rates after a step of each schedule."""
        for schedule in self.schedulers:
            if self._begins:
                schedule._begin()
            else:
                schedule.step()
        return [group["lr"] for group in self.optimizer.param_groups]
