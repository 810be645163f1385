"""`pullback train`: from a table to a tested network in a folder of its own."""

import argparse
import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import __version__, optim
from ..backends import Array, Backend
from ..backends.host import host
from ..data import DataLoader, load_digits, split
from ..data.encoder import Encoder, Target
from ..data.table import Table, TableError, read_table
from ..nn import CrossEntropyLoss, MSELoss
from ..ops.loss import cross_entropy, mse_loss
from ..train import Restarts, Trainer, restart
from ..train.metrics import R2, Accuracy, confusion_matrix, r2_score
from ..train.report import plot_confusion, plot_curves
from .backend import chosen_backend
from .run_folder import Architecture, check_place, new_run, write_json, write_network

__all__ = ["run"]

_HIDDEN = (256,)
_DROPOUT = 0.3
_SMOOTHING = 0.1
_UPDATES = 1600
_FEWEST_ROWS = 10

_RATES = {"adam": 3e-3, "adamw": 3e-3, "sgd": 0.05, "rmsprop": 1e-3, "adagrad": 1e-2}


@dataclass(frozen=True)
class _Job:
    """What is trained on, in three parts, and with what."""

    name: str
    table: Table
    encoder: Encoder
    inputs: Array
    targets: Array
    parts: dict[str, Array]
    architecture: Architecture
    batch_size: int
    epochs: int
    lr: float

    def part(self, name: str) -> tuple[Array, Array]:
        """The inputs and targets of the rows to "train", "validate" or "test" on."""
        return self.inputs[self.parts[name]], self.targets[self.parts[name]]


def run(arguments: argparse.Namespace) -> int:
    """Train, test and write a run; 130 when training was interrupted and what was learnt is written."""
    name = "digits" if arguments.data == "digits" else _stem(arguments.data)
    folder = Path(arguments.out) if arguments.out else _free_folder(name)
    check_place(folder)
    say: Callable[..., None] = _say_nothing if arguments.quiet else print
    with chosen_backend(arguments) as backend, _notes(say):
        job = _prepare(name, arguments)
        say(_introduction(job, backend), flush=True)
        began = time.perf_counter()
        result = _train(job, arguments)
        seconds = time.perf_counter() - began
        if arguments.out is None and folder.exists():
            folder = _free_folder(name)
        results, written = _write(folder, job, result, arguments, backend, seconds)
    if result.history.interrupted:
        print(f"pullback: interrupted; what was learnt is in {folder}", file=sys.stderr)
        return 130
    say(_conclusion(job, result, results, seconds))
    say(f"\n{folder}/\n  {'  '.join(written)}\n\nnext: pullback predict {folder} FILE.csv")
    if arguments.quiet:
        print(folder)
    return 0


def _say_nothing(*words: object, flush: bool = False) -> None:
    pass


def _stem(path: str) -> str:
    """A file's name without its endings."""
    return Path(path).name.removesuffix(".gz").rpartition(".")[0] or Path(path).name


def _free_folder(name: str) -> Path:
    base = Path("runs", f"{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    number, folder = 1, base
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder


class _notes(logging.Handler):  # noqa: N801  (used as a `with` block)
    """Says what the package logs while a run is prepared."""

    def __init__(self, say: Callable[..., None]) -> None:
        super().__init__(logging.INFO)
        self.say = say
        self.logger = logging.getLogger("pullback")

    def emit(self, record: logging.LogRecord) -> None:
        self.say(f"note: {record.getMessage()}")

    def __enter__(self) -> None:
        self.level_before = self.logger.level
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self)

    def __exit__(self, *raised: object) -> None:
        self.logger.removeHandler(self)
        self.logger.setLevel(self.level_before)


