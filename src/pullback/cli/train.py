"""`pullback train`: from a table or images to a tested network in a folder of its own."""

import argparse
import math
import os
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import __version__
from ..backends import Array
from ..ops.loss import cross_entropy, mse_loss
from ..train import Restarts, Trainer
from ..train.metrics import confusion_matrix, r2_score
from ..train.report import plot_confusion, plot_curves, plot_predictions
from .backend import chosen_backend
from .fit import fit
from .images import ImageEncoder
from .job import Job, prepare
from .notes import noted
from .run_folder import check_place, free_folder, new_run, write_json, write_network
from .samples import data_name
from .streams import lasting_streams

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Train, test and write a run; 130 when training was interrupted and what was learnt is written."""
    with lasting_streams():  # a terminal or a reader that goes away is no reason to lose the run
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    name = data_name(arguments.data)
    folder = Path(os.path.expanduser(arguments.out)) if arguments.out else free_folder(name)
    check_place(folder)
    with chosen_backend(arguments) as (backend, device):
        with noted() as notes:
            job = prepare(arguments, name)
        if not arguments.quiet:
            print(job.describe(backend, device), *(f"note     {note}" for note in notes), sep="\n", flush=True)
        began = time.perf_counter()
        seeds = [(arguments.seed + number) % 2**64 for number in range(arguments.restarts)]
        result, interrupted = fit(job, seeds, progress=not arguments.quiet)
        seconds = time.perf_counter() - began
        if arguments.out is None and folder.exists():
            folder = free_folder(name)
        with new_run(folder) as aside:
            outputs = result.best.predict(job.parts["test"][0]).numpy()
            measured = _measure(job, outputs)
            setting = {"backend": backend, "device": device, "seconds": round(seconds, 3)}
            summary = _summary(job, result, {**setting, **measured, "interrupted": interrupted})
            written = _write(aside, job, result, outputs, summary)
    if interrupted:
        print(f"pullback: interrupted; what was learnt is in {folder}", file=sys.stderr)
        return 130
    if arguments.quiet:
        print(folder)
    else:
        print(_conclusion(job, result, measured, seconds))
        print(f"run      {folder}: {', '.join(written)}")
        file = "IMAGES" if isinstance(job.encoder, ImageEncoder) else "FILE.csv"
        print(f"next     pullback predict {shlex.quote(str(folder))} {file}")
    return 0


def _measure(job: Job, outputs: Array) -> dict[str, float]:
    """The results on the test rows; the loss of a regression is that of the standardised target."""
    target, truth = job.encoder.target, job.parts["test"][1]
    if target.classes is None:
        loss = float(mse_loss(outputs, truth))
        return {"test_r2": r2_score(outputs, truth), "test_rmse": loss**0.5 * target.std, "test_loss": loss}
    right = int((outputs.argmax(axis=-1) == truth).sum())
    return {"test_accuracy": right / len(truth), "test_loss": float(cross_entropy(outputs, truth))}


def _write(folder: Path, job: Job, result: Restarts[Trainer], outputs: Array, summary: dict[str, Any]) -> list[str]:
    """Write the files of a run, and pictures where matplotlib is installed; returns their names."""
    history, target = result.history, job.encoder.target
    classes = target.classes
    write_network(folder, result.best.model, job.architecture, job.encoder)
    history.to_csv(folder / "history.csv")
    write_json(folder / "summary.json", summary)
    written = ["weights.safetensors", "model.json", "history.csv", "summary.json"]
    if find_spec("matplotlib") is not None:
        pictures: dict[str, Callable[[Path], None]] = {}
        if len(history):
            pictures["curves.png"] = partial(plot_curves, history)
        if classes is not None:
            matrix = confusion_matrix(outputs, job.parts["test"][1], classes=len(classes))
            pictures["confusion.png"] = partial(plot_confusion, matrix, classes)
        else:
            predicted, true = (target.mean + target.std * y for y in (outputs, job.parts["test"][1]))
            pictures["predictions.png"] = partial(plot_predictions, predicted, true, target.name)
        written += [name for name, draw in pictures.items() if _drawn(draw, folder / name)]
    return written


def _drawn(draw: Callable[[Path], None], path: Path) -> bool:
    """Whether a picture could be drawn; a note says why not, and the rest of the run is written."""
    try:
        draw(path)
    except Exception as error:  # whatever it is, the weights must not be lost with the picture
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"note     {path.name} could not be drawn ({reason})", file=sys.stderr)
        return False
    return True


def _summary(job: Job, result: Restarts[Trainer], measured: dict[str, Any]) -> dict[str, Any]:
    history, target = result.history, job.encoder.target
    restarts = [
        {
            "seed": attempt.seed,
            history.monitor: _or_null(attempt.value),
            "epoch": attempt.epoch,
            "diverged": attempt.diverged and str(attempt.diverged),
        }
        for attempt in result.attempts
    ]
    return {
        "dataset": job.name,
        "task": target.task,
        "target": target.name,
        **{name: _or_null(value) for name, value in measured.items()},
        "model": job.architecture.model,
        "parameters": job.parameters,
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        "iterations": int(history.rows[-1]["iterations"]) if history.rows else 0,
        "rows": {part: job.count(part) for part in job.parts},
        "network": str(job.architecture),
        "optimizer": job.optimizer,
        "precision": job.precision,
        "schedule": job.schedule,
        "lr": job.lr,
        "batch_size": job.batch_size,
        "seed": result.seed,
        "restarts": restarts,
        "pullback": __version__,
    }


def _or_null(value: Any) -> Any:
    """The value, or None for NaN and infinity, which JSON cannot say."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _conclusion(job: Job, result: Restarts[Trainer], measured: dict[str, float], seconds: float) -> str:
    history, tested = result.history, job.count("test")
    lines = []
    if len(result.attempts) > 1:
        for attempt in result.attempts:
            ended = f"{history.monitor} {attempt.value:.4g}" if attempt.value is not None else "no result"
            kept = ", kept" if attempt.seed == result.seed else ""
            lines.append(f"start    seed {attempt.seed}: {attempt.diverged or ended}{kept}")
    if job.encoder.target.classes is None:
        found = f"R² {measured['test_r2']:.3f}, root mean square error {measured['test_rmse']:.4g}"
    else:
        right = round(measured["test_accuracy"] * tested)
        found = f"{measured['test_accuracy']:.1%} right ({right:,} of {tested:,})"
    epochs = f"{len(history)} epoch{'' if len(history) == 1 else 's'}"
    best = f"the best of {epochs} was {history.best_epoch}"
    lines.append(f"test     {found}; {best}; {seconds:.1f} s")
    return "\n".join(lines)
