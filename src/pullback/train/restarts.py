"""Several starts from different seeds, of which the best is kept."""

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from ..ops.random import Generator, use_generator
from ..optim.divergence import Diverged
from .history import History

__all__ = ["Attempt", "Restarts", "restart"]

B = TypeVar("B")


class Attempt(NamedTuple):
    """How one start ended."""

    seed: int
    value: float | None
    """The monitored value of its best epoch; None when it finished no epoch."""
    epoch: int | None = None
    """The epoch of that value."""
    diverged: Diverged | None = None


class Restarts(NamedTuple, Generic[B]):
    """The best of several starts, and how each of them ended."""

    best: B
    history: History
    seed: int
    attempts: tuple[Attempt, ...]


def restart(build: Callable[[int], B], fit: Callable[[B], History], seeds: Iterable[int]) -> Restarts[B]:
    """Train once for each seed, and keep the best by the value that its history monitors.

    build: makes, from a seed, what is trained, such as a `Trainer` with a new model. It and `fit` run with a
        default generator of that seed, which so decides the weights, dropout and the order of the samples.
    fit: trains what was built and returns its history.
    Returns what was built from the best seed, its history and seed, and an `Attempt` for each seed. One that
    diverged is reported there; an interrupted one is the last.
    Raises Diverged when every start diverged, ValueError when there are no seeds.
    """
    best: tuple[float, B, History, int] | None = None
    attempts: list[Attempt] = []
    for seed in seeds:
        with use_generator(Generator(seed)):
            built = build(seed)
            try:
                history = fit(built)
            except Diverged as error:
                attempts.append(Attempt(seed, None, None, error))
                continue
        attempts.append(Attempt(seed, history.best_value, history.best_epoch))
        cost = _cost(history)
        if best is None or cost < best[0]:
            best = cost, built, history, seed
        if history.interrupted:
            break
    if best is None:
        raise next((a.diverged for a in attempts if a.diverged), ValueError("restart was given no seeds"))
    return Restarts(*best[1:], tuple(attempts))


def _cost(history: History) -> float:
    """The best monitored value, as something of which less is better."""
    value = history.best_value
    if value is None:
        return float("inf")
    return value if history.mode == "min" else -value
