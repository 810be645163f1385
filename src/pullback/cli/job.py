"""What a training run is about: the rows, as numbers and in three parts, and all that can be chosen."""

import argparse
import math
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..backends import Array
from ..backends.host import host
from ..data import load_digits, split
from ..data.encoder import Encoder, Target
from ..data.table import Table, TableError, read_table
from .run_folder import Architecture

__all__ = ["Job", "data_name", "prepare"]

_FEWEST_ROWS = 10
_PARTS = {"train": 0.7, "validate": 0.1, "test": 0.2}
# With batches of 32, the widest layer whose products BLAS does not share out among threads: on a busy
# machine they wait for each other far longer than they work.
_HIDDEN = (128,)
_UPDATES = 1600
_RATES = {"adam": 3e-3, "adamw": 3e-3, "sgd": 0.05, "rmsprop": 1e-3, "adagrad": 1e-2}


@dataclass(frozen=True)
class Job:
    """Encoded rows in three parts, and how to train on them.

    inputs: (N, width) float32. targets: (N,) int64 classes or (N, 1) float32.
    parts: the rows to "train", "validate" and "test" on.
    """

    name: str
    table: Table
    encoder: Encoder
    inputs: Array
    targets: Array
    parts: dict[str, Array]
    architecture: Architecture
    optimizer: str
    schedule: str
    lr: float
    batch_size: int
    epochs: int

    def part(self, name: str) -> tuple[Array, Array]:
        """The inputs and targets of one of the parts."""
        return self.inputs[self.parts[name]], self.targets[self.parts[name]]

    @property
    def updates(self) -> int:
        """How many updates all epochs have together."""
        return self.epochs * math.ceil(len(self.parts["train"]) / self.batch_size)

    def describe(self, backend: str, device: str) -> str:
        """What is about to be done, for the terminal."""
        target, rows = self.encoder.target, {part: f"{len(rows):,}" for part, rows in self.parts.items()}
        kind = "a number" if target.classes is None else f"{len(target.classes)} classes"
        return (
            f"data     {self.table.source}: {len(self.table):,} rows, {_count(len(self.encoder.columns), 'column')}\n"
            f"target   {target.name}, {kind} ({target.task})\n"
            f"rows     {rows['train']} to train on, {rows['validate']} to validate, {rows['test']} to test\n"
            f"network  {self.architecture}, {self.architecture.parameter_count:,} parameters\n"
            f"method   {self.optimizer}, learning rate {self.lr:g}, schedule {self.schedule}, "
            f"{_count(self.epochs, 'epoch')} in batches of {self.batch_size}, on {backend} ({device})"
        )


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def data_name(data: str) -> str:
    """What a run on `digits` or on a file is called: the file's name without its endings."""
    name = Path(data).name.removesuffix(".gz")
    return Path(name).stem or name


def prepare(arguments: argparse.Namespace) -> Job:
    """Read, check, split and encode the data, and settle what was not chosen.

    Classes are shared out evenly among the parts; means and medians are those of the training rows.
    Raises TableError and ValueError for data that cannot be trained on.
    """
    table, column = _read(arguments.data, arguments.target)
    if len(table) < _FEWEST_ROWS:
        needed = f"at least {_FEWEST_ROWS} are needed to train, validate and test"
        raise TableError(f"{table.source} has {_count(len(table), 'row')}; {needed}")
    target = Target.find(table, column, arguments.task)
    labels = None if target.classes is None else target.values(table)
    shares = split(host.arange(len(table)), fractions=list(_PARTS.values()), seed=arguments.seed, stratify=labels)
    parts = {part: host.sort(rows) for part, (rows,) in zip(_PARTS, shares, strict=True)}
    encoder = Encoder.fit(table, target, rows=parts["train"], drop=arguments.drop)
    learnt = len(parts["train"])
    batch_size = arguments.batch_size or 2 ** round(math.log2(min(max(learnt / 40, 8), 256)))
    hidden = _HIDDEN if arguments.hidden is None else arguments.hidden
    return Job(
        name=data_name(arguments.data),
        table=table,
        encoder=encoder,
        inputs=encoder.encode(table),
        targets=encoder.encode_target(table),
        parts=parts,
        architecture=Architecture(encoder.width, hidden, len(target.classes or "1")),
        optimizer=arguments.optimizer,
        schedule=arguments.schedule,
        lr=arguments.lr or _RATES[arguments.optimizer],
        batch_size=batch_size,
        epochs=arguments.epochs or min(max(round(_UPDATES * batch_size / learnt), 20), 100),
    )


def _read(data: str, target: str | None) -> tuple[Table, str]:
    """The table, and the column that is to be predicted."""
    if data == "digits":
        images, labels = load_digits().arrays
        pixels = {f"x{i}": images[:, i] for i in range(images.shape[1])}
        table, default = Table("digits", {**pixels, "digit": labels}, positional=True, uniform=True), "digit"
    else:
        table = _read_file(data)
        default = "y" if table.positional else ""
    if not (target or default):
        names = ", ".join(list(table.columns)[:12]) + (", ..." if len(table.columns) > 12 else "")
        raise ValueError(f"name the column to predict with --target; {table.source} has {names}")
    table.column(target or default)
    return table, target or default


def _read_file(path: str) -> Table:
    try:
        return read_table(path)
    except FileNotFoundError:
        hint = "; did you mean digits?" if get_close_matches(path, ["digits"], cutoff=0.7) else ""
        raise ValueError(f"there is no file {path}{hint}") from None
