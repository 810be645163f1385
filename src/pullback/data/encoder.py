"""From the columns of a table to what a network takes and gives, and back."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any, Literal, TypeAlias

from ..backends import Array
from ..backends.host import host
from .table import Table, TableError

__all__ = ["Categorical", "Encoder", "Numeric", "Target"]

Task: TypeAlias = Literal["classification", "regression"]

_log = logging.getLogger("pullback")

_MOST_CLASSES = 20
_MOST_CATEGORIES = 100
_LEADING_ZERO = re.compile(r"[+-]?0\d")
_MOST_EXACT = 2.0**53  # from here on float64 no longer holds every whole number
_FARTHEST = 1e18  # standard deviations; float32 holds their products still


@dataclass(frozen=True)
class Numeric:
    """A column of numbers: what fills its missing cells, and what it is standardised by.

    One that was constant where it was learnt from has a deviation of 0 and always becomes 0.
    """

    name: str
    median: float
    mean: float
    std: float


@dataclass(frozen=True)
class Categorical:
    """A column of words: each category becomes one 0 or 1; a missing cell is none of them."""

    name: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """The column to be predicted: its classes, or for regression None and what it is standardised by."""

    name: str
    classes: tuple[str, ...] | None
    mean: float = 0.0
    std: float = 1.0

    @property
    def task(self) -> Task:
        """Whether a class or a number is predicted."""
        return "regression" if self.classes is None else "classification"

    @classmethod
    def find(cls, table: Table, name: str, task: Task | None = None) -> "Target":
        """The target of a table, checked: no value is missing, and no class is seen only once.

        task: "classification" or "regression"; by default classification where the column holds words,
            or whole numbers of at most 20 different values that are seen 3 times on average.
        Raises TableError, naming the line.
        """
        missing = table.missing(name)
        if any(missing):
            raise table.error(
                "the target is missing; complete the row or take it out", row=missing.index(True), column=name
            )
        text = table.is_text(name)
        if task == "regression" or not (text or task == "classification" or _is_label(table.numbers(name))):
            values = table.numbers(name)
            if values.min() == values.max():
                raise table.error(f"all values are {values[0]:g}; there is nothing to learn", column=name)
            return cls(name, None)
        labels = _labels(table, name)
        count = Counter(labels)
        if len(count) == 1:
            raise table.error(f"all labels are {labels[0]!r}; there is nothing to tell apart", column=name)
        for row, label in enumerate(labels):
            if count[label] == 1:
                raise table.error(
                    f"the label {label!r} is seen only here, so it cannot be both learnt and tested; "
                    "take the row out, or add others like it",
                    row=row,
                    column=name,
                )
        return cls(name, tuple(sorted(count) if text else sorted(count, key=lambda label: (float(label), label))))

    def values(self, table: Table) -> Array:
        """The target of each row: (N,), the class's number as int64, or the number itself as float64."""
        if self.classes is None:
            return table.numbers(self.name)
        number = {label: i for i, label in enumerate(self.classes)}
        return host.asarray([number[label] for label in _labels(table, self.name)], dtype=host.int64)


