"""Training steps of whole networks: convolutional, residual, a transformer, a recurrent one."""

from collections.abc import Callable
from typing import Any

import numpy as np
from work import Task, Work

import pullback as pb
from pullback import models, nn, optim

__all__ = ["NETWORKS"]


def step_of(model: Any, optimizer: Any, loss: Callable[..., Any], *batch: Any) -> Work:
    """One update: zero_grad, loss, backward, step."""

    def step() -> None:
        optimizer.zero_grad()
        loss(model, *batch).backward()
        optimizer.step()

    return step


def task(
    name: str,
    limit: float,
    batch: tuple[np.ndarray, ...],
    ours: Callable[[], tuple[Any, Callable[..., Any]]],
    theirs: Callable[[Any], tuple[Any, Callable[..., Any]]],
    channels: bool = False,
) -> Task:
    """The same network and batch on both sides, updated by Adam.

    ours, theirs: make the model, and the loss of model and batch. channels: whether the first array of the batch is
        images, whose channels PyTorch has second; it is given them both ways in memory and takes the faster.
    """

    def mine() -> Work:
        model, loss = ours()
        return step_of(model, optim.Adam(model.parameters()), loss, *map(pb.tensor, batch))

    def peer(compiled: bool) -> Callable[[Any], Work]:
        def make(torch: Any) -> Work:
            device = "cuda" if pb.backend().name == "cupy" else "cpu"
            model, loss = theirs(torch)
            model = model.to(device)
            arrays = [torch.from_numpy(a).to(device) for a in batch]
            if channels:
                arrays[0] = arrays[0].permute(0, 3, 1, 2).contiguous()
            optimizer = torch.optim.Adam(model.parameters())
            return step_of(torch.compile(model) if compiled else model, optimizer, loss, *arrays)

        return make

    return Task(name, limit, mine, peer(False), calls=1, compiled=peer(True), memory=1.2)


def images(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.standard_normal(shape).astype("float32"), generator.integers(0, 10, shape[0])


def tokens(samples: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    text = np.random.default_rng(0).integers(0, 65, (samples, length + 1))
    return text[:, :-1].copy(), text[:, 1:].copy()


def of_classes(library: Any) -> Callable[..., Any]:
    """Cross-entropy of a model's logits."""
    criterion = library.CrossEntropyLoss()
    return lambda model, x, y: criterion(model(x), y)


def of_text(library: Any, first: bool = False) -> Callable[..., Any]:
    """Cross-entropy of the next token. first: of what the model gives take the first."""
    criterion = library.CrossEntropyLoss()

    def loss(model: Any, x: Any, y: Any) -> Any:
        logits = model(x)[0] if first else model(x)
        return criterion(logits.reshape((-1, 65)), y.reshape((-1,)))

    return loss


def mnist_net() -> nn.Sequential:
    """The network of PyTorch's MNIST example, without its dropout."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def _peers() -> Any:
    import torch_models

    return torch_models


NETWORKS = [
    task(
        "cnn-mnist: 2 convolutions, 2 maps, batch 64",
        1.3,
        images(64, 28, 28, 1),
        lambda: (mnist_net(), of_classes(nn)),
        lambda torch: (_peers().MnistNet(), of_classes(torch.nn)),
        channels=True,
    ),
    task(
        "resnet8-cifar: 3 stages, 16/32/64 channels, batch 32",
        1.6,
        images(32, 32, 32, 3),
        lambda: (models.cifar_resnet(8), of_classes(nn)),
        lambda torch: (_peers().cifar_resnet(8), of_classes(torch.nn)),
        channels=True,
    ),
    task(
        "gpt-char: 4 layers, 4 heads, 128 wide, 12 x 64 tokens",
        1.3,
        tokens(12, 64),
        lambda: (models.GPT(65, 64, 4, 4, 128, bias=False), of_text(nn)),
        lambda torch: (_peers().GPT(65, 64, 4, 4, 128), of_text(torch.nn)),
    ),
    task(
        "lstm-char: 2 layers, 128 wide, 64 steps, batch 32",
        1.5,
        tokens(32, 64),
        lambda: (models.CharRNN(65), of_text(nn, first=True)),
        lambda torch: (_peers().CharRNN(65), of_text(torch.nn, first=True)),
    ),
]
