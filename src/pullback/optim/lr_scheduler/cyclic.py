"""Schedules in cycles, in which the momentum goes the other way than the rate."""

from collections.abc import Callable, Sequence
from math import cos, floor, pi
from typing import Literal

from ..optimizer import Optimizer
from .scheduler import LRScheduler, check_groups, one_each, set_momentum

__all__ = ["CyclicLR", "OneCycleLR"]


class CyclicLR(LRScheduler):
    """Up and down between two rates, for ever.

    Smith, "Cyclical learning rates for training neural networks", 2017. It goes by updates, not epochs.

    base_lr, max_lr: the lowest rate, which is the first, and the highest; or one of each for each group.
    step_size_up, step_size_down: how many updates a half cycle takes; the second is as long as the first by default.
    mode: `"triangular"`, or with the height halved after each cycle (`"triangular2"`), or times `gamma` at each
        update (`"exp_range"`).
    scale_fn: a function of one's own in place of a mode, giving the factor of the height from the number of the
        cycle, counted from 1, or with scale_mode="iterations" from that of the update. `state_dict` leaves it out.
    cycle_momentum: move `momentum`, or the first of `betas`, from max_momentum to base_momentum and back.
    Raises ValueError for numbers that make no sense, and for an optimizer without momentum to cycle.
    """

    _unsaved = ("scale_fn",)

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        down = step_size_up if step_size_down is None else step_size_down
        if not (step_size_up > 0 and down > 0):
            raise ValueError(f"CyclicLR expects half cycles of at least 1 update; got {step_size_up!r} and {down!r}")
        if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"CyclicLR expects mode 'triangular', 'triangular2' or 'exp_range'; got {mode!r}")
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(f"CyclicLR expects scale_mode 'cycle' or 'iterations'; got {scale_mode!r}")
        self.max_lrs = one_each("CyclicLR", "max_lr", max_lr, optimizer)
        self.base_momenta = one_each("CyclicLR", "base_momentum", base_momentum, optimizer)
        self.max_momenta = one_each("CyclicLR", "max_momentum", max_momentum, optimizer)
        lowest = one_each("CyclicLR", "base_lr", base_lr, optimizer)
        _check_momentum(optimizer, cycle_momentum)
        self.total_size, self.step_ratio = step_size_up + down, step_size_up / (step_size_up + down)
        self.mode, self.gamma, self.scale_fn = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, lowest, strict=True):
                group["lr"] = lr
        super().__init__(optimizer, last_epoch)
        self._base_lrs = lowest

    def get_lr(self) -> list[float]:
        """The rate of each group on its way up or down; sets the momentum alike."""
        check_groups(self, self.max_lrs)
        cycle = floor(1 + self.last_epoch / self.total_size)
        place = 1 + self.last_epoch / self.total_size - cycle
        share = place / self.step_ratio if place <= self.step_ratio else (place - 1) / (self.step_ratio - 1)
        height = share * self._scale(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            ends = zip(self.base_momenta, self.max_momenta, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, ends, strict=True):
                set_momentum(group, high - (high - low) * height)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def _scale(self, count: int) -> float:
        if self.scale_fn is not None:
            return self.scale_fn(count)
        powers = {"triangular": 1.0, "triangular2": 0.5 ** (count - 1), "exp_range": self.gamma**count}
        return powers[self.mode]


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
        self.max_lrs = one_each("OneCycleLR", "max_lr", max_lr, optimizer)
        self.base_momenta = one_each("OneCycleLR", "base_momentum", base_momentum, optimizer)
        self.max_momenta = one_each("OneCycleLR", "max_momentum", max_momentum, optimizer)
        _check_momentum(optimizer, cycle_momentum)
        self.total_steps, self.anneal_strategy, self.cycle_momentum = (
            total_steps,
            anneal_strategy,
            cycle_momentum,
        )
        self.initial_lrs = [lr / div_factor for lr in self.max_lrs]
        self.min_lrs = [lr / final_div_factor for lr in self.initial_lrs]
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
        check_groups(self, self.max_lrs)
        phase = next((i for i, turn in enumerate(self.turns) if self.last_epoch <= turn), len(self.turns) - 1)
        start = self.turns[phase - 1] if phase else 0
        length = self.turns[phase] - start
        share = (self.last_epoch - start) / length if length else 1.0
        if self.cycle_momentum:
            lows_and_highs = zip(self.base_momenta, self.max_momenta, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, lows_and_highs, strict=True):
                ends = [(high, low), (low, high), (high, high)][phase]
                set_momentum(group, self._between(*ends, share))
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


def _check_momentum(optimizer: Optimizer, cycled: bool) -> None:
    if cycled and not {"momentum", "betas"} & set(optimizer.defaults):
        raise ValueError(f"{type(optimizer).__name__} has no momentum to cycle; pass cycle_momentum=False")
