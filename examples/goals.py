"""What an example set out to reach, and whether it did."""

import json
from typing import NamedTuple


class Goal(NamedTuple):
    """A figure, and the least or the most that it may be."""

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    @property
    def reached(self):
        """Whether the figure is within its bound."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def __str__(self):
        bound = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        return f"{self.name}: {self.value:.4g}{self.unit} ({bound}{self.unit} asked for)"


def report(goals, path, quick=False):
    """Print the goals and write them to a file; a full run that misses one ends with status 1."""
    print()
    for goal in goals:
        print(f"{goal}" + ("" if goal.reached else ", and missed"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{"text": str(goal), "reached": goal.reached} for goal in goals], indent=2) + "\n")
    if not quick and not all(goal.reached for goal in goals):
        raise SystemExit(1)
