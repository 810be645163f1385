"""What the entries of the optimizers' and the schedules' tables are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Generator = np.random.Generator


class OptimizerEntry(NamedTuple):
    """One optimizer, and PyTorch's of the same name."""

    name: str
    """The name in `pullback.optim` and in `torch.optim`."""
    draw: Callable[[Generator], Mapping[str, Any]]
    """The hyperparameters of a configuration; what they leave out keeps its default."""
    reference: Callable[..., Any] | None = None
    """Makes what it is compared with, where PyTorch has no such optimizer: `reference(groups, **options)`."""
    by_group: Sequence[str] = ("lr", "weight_decay")
    """The hyperparameters that groups may have of their own."""
    shapes: Sequence[tuple[int, ...]] = ((4, 3), (5,), (), (2, 3, 2))
    """The shapes of the parameters."""
    feedback: float = 0.5
    """How much the gradient depends on the parameter; none where a sign would turn rounding into a step."""
    differs: str = ""
    """What a user of PyTorch must know."""


class ScheduleEntry(NamedTuple):
    """One schedule, and PyTorch's of the same name."""

    name: str
    """The name in `pullback.optim.lr_scheduler` and in `torch.optim.lr_scheduler`."""
    draw: Callable[[Generator], Mapping[str, Any]]
    """The arguments of a configuration, for an optimizer of two groups."""
    make: Callable[..., Any] | None = None
    """`make(library, optimizer, **arguments)`, where it takes more than a call of the class: of either `torch.optim`
    or `pullback.optim`."""
    metric: bool = False
    """Whether `step` takes a metric."""
    resumes: bool = True
    """Whether it can be made with last_epoch, to go on from rates that were saved."""
    differs: str = ""
    """What a user of PyTorch must know."""


def pick(rng: Generator, *choices: Any) -> Any:
    """One of the choices, as it is."""
    return choices[int(rng.integers(len(choices)))]


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """A number between two others, as likely to be near the one as near the other."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def some(rng: Generator, options: Mapping[str, Any]) -> dict[str, Any]:
    """About three quarters of the options; the others keep their defaults."""
    return {name: value for name, value in options.items() if rng.uniform() < 0.75}
