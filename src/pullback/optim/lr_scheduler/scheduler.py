"""The base of the schedules."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar

from ..optimizer import Optimizer

__all__ = ["LRScheduler", "check_groups", "one_each", "set_momentum"]


class LRScheduler:
    """The base of the schedules. A schedule of one's own defines `rate`, or `get_lr` for all groups at once.

    optimizer: whose groups' `lr` is set. Each group's rate at the start is kept as its `initial_lr`.
    last_epoch: the number of steps already taken; -1 starts anew, and sets the first rate at once.
    Raises TypeError for what is no optimizer, ValueError when it goes on with one that was never scheduled.
    """

    _unsaved: ClassVar[Sequence[str]] = ()
    """What a schedule keeps that no file can: functions, other schedules."""
    _begins: bool = False
    """Whether the step is that of the constructor: it leaves rates as they are that were saved after that step."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        _check_optimizer(type(self).__name__, optimizer)
        if last_epoch >= 0 and any("initial_lr" not in group for group in optimizer.param_groups):
            raise ValueError(
                "last_epoch goes on with an optimizer that was scheduled before; load its state_dict first, "
                "or give each of its groups the rate at the start as 'initial_lr'"
            )
        self.optimizer = optimizer
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        self._base_lrs: list[float] = []
        self._meet_groups()
        self._begin()

    def rate(self, lr: float, initial_lr: float) -> float:
        """The rate of one group at `last_epoch`, from the one before and the one at the start."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """The rate of each group at `last_epoch`."""
        groups = zip(self.optimizer.param_groups, self.base_lrs, strict=True)
        return [self.rate(group["lr"], initial_lr) for group, initial_lr in groups]

    @property
    def base_lrs(self) -> list[float]:
        """The rate of each group at the start, as it was when the schedule met the group."""
        self._meet_groups()
        return self._base_lrs

    def _meet_groups(self) -> None:
        """Note the rates of groups that are new."""
        for group in self.optimizer.param_groups[len(self._base_lrs) :]:
            self._base_lrs.append(group.setdefault("initial_lr", group["lr"]))

    def step(self) -> None:
        """Go on by one epoch, or one update: set the groups' next rates."""
        self.last_epoch += 1
        self._set(self.get_lr())

    def _begin(self) -> None:
        """The step to the first rates."""
        self._begins = True
        LRScheduler.step(self)
        del self._begins

    def restart(self) -> None:
        """Begin again at epoch 0, from the rates at the start."""
        self._set(self.base_lrs)
        self._rewind()
        LRScheduler.step(self)

    def _rewind(self) -> None:
        self.last_epoch = -1

    def get_last_lr(self) -> list[float]:
        """The rate of each group, as last set."""
        return self._last_lr

    def _set(self, rates: Sequence[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr = list(rates)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions: numbers, names and lists of them, fit for JSON."""
        left_out = ("optimizer", *self._unsaved)
        return {name: deepcopy(value) for name, value in vars(self).items() if name not in left_out}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another schedule of the same kind stood; the optimizer loads its rates itself.

        Raises ValueError when the state is that of another kind of schedule.
        """
        own = self.state_dict()
        if own.keys() != state.keys():
            raise ValueError(
                f"{type(self).__name__} expects a state of {', '.join(sorted(own))}; got {', '.join(sorted(state))}"
            )
        vars(self).update(deepcopy(dict(state)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(last_epoch={self.last_epoch}, lr={self._last_lr})"


def _check_optimizer(schedule: str, optimizer: Any) -> None:
    """Raises TypeError for what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        given = f"the class {optimizer.__name__}" if isinstance(optimizer, type) else f"a {type(optimizer).__name__}"
        raise TypeError(f"{schedule} sets the rates of an optimizer, its first argument; got {given}")


def one_each(schedule: str, name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """One value for each group of an optimizer, of one for all or a list of them. Raises TypeError for no optimizer."""
    _check_optimizer(schedule, optimizer)
    groups = len(optimizer.param_groups)
    every = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(every) != groups:
        raise ValueError(f"{schedule} expects one {name} for each of the {groups} groups; got {len(every)}")
    return every


def check_groups(schedule: LRScheduler, values: Sequence[Any]) -> None:
    """Raises ValueError where groups were added to the optimizer since the schedule was made."""
    groups = len(schedule.optimizer.param_groups)
    if groups != len(values):
        raise ValueError(
            f"{type(schedule).__name__} was made for {len(values)} groups and its optimizer has {groups} now; "
            "add every group first, then make the schedule"
        )


def set_momentum(group: dict[str, Any], momentum: float) -> None:
    """Set a group's momentum, or the first of its betas."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
