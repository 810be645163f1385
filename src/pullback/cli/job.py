"""What a training run is about: samples in three parts, the network, and all that can be chosen."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..backends import Array, backend
from ..data.encoder import Encoder
from ..ops.random import Generator, use_generator
from .architecture import MODELS, OF_ROWS, Architecture
from .images import ImageEncoder
from .method import OPTIMIZERS
from .samples import Samples, counted, read_samples

__all__ = ["Job", "prepare"]

_UPDATES = 1600
_UPDATES_OF_IMAGES = 4200


@dataclass(frozen=True)
class Job:
    """Encoded samples in three parts, and how to train on them.

    parts: the samples to "train", "validate" and "test" on: inputs (N, ...) float32, and targets: (N,) int64
        classes or (N, 1) float32.
    """

    name: str
    described: str
    encoder: Encoder | ImageEncoder
    parts: Mapping[str, tuple[Array, Array]]
    architecture: Architecture
    parameters: int
    optimizer: str
    precision: str
    schedule: str
    lr: float
    batch_size: int
    epochs: int

    @property
    def updates(self) -> int:
        """How many updates all epochs have together."""
        return self.epochs * math.ceil(self.count("train") / self.batch_size)

    def count(self, part: str) -> int:
        """How many samples a part has."""
        return len(self.parts[part][1])

    def describe(self, backend: str, device: str) -> str:
        """What is about to be done, for the terminal."""
        target, counts = self.encoder.target, {part: f"{self.count(part):,}" for part in self.parts}
        kind = "a number" if target.classes is None else f"{len(target.classes)} classes"
        noun = "images" if isinstance(self.encoder, ImageEncoder) else "rows"
        return (
            f"data     {self.described}\n"
            f"target   {target.name}, {kind} ({target.task})\n"
            f"{noun:<8} {counts['train']} to train on, {counts['validate']} to validate, {counts['test']} to test\n"
            f"network  {self.architecture}, {self.parameters:,} parameters\n"
            f"method   {self.optimizer}, learning rate {self.lr:g}, schedule {self.schedule}, "
            f"{counted(self.epochs, 'epoch')} in batches of {self.batch_size}, "
            f"{f'in {self.precision}, ' * (self.precision != 'float32')}on {backend} ({device})"
        )


def prepare(arguments: argparse.Namespace, name: str) -> Job:
    """Read the data, and settle what was not chosen; `name` is the run's.

    Raises TableError and ValueError for data that cannot be trained on, or not by the model, and ValueError for a
    precision that the backend does not have.
    """
    _check_precision(arguments.precision)
    samples = read_samples(arguments)
    learnt = len(samples.parts["train"][1])
    images = isinstance(samples.encoder, ImageEncoder)
    batch_size = arguments.batch_size or 2 ** round(math.log2(min(max(learnt / 40, 8), 64 if images else 256)))
    updates, fewest = (_UPDATES_OF_IMAGES, 5) if images else (_UPDATES, 20)
    architecture = _architecture(arguments, samples)
    with use_generator(Generator(arguments.seed)):
        parameters = sum(p.size for p in architecture.build().parameters())
    return Job(
        name=name,
        described=samples.described,
        encoder=samples.encoder,
        parts={part: (x.reshape(-1, *architecture.shape), y) for part, (x, y) in samples.parts.items()},
        architecture=architecture,
        parameters=parameters,
        optimizer=arguments.optimizer,
        precision=arguments.precision,
        schedule=arguments.schedule,
        lr=arguments.lr or OPTIMIZERS[arguments.optimizer].lr * MODELS[arguments.model].calm,
        batch_size=batch_size,
        epochs=arguments.epochs or min(max(round(updates * batch_size / learnt), fewest), 100),
    )


def _check_precision(precision: str) -> None:
    try:
        backend().dtype("float32" if precision == "tf32" else precision)
    except TypeError as error:
        raise ValueError(f"--precision {precision}: {error}") from None


def _architecture(arguments: argparse.Namespace, samples: Samples) -> Architecture:
    if samples.shape is None and MODELS[arguments.model].images:
        raise ValueError(
            f"{arguments.model} takes images: digits, a folder of IDX files, or an .npz whose X is (N, height, width), "
            f"all columns of it; for the columns of {arguments.data} take --model {OF_ROWS}"
        )
    shape, classes = samples.shape or (samples.encoder.width,), samples.encoder.target.classes
    chosen = {"hidden": arguments.hidden, "depth": arguments.depth}
    return Architecture.settle(arguments.model, shape, len(classes or "1"), **chosen)
