"""What a network learns from: where it is found, and its samples in three parts."""

import argparse
import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from ..backends import Array
from ..backends.host import host
from ..data import load_digits, split
from ..data.encoder import Encoder, Target
from ..data.table import Table, TableError, read_table
from .images import FILES, ImageEncoder, has_images, read_parts

__all__ = ["Samples", "counted", "data_name", "read_samples"]

_FEWEST = 10
_PARTS = {"train": 0.7, "validate": 0.1, "test": 0.2}
_LEARNT = {"train": 0.9, "validate": 0.1}
"""How a folder's training images are shared out; its test images are its own."""


class Samples(NamedTuple):
    """Encoded samples in three parts.

    described: what they are, for the terminal. shape: that of an image, (height, width, channels); None where
    the columns of a table are no pixels.
    parts: the samples to "train", "validate" and "test" on: inputs (N, ...) float32, and targets: (N,) int64 classes
        or (N, 1) float32.
    """

    described: str
    shape: tuple[int, ...] | None
    encoder: Encoder | ImageEncoder
    parts: Mapping[str, tuple[Array, Array]]


def counted(n: int, noun: str) -> str:
    """A number and what there are of them."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def data_name(data: str) -> str:
    """What a run on `digits`, a file or a folder is called: its name without its endings."""
    name = Path(os.path.abspath(data)).name.removesuffix(".gz")
    return Path(name).stem or name or "data"


def read_samples(arguments: argparse.Namespace) -> Samples:
    """Find, read, check, split and encode what was named.

    Classes are shared out evenly among the parts; means and medians are those of the training samples.
    Raises TableError and ValueError for data that cannot be trained on.
    """
    if arguments.data == "digits":
        return _of_table(_digits(), "digit", (8, 8, 1), arguments)
    place = _find(arguments.data, arguments.data_dir)
    if place.is_dir():
        return _of_folder(place, arguments)
    if place.is_file() and "-ubyte" in place.name:
        raise ValueError(f"{place} is one of several files of images and labels; name the folder they are in")
    table = read_table(place)
    return _of_table(table, "y" if table.positional else "", _pixels(place, table), arguments)


def _find(data: str, folder: str | None) -> Path:
    """The file or the folder of that path; else of that name among the data sets of `folder`."""
    place, sets = Path(os.path.expanduser(data)), folder or os.environ.get("PULLBACK_DATA_DIR")
    looked = [place, Path(os.path.expanduser(sets), data)] if sets else [place]
    found = next((path for path in looked if path.exists()), None)
    if found is not None:
        return found
    elsewhere = f" and no {looked[1]}" if sets else ""
    there = looked[1].parent.iterdir() if sets and looked[1].parent.is_dir() else ()
    known = {name.lower(): name for name in ("digits", *(path.name for path in there))}
    near = get_close_matches(data.lower(), known, n=1, cutoff=0.7)
    if near:
        raise ValueError(f"there is no file {data}{elsewhere}; did you mean {known[near[0]]}?")
    if place.suffix:
        raise ValueError(f"there is no file {data}{elsewhere}")
    hint = "" if sets else ", or lies in the folder of --data-dir"
    raise ValueError(f"there is no file {data}{elsewhere}; a folder of images is named by its path{hint}; {FILES}")


def _digits() -> Table:
    images, labels = load_digits().arrays
    pixels = {f"x{i}": images[:, i] for i in range(images.shape[1])}
    return Table("digits", {**pixels, "digit": labels}, positional=True, uniform=True)


def _pixels(place: Path, table: Table) -> tuple[int, ...] | None:
    """The shape of the images that the rows of an `.npz` file are, (height, width, channels)."""
    if not table.uniform:
        return None
    with host.load(place, allow_pickle=False) as arrays:
        shape = arrays["X"].shape[1:]
    return (*shape, 1)[:3] if len(shape) in (2, 3) else None


def _of_table(table: Table, default: str, shape: tuple[int, ...] | None, arguments: argparse.Namespace) -> Samples:
    """The rows of a table. default: the column to predict where none was named; shape: that of the others as images."""
    name = arguments.target or default
    if not name:
        names = ", ".join(list(table.columns)[:12]) + (", ..." if len(table.columns) > 12 else "")
        raise ValueError(f"name the column to predict with --target; {table.source} has {names}")
    table.column(name)
    if len(table) < _FEWEST:
        needed = f"at least {_FEWEST} are needed to train, validate and test"
        raise TableError(f"{table.source} has {counted(len(table), 'row')}; {needed}")
    target = Target.find(table, name, arguments.task)
    rows = _shares(len(table), _PARTS, arguments.seed, None if target.classes is None else target.values(table))
    encoder = Encoder.fit(table, target, rows=rows["train"], drop=arguments.drop)
    inputs, targets = encoder.encode(table), encoder.encode_target(table)
    described = f"{table.source}: {counted(len(table), 'row')}, {counted(len(encoder.columns), 'column')}"
    whole = name == default and not arguments.drop
    parts = {part: (inputs[places], targets[places]) for part, places in rows.items()}
    return Samples(described, shape if whole else None, encoder, parts)


def _of_folder(folder: Path, arguments: argparse.Namespace) -> Samples:
    """The images of a folder in MNIST's format."""
    if not has_images(folder):
        raise ValueError(f"{folder} is a folder without images in IDX files (MNIST's format); {FILES}")
    for option, given in (("--target", arguments.target), ("--drop", arguments.drop)):
        if given:
            raise ValueError(f"{option} is for tables; {folder} is a folder of images, whose labels are the target")
    if arguments.task == "regression":
        raise ValueError(f"--task regression is for tables; the labels of {folder} are classes")
    (images, labels), test, classes = read_parts(folder)
    if len(images) < _FEWEST:
        raise ValueError(f"{folder} has {counted(len(images), 'training image')}; at least {_FEWEST} are needed")
    rows = _shares(len(images), _LEARNT, arguments.seed, labels)
    encoder = ImageEncoder.fit(images[rows["train"]], Target("label", classes))
    parts = {part: (encoder.encode(images[places]), labels[places]) for part, places in rows.items()}
    parts["test"] = encoder.encode(test[0]), test[1]
    count = counted(sum(len(targets) for _, targets in parts.values()), "image")
    return Samples(f"{folder}: {count} of {encoder.size}", encoder.shape, encoder, parts)


def _shares(samples: int, fractions: Mapping[str, float], seed: int, labels: Array | None) -> dict[str, Array]:
    """The places of the samples of each part, each label shared out evenly."""
    shares = split(host.arange(samples), fractions=list(fractions.values()), seed=seed, stratify=labels)
    return {part: host.sort(places) for part, (places,) in zip(fractions, shares, strict=True)}