def _prepare(name: str, arguments: argparse.Namespace) -> _Job:
    """Read, check, split and encode the data, and settle what is not given."""
    table, column = _read(arguments)
    if len(table) < _FEWEST_ROWS:
        raise TableError(
            f"{table.source} has {len(table)} rows; at least {_FEWEST_ROWS} are needed to train, validate and test"
        )
    target = Target.find(table, column, arguments.task)
    values = target.values(table)
    rows = split(
        host.arange(len(table)),
        fractions=(0.7, 0.1, 0.2),
        seed=arguments.seed,
        stratify=None if target.classes is None else values,
    )
    parts = {part: host.sort(found) for part, (found,) in zip(("train", "validate", "test"), rows, strict=True)}
    encoder = Encoder.fit(table, target, rows=parts["train"], drop=arguments.drop)
    learnt = len(parts["train"])
    batch_size = arguments.batch_size or 2 ** round(math.log2(min(max(learnt / 40, 8), 256)))
    hidden = _HIDDEN if arguments.hidden is None else arguments.hidden
    return _Job(
        name=name,
        table=table,
        encoder=encoder,
        inputs=encoder.encode(table),
        targets=encoder.encode_target(table),
        parts=parts,
        architecture=Architecture(encoder.width, hidden, len(target.classes or "y"), _DROPOUT),
        batch_size=batch_size,
        epochs=arguments.epochs or min(max(round(_UPDATES * batch_size / learnt), 10), 100),
        lr=arguments.lr or _RATES[arguments.optimizer],
    )


def _read(arguments: argparse.Namespace) -> tuple[Table, str]:
    """The table, and the column that is to be predicted."""
    if arguments.data == "digits":
        images, labels = load_digits().arrays
        pixels = {f"x{i}": images[:, i] for i in range(images.shape[1])}
        return Table("digits", {**pixels, "digit": labels}, positional=True, uniform=True), "digit"
    table = read_table(arguments.data)
    if arguments.target is None and not table.positional:
        raise ValueError(f"name the column to predict with --target; {table.source} has {_listed(table)}")
    if arguments.target is None and "y" not in table.columns:
        raise TableError(f"{table.source} has no array 'y' to learn from")
    column = arguments.target or "y"
    table.column(column)
    return table, column


def _listed(table: Table) -> str:
    names = list(table.columns)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")


def _train(job: _Job, arguments: argparse.Namespace) -> Restarts[Trainer]:
    """Train from every start, and keep the best on the validation rows."""

    def build(seed: int) -> Trainer:
        network = job.architecture.build()
        optimizer = _optimizer(arguments.optimizer, network.parameters(), job.lr)
        schedule = _schedule(arguments.schedule, optimizer, job)
        smoothed = CrossEntropyLoss(label_smoothing=_SMOOTHING)
        return Trainer(
            network,
            MSELoss() if job.encoder.target.classes is None else smoothed,
            optimizer,
            metrics=[R2() if job.encoder.target.classes is None else Accuracy()],
            schedule=schedule,
            schedule_every="iteration" if arguments.schedule == "one-cycle" else "epoch",
            progress=not arguments.quiet,
        )

    def fit(trainer: Trainer) -> Any:
        loader = DataLoader(*job.part("train"), batch_size=job.batch_size, shuffle=True)
        return trainer.fit(loader, DataLoader(*job.part("validate"), batch_size=1024), epochs=job.epochs)

    seeds = [(arguments.seed + number) % 2**64 for number in range(arguments.restarts)]
    return restart(build, fit, seeds)


def _optimizer(name: str, parameters: Any, lr: float) -> optim.Optimizer:
    if name == "sgd":
        return optim.SGD(parameters, lr=lr, momentum=0.9)
    kinds = {"adam": optim.Adam, "adamw": optim.AdamW, "rmsprop": optim.RMSprop, "adagrad": optim.Adagrad}
    return kinds[name](parameters, lr=lr)


