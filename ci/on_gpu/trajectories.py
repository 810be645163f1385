"""Training from one seed on NumPy and on another backend: the losses stay together.

    python ci/on_gpu/trajectories.py --backend cupy [--steps 200] [--json FILE]

Three networks in float32: a perceptron with dropout on the digits, LeNet on them as images, and a GPT with dropout on
the text of this package. Initial weights and dropout's masks are the same to the bit on every backend, so what drifts
apart is rounding. Exits with 1 where two losses differ by more than 1e-3 of their size, or two initial weights at all.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pullback as pb
from pullback import models, nn, optim
from pullback.data import CharacterVocabulary, load_digits, random_windows

LIMIT = 1e-3
"""How far two losses may lie apart, as a share of NumPy's."""

Batches = Iterator[tuple[Any, Any]]


class Training(NamedTuple):
    """A network in training: it and its optimizer, and the batches without end."""

    model: nn.Module
    optimizer: optim.Optimizer
    batches: Batches
    clip: float | None = None


def digits() -> Training:
    """A perceptron with dropout, by Adam."""
    model = models.MLP((64, 128, 64, 10), dropout=0.2)
    return Training(model, optim.Adam(model.parameters()), drawn_digits((64,)))


def cnn() -> Training:
    """LeNet on images of 8 x 8, by SGD with momentum."""
    model = models.LeNet(image_size=8)
    return Training(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), drawn_digits((8, 8, 1)))


def gpt() -> Training:
    """A GPT of characters with dropout, by AdamW and with its gradients clipped."""
    text = "".join(path.read_text("utf-8") for path in sorted(Path(nn.__file__).parent.glob("*.py")))
    vocabulary = CharacterVocabulary(text)
    model = models.GPT(len(vocabulary), 32, n_layer=2, n_head=2, n_embd=32, dropout=0.1)
    return Training(model, optim.AdamW(model.parameters()), windows(vocabulary.encode(text)), clip=1.0)


NETWORKS: dict[str, Callable[[], Training]] = {"digits": digits, "cnn": cnn, "gpt": gpt}


def drawn_digits(shape: tuple[int, ...], batch_size: int = 64) -> Batches:
    images, labels = load_digits().arrays
    images = images.reshape((-1, *shape))
    while True:
        order = pb.random.permutation(len(images))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            yield pb.tensor(images[chosen]), pb.tensor(labels[chosen])


def windows(tokens: Any) -> Batches:
    while True:
        yield random_windows(tokens, 32, 8)


def train(network: str, steps: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The initial weights, and the loss of every step, on the current backend; all on the host."""
    pb.manual_seed(0)
    model, optimizer, batches, clip = NETWORKS[network]()
    start = {name: p.numpy().copy() for name, p in model.named_parameters()}
    criterion = nn.CrossEntropyLoss()
    losses = []
    for _, (x, y) in zip(range(steps), batches, strict=False):
        optimizer.zero_grad()
        logits = model(x)
        loss = criterion(logits.reshape((-1, logits.shape[-1])), y.reshape((-1,)))
        loss.backward()
        if clip is not None:
            optim.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        losses.append(loss.detach())
    return start, np.asarray([float(loss.item()) for loss in losses])


def compare(network: str, backend: str, device: Any, steps: int) -> dict[str, Any]:
    """How far the losses on a backend come to lie from NumPy's."""
    with pb.use("numpy"):
        start, expected = train(network, steps)
    with pb.use(backend, device):
        other, losses = train(network, steps)
    apart = np.abs(losses - expected) / np.abs(expected)
    return {
        "network": network,
        "steps": steps,
        "first_loss": float(expected[0]),
        "last_loss": float(expected[-1]),
        "last_loss_there": float(losses[-1]),
        "largest_difference": float(np.max(apart)),
        "at_step": int(np.argmax(apart)) + 1,
        "same_start": all(np.array_equal(start[name], other[name]) for name in start),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compare training on NumPy with training on another backend.")
    parser.add_argument("--backend", default="cupy")
    parser.add_argument("--device", help="one of its devices")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    for network in NETWORKS:
        row = compare(network, options.backend, options.device, options.steps)
        row["ok"] = row["same_start"] and row["largest_difference"] <= LIMIT  # a NaN is not
        rows.append(row)
        print(row, flush=True)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0 if all(row["ok"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