def _is_label(values: Array) -> bool:
    distinct = len(host.unique(values))
    return bool((values == host.floor(values)).all()) and distinct <= min(_MOST_CLASSES, max(2, len(values) // 3))


def _labels(table: Table, name: str) -> list[str]:
    """The labels as text; whole numbers without a point, however they were written.

    Numbers stay as written where that tells them apart, as in 007, or where float64 would round them.
    """
    cells = table.column(name)
    if isinstance(cells, host.ndarray) and cells.dtype.kind in "biu":
        return [str(int(x)) for x in cells.tolist()]
    if table.is_text(name):
        return list(cells)
    if not isinstance(cells, host.ndarray) and (
        any(_LEADING_ZERO.match(cell) for cell in cells) or bool((abs(table.numbers(name)) >= _MOST_EXACT).any())
    ):
        return list(cells)
    return [str(int(x)) if x == int(x) else repr(x) for x in table.numbers(name).tolist()]


@dataclass(frozen=True)
class Encoder:
    """How a table becomes a network's input and target: numbers standardised, words one-hot.

    columns: those the network sees, in order. target: the one it predicts.
    positional: whether a table may name its columns otherwise, if it has as many.

    >>> table = Table("pets.csv", {"legs": ["4", "2"], "coat": ["fur", "feather"], "weight": ["3.5", "2"]})
    >>> encoder = Encoder.fit(table, Target.find(table, "weight"))
    >>> encoder.encode(table).tolist()
    [[1.0, 0.0, 1.0], [-1.0, 1.0, 0.0]]
    >>> Encoder.from_dict(encoder.to_dict()) == encoder
    True
    """

    columns: tuple[Numeric | Categorical, ...]
    target: Target
    positional: bool = False

    @classmethod
    def fit(
        cls,
        table: Table,
        target: Target,
        *,
        rows: Sequence[int] | Array | None = None,
        drop: Iterable[str] = (),
    ) -> "Encoder":
        """An encoder for tables like this one.

        rows: those that may be learnt from: medians, means and deviations are theirs; by default all.
        drop: columns to leave out, as those are that have no value or a single one in these rows; a constant
            column of a positional table stays, as zeros.
        Raises TableError for a column of which too many cells differ, such as names or identifiers,
        one that mixes numbers and words, and one with infinite values.
        """
        part = host.arange(len(table)) if rows is None else host.asarray(rows)
        dropped = {target.name, *drop}
        for name in dropped:
            table.column(name)
        found = [_fit_column(table, name, part) for name in table.columns if name not in dropped]
        columns = [column for column in found if column is not None]
        if table.uniform and columns:
            columns = _fit_together(table, columns, part)
        constant = [column.name for column in columns if isinstance(column, Numeric) and column.std == 0]
        if len(constant) == len(columns):
            raise TableError(f"{table.source} has no column to learn from besides the target {target.name!r}")
        if constant:
            shown = ", ".join(constant[:8]) + (f", ... ({len(constant)} in all)" if len(constant) > 8 else "")
            _log.info("%s: left out, with one value in all rows to learn from: %s", table.source, shown)
            if not table.positional:  # else they hold the places of the others
                columns = [column for column in columns if column.name not in constant]
        if target.classes is None:
            mean, std = _moments(table, target.name, target.values(table)[part])
            target = Target(target.name, None, mean, std or 1.0)
        return cls(tuple(columns), target, table.positional)

    @property
    def width(self) -> int:
        """How many numbers each row becomes."""
        return sum(len(c.categories) if isinstance(c, Categorical) else 1 for c in self.columns)

    def encode(self, table: Table) -> Array:
        """The rows of a table as (N, width), float32. The target's column may be absent, others are ignored.

        Raises TableError where a column is missing, a cell of the wrong kind, or a category unknown.
        """
        table = self._aligned(table)
        encoded = host.zeros((len(table), self.width), dtype=host.float32)
        filled: dict[str, int] = {}
        at = 0
        for column in self.columns:
            filled[column.name] = sum(table.missing(column.name))
            if isinstance(column, Numeric):
                encoded[:, at] = _standardised(table, column)
                at += 1
            else:
                _mark(table, column, encoded[:, at : at + len(column.categories)])
                at += len(column.categories)
        gaps = [f"{name} ({count:,})" for name, count in filled.items() if count]
        if gaps:
            _log.info("missing cells, filled with the training median or as no category: %s", ", ".join(gaps))
        return encoded

    def encode_target(self, table: Table) -> Array:
        """The targets of a table: (N,) classes as int64, or (N, 1) standardised numbers as float32."""
        values = self.target.values(table)
        if self.target.classes is not None:
            return values
        return ((values - self.target.mean) / self.target.std).astype(host.float32)[:, None]

    def _aligned(self, table: Table) -> Table:
        """The table with the columns named as here."""
        names = [column.name for column in self.columns]
        given = [name for name in table.columns if name != self.target.name]
        if (self.positional or table.positional) and not set(names) <= set(given):
            if len(given) != len(names):
                have = f"{len(given)} column{'' if len(given) == 1 else 's'}"
                expected = f"{len(names)}, in order or named {names[0]} to {names[-1]}"
                raise TableError(f"{table.source} has {have}; the model expects {expected}")
            columns = {name: table.columns[other] for name, other in zip(names, given, strict=True)}
            return Table(table.source, columns, lines=table.lines, decimal_comma=table.decimal_comma)
        extra = [name for name in given if name not in set(names)]
        missing = next((name for name in names if name not in table.columns), None)
        if missing is not None:
            near = get_close_matches(missing, extra, n=1, cutoff=0.5)
            hint = f"; is it the one named {near[0]!r}?" if near else ""
            raise TableError(f"{table.source} has no column {missing!r}, which the model was trained on{hint}")
        if extra:
            _log.info("%s: not used: %s", table.source, ", ".join(extra))
        return table

    def to_dict(self) -> dict[str, Any]:
        """The encoder as plain data, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Encoder":
        """The encoder that `to_dict` described."""
        columns = tuple(
            Categorical(c["name"], tuple(c["categories"])) if "categories" in c else Numeric(**c)
            for c in data["columns"]
        )
        target = dict(data["target"])
        classes = None if target["classes"] is None else tuple(target.pop("classes"))
        return cls(columns, Target(**{**target, "classes": classes}), bool(data["positional"]))


def _fit_column(table: Table, name: str, part: Array) -> Numeric | Categorical | None:
    missing = host.asarray(table.missing(name))
    if missing[part].all():
        _log.info("%s: column %r has no values to learn from and is left out", table.source, name)
        return None
    if not table.is_text(name):
        values = table.numbers(name)[part]
        median = float(host.nanmedian(values))
        mean, std = _moments(table, name, host.where(missing[part], median, values))
        return Numeric(name, median, mean, std)
    cells = [cell for cell, gone in zip(table.column(name), missing, strict=True) if not gone]
    categories = sorted(set(cells))
    if len(categories) > min(_MOST_CATEGORIES, max(2, len(cells) // 2)):
        raise table.error(
            f"{len(categories)} different words in {len(cells)} rows, as in names or identifiers, cannot be "
            "learnt from; leave the column out",
            column=name,
        )
    return Categorical(name, tuple(categories))


def _fit_together(table: Table, columns: Sequence[Numeric | Categorical], part: Array) -> list[Numeric | Categorical]:
    """One mean and deviation for all columns, which measure the same thing."""
    numbers = [column for column in columns if isinstance(column, Numeric)]
    mean = sum(column.mean for column in numbers) / len(numbers)
    variance = sum(column.std**2 + (column.mean - mean) ** 2 for column in numbers) / len(numbers)
    return [Numeric(c.name, c.median, mean, variance**0.5) if isinstance(c, Numeric) else c for c in columns]


def _moments(table: Table, name: str, values: Array) -> tuple[float, float]:
    """Mean and standard deviation, which is exactly 0 where all values are the same."""
    if values.min() == values.max():
        return float(values[0]), 0.0
    with host.errstate(all="ignore"):
        mean, std = float(values.mean()), float(values.std())
    if not (isfinite(mean) and isfinite(std)):
        raise table.error("the values are too large to be standardised; rescale them", column=name)
    return mean, std


def _standardised(table: Table, column: Numeric) -> Array:
    values = table.numbers(column.name)
    if column.std == 0:
        return host.zeros_like(values)
    filled = host.where(host.isnan(values), column.median, values)
    with host.errstate(over="ignore"):
        scaled = (filled - column.mean) / column.std
    far = host.flatnonzero(~(host.abs(scaled) < _FARTHEST))
    if far.size:
        row = int(far[0])
        raise table.error(f"{values[row]:g} lies too far from the values trained on", row=row, column=column.name)
    return scaled


def _mark(table: Table, column: Categorical, ones: Array) -> None:
    number = {category: i for i, category in enumerate(column.categories)}
    cells = [f"{cell}" for cell in table.column(column.name)]
    for row, (cell, missing) in enumerate(zip(cells, table.missing(column.name), strict=True)):
        if missing:
            continue
        if cell not in number:
            known = ", ".join(column.categories[:8]) + (", ..." if len(column.categories) > 8 else "")
            raise table.error(f"{cell!r} is none of the categories learnt ({known})", row=row, column=column.name)
        ones[row, number[cell]] = 1.0
