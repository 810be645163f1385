"""A run's folder: the network and all that `predict` needs, written whole or not at all."""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from math import prod
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from .. import __version__
from ..autodiff import no_grad
from ..data.encoder import Encoder
from ..interop import load_safetensors, save_safetensors
from ..nn import Module
from ..ops.creation import zeros
from ..train.aside import written_aside
from .architecture import Architecture
from .images import ImageEncoder

__all__ = ["check_place", "free_folder", "new_run", "read_network", "write_json", "write_network"]


def free_folder(name: str) -> Path:
    """A folder under `runs` that is not there yet, named after the data and the time."""
    base = Path("runs", f"{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    return next(
        folder
        for number in count(1)
        if not (folder := base if number == 1 else base.with_name(f"{base.name}-{number}")).exists()
    )


class _Tried(Exception):
    """A place was tried, and can be written to."""


def check_place(folder: Path) -> None:
    """Raises ValueError where a run cannot be written to `folder`, which must be new or empty."""
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name another folder with --out, or remove it")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder with --out")
    try:
        with suppress(_Tried), written_aside(folder) as aside:
            aside.mkdir()
            raise _Tried
    except OSError as error:
        raise ValueError(f"a run cannot be written to {folder}: {error.strerror}") from None


@contextmanager
def new_run(folder: Path) -> Iterator[Path]:
    """A folder to assemble a run in; it becomes `folder` at the end. Ctrl-C waits until then."""
    patient = current_thread() is main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if patient else None
    try:
        with written_aside(folder) as aside:
            aside.mkdir()
            yield aside
    finally:
        if patient:
            signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write plain data, readable by people too. Raises ValueError for NaN and infinity, which JSON lacks."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_network(folder: Path, network: Module, architecture: Architecture, encoder: Encoder | ImageEncoder) -> None:
    """Write `weights.safetensors` and `model.json`."""
    save_safetensors(folder / "weights.safetensors", network.state_dict(), {"pullback": __version__})
    description = {
        "pullback": __version__,
        "architecture": architecture.to_dict(),
        "encoder": encoder.to_dict(),
    }
    write_json(folder / "model.json", description)


def read_network(folder: str | os.PathLike[str]) -> tuple[Module, Encoder | ImageEncoder, Architecture]:
    """The network of a run, in evaluation mode on the current backend; the encoder of its data; its architecture.

    Raises ValueError where there is no run, or a file of it is damaged.
    """
    path = Path(folder, "model.json")
    if not path.is_file():
        raise ValueError(f"{folder} is no run: it has no model.json; name a folder that `pullback train` wrote")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        architecture = Architecture.from_dict(data["architecture"])
        encoder = (ImageEncoder if "shape" in data["encoder"] else Encoder).from_dict(data["encoder"])
        network = architecture.build().eval()
        _check_fit(network, architecture, encoder)
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}: {error})") from None
    try:
        network.load_state_dict(load_safetensors(path.with_name("weights.safetensors")))
    except TypeError as error:
        raise ValueError(str(error)) from None
    return network, encoder, architecture


def _check_fit(network: Module, architecture: Architecture, encoder: Encoder | ImageEncoder) -> None:
    """Raises ValueError where the network does not take what the encoder gives, or gives something else."""
    if prod(architecture.shape) != encoder.width:
        raise ValueError(f"samples of shape {architecture.shape} are not {encoder.width} numbers")
    with no_grad():
        found = tuple(network(zeros((1, *architecture.shape))).shape)
    if found != (1, len(encoder.target.classes or "1")):
        raise ValueError(f"the network gives {found}, the target is {encoder.target.name}")
