"""Schedules of the learning rate, with PyTorch's names: call `step()` after each epoch, or each update.

A schedule turns the rate of each group that was into the one that comes, so schedules can be stepped one
after the other and their effects multiply. The rates themselves live in the optimizer's groups and are
saved with it; `state_dict` here holds the rest, as plain numbers.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import cos, inf, pi
from typing import Any, ClassVar, Literal

from .optimizer import Optimizer

__all__ = [
    "ConstantLR", "CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR",
    "OneCycleLR", "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip


class LRScheduler:
    """The base of the schedules. A schedule of one's own defines `rate`, or `get_lr` for all groups at once.

    optimizer: whose groups' `lr` is set. Each group's rate at the start is kept as its `initial_lr`.
    last_epoch: the number of steps already taken; -1 starts anew, and sets the first rate at once.
    Raises ValueError when it goes on with an optimizer that was never scheduled.
    """

    _unsaved: ClassVar[Sequence[str]] = ()
    """What a schedule keeps that no file can: functions, other schedules."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if last_epoch >= 0 and any("initial_lr" not in group for group in optimizer.param_groups):
            raise ValueError(
                "last_epoch goes on with an optimizer that was scheduled before; load its state_dict first"
            )
        self.optimizer = optimizer
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        LRScheduler.step(self)

    def rate(self, lr: float, initial_lr: float) -> float:
        """The rate of one group at `last_epoch`, from the one before and the one at the start."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """The rate of each group at `last_epoch`."""
        return [
            self.rate(group["lr"], group.setdefault("initial_lr", group["lr"])) for group in self.optimizer.param_groups
        ]

    @property
    def base_lrs(self) -> list[float]:
        """The rate of each group at the start."""
        return [group.setdefault("initial_lr", group["lr"]) for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Go on by one epoch, or one update: set the groups' next rates."""
        self.last_epoch += 1
        self._set(self.get_lr())

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
        return {name: value for name, value in vars(self).items() if name not in ("optimizer", *self._unsaved)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another schedule of the same kind stood; the optimizer loads its rates itself.

        Raises ValueError when the state is that of another kind of schedule.
        """
        own = self.state_dict()
        if own.keys() != state.keys():
            raise ValueError(
                f"{type(self).__name__} expects a state of {', '.join(sorted(own))}; got {', '.join(sorted(state))}"
            )
        vars(self).update(state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(last_epoch={self.last_epoch}, lr={self._last_lr})"


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
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
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
        return lr * self.gamma if self.last_epoch else lr


class CosineAnnealingLR(LRScheduler):
    """Half a cosine wave from the rate at the start down to `eta_min` in `T_max` epochs, then up again.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017 (without restarts).
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR expects a T_max of at least 1 epoch; got {T_max!r}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, initial_lr: float) -> float:
        """The last rate, scaled as the wave goes on; from its lowest point, where that fails, a step up."""
        epoch, half = self.last_epoch, self.T_max
        if epoch == 0:
            return lr
        if (epoch - 1 - half) % (2 * half) == 0:
            return lr + (initial_lr - self.eta_min) * (1 - cos(pi / half)) / 2
        ratio = (1 + cos(pi * epoch / half)) / (1 + cos(pi * (epoch - 1) / half))
        return self.eta_min + (lr - self.eta_min) * ratio


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
        if self.last_epoch > self.total_iters:
            return lr
        return lr * self._factor(self.last_epoch) / self._factor(self.last_epoch - 1)

    def _factor(self, epoch: int) -> float:
        return self.start_factor + (self.end_factor - self.start_factor) * epoch / self.total_iters


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
        groups = len(optimizer.param_groups)
        self.lr_lambdas = _one_each("LambdaLR", "lr_lambda", lr_lambda, groups)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rate at the start times what the function says."""
        _check_groups(self, self.lr_lambdas)
        return [lr * f(self.last_epoch) for lr, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class SequentialLR(LRScheduler):
    """One schedule after the other; `milestones[i]` is the epoch at which schedule i + 1 begins at its start.

    schedulers: of the same optimizer, made before this one.
    Raises ValueError when there is not one milestone fewer than schedules, or one goes by a metric.
    """

    _unsaved = ("schedulers",)

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
        for schedule in schedulers:
            if isinstance(schedule, ReduceLROnPlateau) or schedule.optimizer is not optimizer:
                raise ValueError(
                    "SequentialLR expects schedules of its own optimizer that need no metric; "
                    f"got {type(schedule).__name__}"
                )
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
        else:
            schedule.step()
        return schedule.get_last_lr()

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


class OneCycleLR(LRScheduler):
    """One cycle: up to `max_lr`, then down far below the start; the momentum goes the other way.

    Smith and Topin, "Super-convergence: very fast training of neural networks using large learning
    rates", 2019. It goes by updates, not epochs: call `step()` after each batch.

    max_lr: the highest rate, or one for each group. The first is max_lr / div_factor, the last that
        over final_div_factor. total_steps: the number of updates; or give `epochs` and `steps_per_epoch`.
    pct_start: the share of the updates that go up. anneal_strategy: `"cos"` or `"linear"`.
    cycle_momentum: move `momentum`, or the first of `betas`, between base_momentum and max_momentum.
    three_phase: go down to the first rate in as many updates as up, and only then below it.
    Raises ValueError for numbers that make no sense, for an optimizer without momentum to cycle, and for
    more steps than there are.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None and epochs is not None and steps_per_epoch is not None:
            total_steps = epochs * steps_per_epoch
        if total_steps is None or total_steps < 1:
            raise ValueError(
                "OneCycleLR expects total_steps, or epochs and steps_per_epoch, of at least 1; "
                f"got {total_steps!r}, {epochs!r} and {steps_per_epoch!r}"
            )
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR expects pct_start from 0 to 1; got {pct_start!r}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR expects anneal_strategy 'cos' or 'linear'; got {anneal_strategy!r}")
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(f"{type(optimizer).__name__} has no momentum to cycle; pass cycle_momentum=False")
        groups = len(optimizer.param_groups)
        self.total_steps, self.anneal_strategy, self.cycle_momentum = (
            total_steps,
            anneal_strategy,
            cycle_momentum,
        )
        self.max_lrs = _one_each("OneCycleLR", "max_lr", max_lr, groups)
        self.initial_lrs = [lr / div_factor for lr in self.max_lrs]
        self.min_lrs = [lr / final_div_factor for lr in self.initial_lrs]
        self.base_momenta = _one_each("OneCycleLR", "base_momentum", base_momentum, groups)
        self.max_momenta = _one_each("OneCycleLR", "max_momentum", max_momentum, groups)
        top = pct_start * total_steps - 1
        self.turns = [top, 2 * top, total_steps - 1] if three_phase else [top, total_steps - 1]
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, self.initial_lrs, strict=True):
                group["initial_lr"] = lr
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rate of each group on its way to the next turn; sets the momentum alike."""
        if self.last_epoch > self.total_steps:  # as in PyTorch, a step after the last update is let pass
            raise ValueError(f"OneCycleLR was made for {self.total_steps} steps, and they are done")
        _check_groups(self, self.max_lrs)
        phase = next((i for i, turn in enumerate(self.turns) if self.last_epoch <= turn), len(self.turns) - 1)
        start = self.turns[phase - 1] if phase else 0
        length = self.turns[phase] - start
        share = (self.last_epoch - start) / length if length else 1.0
        if self.cycle_momentum:
            lows_and_highs = zip(self.base_momenta, self.max_momenta, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, lows_and_highs, strict=True):
                ends = [(high, low), (low, high), (high, high)][phase]
                _set_momentum(group, self._between(*ends, share))
        stops = zip(self.initial_lrs, self.max_lrs, self.min_lrs, strict=True)
        rates = []
        for low, high, last in stops:
            course = [low, high, low, last] if len(self.turns) == 3 else [low, high, last]
            rates.append(self._between(course[phase], course[phase + 1], share))
        return rates

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2 * (1 + cos(pi * share))


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by `factor` when a metric has not improved for more than `patience` epochs.

    mode: `"min"` or `"max"`, what is better. threshold: what counts as better: by that share of the best
        (`threshold_mode="rel"`), or by that much (`"abs"`).
    cooldown: epochs to wait after a reduction. min_lr: the lowest rate, or one for each group.
    eps: a reduction smaller than this is left out.

    >>> import pullback as pb
    >>> from pullback.optim import SGD
    >>> optimizer = SGD([pb.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in [0.5, 0.5, 0.5]:
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau expects a factor below 1; got {factor!r}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                "ReduceLROnPlateau expects mode 'min' or 'max' and threshold_mode 'rel' or 'abs'; "
                f"got {mode!r} and {threshold_mode!r}"
            )
        self.mode, self.factor, self.patience, self.cooldown, self.eps = mode, factor, patience, cooldown, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.min_lrs = _one_each("ReduceLROnPlateau", "min_lr", min_lr, len(optimizer.param_groups))
        self.best = inf if mode == "min" else -inf
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)

    def rate(self, lr: float, initial_lr: float) -> float:
        """The same rate, until a metric says otherwise."""
        return lr

    def step(self, metrics: Any) -> None:  # type: ignore[override]  # this one goes by a metric
        """Take note of a metric, a number or a 0-d Tensor, and reduce the rates if it is stuck."""
        _check_groups(self, self.min_lrs)
        current = float(metrics)
        self.last_epoch += 1
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        rates = [group["lr"] for group in self.optimizer.param_groups]
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            lower = [max(lr * self.factor, least) for lr, least in zip(rates, self.min_lrs, strict=True)]
            rates = [new if lr - new > self.eps else lr for lr, new in zip(rates, lower, strict=True)]
        self._set(rates)

    def _is_better(self, current: float) -> bool:
        margin = self.threshold if self.mode == "max" else -self.threshold
        bound = self.best * (1 + margin) if self.threshold_mode == "rel" else self.best + margin
        return current > bound if self.mode == "max" else current < bound


def _one_each(schedule: str, name: str, value: Any, groups: int) -> list[Any]:
    """One value for each group, of one for all or a list of them."""
    every = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(every) != groups:
        raise ValueError(f"{schedule} expects one {name} for each of the {groups} groups; got {len(every)}")
    return every


def _check_groups(schedule: LRScheduler, values: Sequence[Any]) -> None:
    """Raises ValueError where groups were added to the optimizer since the schedule was made."""
    groups = len(schedule.optimizer.param_groups)
    if groups != len(values):
        raise ValueError(
            f"{type(schedule).__name__} was made for {len(values)} groups and its optimizer has {groups} now; "
            "add every group first, then make the schedule"
        )


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
