"""How the sides of a task are timed: in one process, in turns, each waited for."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["Side", "median", "take_turns"]


class Side(NamedTuple):
    """One library's version of a task, ready to run."""

    run: Callable[[], Any]
    """One call; for a training step it gives the loss, still on the device."""
    wait: Callable[[], Any]
    """Returns when all that was queued has run."""
    parameters: int = 0
    """How many numbers are trained."""


def take_turns(sides: Mapping[str, Side], calls: int, rounds: int, seconds: float) -> dict[str, list[float]]:
    """The seconds of one call of each side, in each round: no more rounds than this, nor many more seconds.

    calls: how many are measured together, as training queues one step behind the other. Every clock starts when all
        sides are idle and stops when the calls have run. Three rounds at least are taken.
    """
    taken: dict[str, list[float]] = {name: [] for name in sides}
    end = time.perf_counter() + seconds
    for turn in range(rounds):
        for name, side in sides.items():
            for other in sides.values():
                other.wait()
            start = time.perf_counter()
            for _ in range(calls):
                side.run()
            side.wait()
            taken[name].append((time.perf_counter() - start) / calls)
        if turn >= 2 and time.perf_counter() > end:
            break
    return taken


def median(taken: list[float]) -> float:
    return statistics.median(taken)
