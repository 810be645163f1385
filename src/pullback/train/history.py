"""History: what a training run measured, epoch by epoch."""

import csv
from collections.abc import Iterator
from os import PathLike

from .aside import written_aside
from .early_stopping import Mode, improvement

__all__ = ["History", "Row"]

Row = dict[str, float]


class History:
    """A row for each finished epoch: its number, iterations so far, losses, metrics, lr and seconds.

    monitor: the column whose best value decides the best epoch.
    mode: whether its `"min"` or `"max"` is best; `"auto"` tells from the name.

    `history["val_loss"]` is a column, `history.rows[0]` a row. `interrupted` says that Ctrl-C ended the run,
    `stopped_early` that early stopping did; `best_epoch` is the number of the best, counted from 1, or None.

    >>> history = History(monitor="loss")
    >>> history.append({"epoch": 1, "iterations": 10, "loss": 0.5})
    >>> history["loss"], history.columns
    ([0.5], ['epoch', 'iterations', 'loss'])
    """

    def __init__(self, monitor: str = "loss", mode: Mode = "auto") -> None:
        self.monitor = monitor
        self.mode = improvement(monitor, mode)
        self.rows: list[Row] = []
        self.best_epoch: int | None = None
        self.interrupted = False
        self.stopped_early = False

    def append(self, row: Row) -> None:
        """Add the row of an epoch."""
        self.rows.append(row)

    @property
    def columns(self) -> list[str]:
        """The names of what was measured."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    @property
    def best_value(self) -> float | None:
        """The monitored value of the best epoch; None when there is none."""
        return None if self.best_epoch is None else self.rows[self.best_epoch - 1][self.monitor]

    def __getitem__(self, name: str) -> list[float]:
        """A column, from the first epoch to the last."""
        if name not in self.columns:
            raise KeyError(f"the history has no {name!r}; it has {', '.join(self.columns) or 'no epochs'}")
        return [row[name] for row in self.rows]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write the rows as a table: a line of names, then one for each epoch, with every digit."""
        with written_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, self.columns, lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)

    def __repr__(self) -> str:
        end = ", interrupted" * self.interrupted + ", stopped early" * self.stopped_early
        best = "" if self.best_value is None else f", best {self.best_epoch}: {self.monitor} {self.best_value:.6g}"
        return f"History({len(self)} epoch{'' if len(self) == 1 else 's'}{best}{end})"
