"""`pullback predict`: a trained network applied to a new table or new images."""

import argparse
import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from ..autodiff import no_grad
from ..backends import Array
from ..backends.host import host
from ..data import DataLoader
from ..data.encoder import Encoder, Target
from ..data.table import read_table
from ..nn import Module
from ..ops.activation import softmax
from ..train.aside import written_aside
from .backend import chosen_backend
from .images import ImageEncoder, read_images
from .notes import noted
from .run_folder import read_network

__all__ = ["run"]

_BATCH = 256


def run(arguments: argparse.Namespace) -> int:
    """Write a CSV with the prediction for each row of a table or each image, to standard output or to a file."""
    with chosen_backend(arguments), noted() as notes:
        network, encoder, architecture = read_network(arguments.folder)
        inputs = _inputs(arguments.data, encoder)
        outputs = _outputs(network, inputs.reshape(-1, *architecture.shape))
    header, rows = _columns(encoder.target), _rows(encoder.target, outputs)
    if arguments.out is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        _write(sys.stdout, header, rows)
    else:
        out = Path(os.path.expanduser(arguments.out))
        if out.is_dir():
            raise ValueError(f"{out} is a folder; name a file with --out")
        if out.is_file() and (out.samefile(arguments.data) or out.parent.samefile(arguments.data)):
            raise ValueError(f"{out} holds the data themselves; name another file with --out")
        if Path(os.path.realpath(arguments.folder)) in Path(os.path.realpath(out)).parents:
            raise ValueError(f"{out} lies in the run's own folder; name a file elsewhere with --out")
        with written_aside(out) as aside, aside.open("w", encoding="utf-8", newline="") as file:
            _write(file, header, rows)
    for note in notes:
        print(f"note     {note}", file=sys.stderr)
    if arguments.out is not None:
        print(f"{len(outputs):,} predictions of {encoder.target.name} written to {arguments.out}")
    return 0


def _inputs(data: str, encoder: Encoder | ImageEncoder) -> Array:
    """What the network takes, of a table or of the images of a file or a folder."""
    if isinstance(encoder, ImageEncoder):
        images = read_images(Path(data))
        if not len(images):
            raise ValueError(f"{data} has no images to predict")
        return encoder.encode(images)
    if Path(data).is_dir():
        raise ValueError(f"{data} is a folder, and the model was trained on a table; name a CSV or .npz file")
    return encoder.encode(read_table(data))


def _outputs(network: Module, inputs: Array) -> Array:
    """What the network gives for every row, on the host."""
    with no_grad():
        return host.concatenate([network(x).numpy() for (x,) in DataLoader(inputs, batch_size=_BATCH)])


def _columns(target: Target) -> list[str]:
    return ["prediction", *(f"probability_{name}" for name in target.classes or ())]


def _rows(target: Target, outputs: Array) -> Iterator[list[str]]:
    """The cells of each row: the number, or the class and the probability of every class."""
    if target.classes is None:
        for (value,) in outputs.astype(host.float64) * target.std + target.mean:
            yield [f"{value:.7g}"]
        return
    for row in softmax(outputs.astype(host.float64)):
        yield [target.classes[int(row.argmax())], *(f"{p:.6f}" for p in row)]


def _write(file: IO[str], header: Sequence[str], rows: Iterator[list[str]]) -> None:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
