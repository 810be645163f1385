"""The work that is timed, written for pullback and for PyTorch: the same shapes, dtypes and updates."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import pullback as pb
from pullback import nn, optim

Work = Callable[[], Any]


class Task(NamedTuple):
    """Work to be compared, and the ratio to PyTorch's time that it must not pass."""

    name: str
    limit: float
    ours: Callable[[], Work]
    theirs: Callable[[Any], Work]
    calls: int
    """How many calls one measurement takes together."""
    compiled: Callable[[Any], Work] | None = None
    """PyTorch's side under torch.compile, where that is a peer too."""
    memory: float | None = None
    """The ratio of peak memory to that of PyTorch that it must not pass."""


def training_step(model: Any, optimizer: Any, criterion: Any, x: Any, y: Any) -> Work:
    """One update; the lines are the same for both libraries."""

    def step() -> None:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

    return step


def perceptron(*sizes: int, batch: int, limit: float, calls: int) -> Task:
    """A training step of a multilayer perceptron: zero_grad, forward, cross-entropy, backward, Adam."""
    generator = np.random.default_rng(0)
    images = generator.standard_normal((batch, sizes[0])).astype("float32")
    labels = generator.integers(0, sizes[-1], batch)
    pairs = list(pairwise(sizes))

    def build(library: Any) -> list[Any]:
        layers = [layer for a, b in pairs for layer in (library.Linear(a, b), library.ReLU())]
        return layers[:-1]

    def ours() -> Work:
        model = nn.Sequential(*build(nn))
        optimizer = optim.Adam(model.parameters())
        criterion = nn.CrossEntropyLoss()
        return training_step(model, optimizer, criterion, pb.tensor(images), pb.tensor(labels))

    def theirs(torch: Any) -> Work:
        device = "cuda" if pb.backend().name == "cupy" else "cpu"
        model = torch.nn.Sequential(*build(torch.nn)).to(device)
        optimizer = torch.optim.Adam(model.parameters())
        criterion = torch.nn.CrossEntropyLoss()
        x, y = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
        return training_step(model, optimizer, criterion, x, y)

    return Task(f"training step {'-'.join(map(str, sizes))}, batch {batch}, Adam", limit, ours, theirs, calls)


def chain(length: int, limit: float, calls: int) -> Task:
    """A variable multiplied by itself again and again, forward and backward: the engine's own cost."""

    def through(make: Callable[[], Any]) -> Work:
        def run() -> None:
            x = make()
            y = x
            for _ in range(length):
                y = y * x
            y.backward()

        return run

    return Task(
        f"{length} chained scalar multiplications, forward and backward",
        limit,
        lambda: through(lambda: pb.tensor(1.01, requires_grad=True)),
        lambda torch: through(lambda: torch.tensor(1.01, requires_grad=True)),
        calls,
    )


TASKS = [
    perceptron(64, 64, 10, batch=32, limit=0.5, calls=100),
    chain(50, limit=0.7, calls=100),
    perceptron(784, 512, 256, 10, batch=128, limit=1.2, calls=10),
]
