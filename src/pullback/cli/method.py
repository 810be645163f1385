"""How a network is trained: the optimizers and the schedules, by name, and what suits each."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

__all__ = ["OPTIMIZERS", "SCHEDULES", "OptimizerChoice", "ScheduleChoice"]

# Classes are named, not imported: the command asks for the names whatever it is about to do.


class OptimizerChoice(NamedTuple):
    """A class of `optim`, the learning rate that suits it, and its other arguments."""

    name: str
    lr: float
    options: Mapping[str, Any] = {}

    def build(self, parameters: Iterable[Any], lr: float) -> Any:
        """The optimizer of some parameters."""
        from .. import optim

        return getattr(optim, self.name)(parameters, lr=lr, **self.options)


class ScheduleChoice(NamedTuple):
    """A class of `optim.lr_scheduler`, and its arguments from the learning rate and how many epochs and updates."""

    name: str
    options: Callable[[float, int, int], Mapping[str, Any]]
    every: Literal["epoch", "iteration"] = "epoch"

    def build(self, optimizer: Any, lr: float, epochs: int, updates: int) -> Any:
        """The schedule of an optimizer."""
        from ..optim import lr_scheduler

        return getattr(lr_scheduler, self.name)(optimizer, **self.options(lr, epochs, updates))


OPTIMIZERS = {
    "adam": OptimizerChoice("Adam", 3e-3),
    "adamw": OptimizerChoice("AdamW", 3e-3),
    "nadam": OptimizerChoice("NAdam", 3e-3),
    "radam": OptimizerChoice("RAdam", 3e-3),
    "adamax": OptimizerChoice("Adamax", 5e-3),
    "lamb": OptimizerChoice("LAMB", 1e-2),
    "lion": OptimizerChoice("Lion", 3e-4),
    "sgd": OptimizerChoice("SGD", 0.05, {"momentum": 0.9}),
    "rmsprop": OptimizerChoice("RMSprop", 1e-3),
    "adagrad": OptimizerChoice("Adagrad", 1e-2),
}

SCHEDULES: dict[str, ScheduleChoice | None] = {
    "one-cycle": ScheduleChoice(
        "OneCycleLR",
        lambda lr, _, updates: {"max_lr": lr, "total_steps": updates, "cycle_momentum": False},
        "iteration",
    ),
    "cosine": ScheduleChoice("CosineAnnealingLR", lambda _, epochs, __: {"T_max": epochs}),
    "step": ScheduleChoice("StepLR", lambda _, epochs, __: {"step_size": max(1, epochs // 3)}),
    "exponential": ScheduleChoice("ExponentialLR", lambda _, epochs, __: {"gamma": 0.01 ** (1 / epochs)}),
    "plateau": ScheduleChoice("ReduceLROnPlateau", lambda _, epochs, __: {"patience": max(2, epochs // 10)}),
    "none": None,
}