def _schedule(name: str, optimizer: optim.Optimizer, job: _Job) -> Any:
    schedules, epochs = optim.lr_scheduler, job.epochs
    if name == "one-cycle":
        # One more than there are updates, since the schedule steps once more after the last of them.
        steps = epochs * math.ceil(len(job.parts["train"]) / job.batch_size) + 1
        return schedules.OneCycleLR(optimizer, job.lr, total_steps=steps, cycle_momentum=False)
    if name == "cosine":
        return schedules.CosineAnnealingLR(optimizer, epochs)
    if name == "step":
        return schedules.StepLR(optimizer, max(1, epochs // 3))
    if name == "exponential":
        return schedules.ExponentialLR(optimizer, 0.01 ** (1 / epochs))
    if name == "plateau":
        return schedules.ReduceLROnPlateau(optimizer, patience=max(2, epochs // 10))
    return None


def _write(
    folder: Path,
    job: _Job,
    result: Restarts[Trainer],
    arguments: argparse.Namespace,
    backend: Backend,
    seconds: float,
) -> tuple[dict[str, float], list[str]]:
    """Test the network on the rows held back, and write the run; returns the results and the files' names."""
    inputs, targets = job.part("test")
    outputs = result.best.predict(inputs).numpy()
    results = _measure(job.encoder.target, outputs, targets)
    history = result.history
    summary = {
        "dataset": job.name,
        "task": job.encoder.target.task,
        "target": job.encoder.target.name,
        **results,
        "parameters": result.best.model.parameter_count(),
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        "iterations": int(history.rows[-1]["iterations"]) if history.rows else 0,
        "seconds": round(seconds, 3),
        "interrupted": history.interrupted,
        "backend": backend.name,
        "device": str(result.best.predict(inputs[:1]).device),
        "rows": {part: len(rows) for part, rows in job.parts.items()},
        "network": str(job.architecture),
        "dropout": job.architecture.dropout,
        "optimizer": arguments.optimizer,
        "schedule": arguments.schedule,
        "lr": job.lr,
        "batch_size": job.batch_size,
        "seed": result.seed,
        "restarts": [
            {
                "seed": attempt.seed,
                history.monitor: attempt.value,
                "epoch": attempt.epoch,
                "diverged": attempt.diverged and str(attempt.diverged),
            }
            for attempt in result.attempts
        ],
        "pullback": __version__,
    }
    with new_run(folder) as aside:
        write_network(aside, result.best.model, job.architecture, job.encoder)
        history.to_csv(aside / "history.csv")
        write_json(aside / "summary.json", summary)
        if find_spec("matplotlib") is not None:
            if len(history):
                plot_curves(history, aside / "curves.png")
            if job.encoder.target.classes is not None:
                names = job.encoder.target.classes
                matrix = confusion_matrix(outputs, targets, classes=len(names))
                plot_confusion(matrix, names, aside / "confusion.png")
        order = ["weights.safetensors", "model.json", "history.csv", "summary.json", "curves.png", "confusion.png"]
        written = sorted((path.name for path in aside.iterdir()), key=order.index)
    return results, written


def _measure(target: Target, outputs: Array, targets: Array) -> dict[str, float]:
    """The results on the test rows; the loss of a regression is that of the standardised target."""
    if target.classes is None:
        loss = float(mse_loss(outputs, targets))
        return {"test_r2": r2_score(outputs, targets), "test_rmse": loss**0.5 * target.std, "test_loss": loss}
    right = int((outputs.argmax(axis=-1) == targets).sum())
    return {"test_accuracy": right / len(targets), "test_loss": float(cross_entropy(outputs, targets))}


def _introduction(job: _Job, backend: Backend) -> str:
    target, counts = job.encoder.target, {part: f"{len(rows):,}" for part, rows in job.parts.items()}
    what = "a number" if target.classes is None else f"{len(target.classes)} classes"
    where = f"{backend.name} ({backend.device or 'its default device'})"
    return (
        f"{job.table.source}: {len(job.table):,} rows, {len(job.encoder.columns)} columns; "
        f"{target.name!r} is {what} ({target.task})\n"
        f"rows: {counts['train']} to train on, {counts['validate']} to validate, {counts['test']} to test\n"
        f"network: {job.architecture}, on {where}"
    )


def _conclusion(job: _Job, result: Restarts[Trainer], results: dict[str, float], seconds: float) -> str:
    tested = len(job.parts["test"])
    if job.encoder.target.classes is None:
        found = f"test R² {results['test_r2']:.3f}, root mean square error {results['test_rmse']:.4g}"
    else:
        right = round(results["test_accuracy"] * tested)
        found = f"test accuracy {results['test_accuracy']:.1%} ({right:,} of {tested:,})"
    lines = [f"{found}, after {len(result.history)} epochs in {seconds:.1f} s"]
    if len(result.attempts) > 1:
        lines.append(f"the best of {len(result.attempts)} starts is that of seed {result.seed}")
        lines += [
            f"  seed {a.seed}: {a.diverged or f'{result.history.monitor} {a.value:.4g} in epoch {a.epoch}'}"
            for a in result.attempts
        ]
    return "\n".join(lines)
