"""The five tasks of the GPU benchmarks, each with its sides: pullback, PyTorch eager and compiled, and JAX."""

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
import torch_peers
from timing import Side

import pullback as pb
from pullback import models, nn, optim
from pullback.interop import from_torch_state_dict

sys.path.append(str(Path(__file__).resolve().parent.parent))

import torch_models

__all__ = ["OURS", "Adam", "Network", "Peers", "Sides", "Work", "tasks"]

OURS = "pullback"
"""The name of our side; the others are the peers'."""

Sides = dict[str, Callable[[], Side]]
"""What makes each side of a task, ours first."""

Work = Callable[[], dict[str, int]]
"""Counts what one call has to do: `"flops"` or `"bytes"`."""


class Peers(NamedTuple):
    """What there is to compare with."""

    device: str
    """PyTorch's name of the device: `"cuda"` or `"cpu"`."""
    jax: ModuleType | None
    """`jax_peers`, where JAX has that device too."""
    compiled: Mapping[str, Mapping[str, Any]]
    """The options of `torch.compile` by the names of the sides that it is given to."""


class Network(NamedTuple):
    """Training steps by AdamW from the same weights on the same batch."""

    name: str
    limit: float
    dtype: str
    """Of matrix products, convolutions and attention; weights and their updates are float32."""
    calls: int
    """How many steps are measured together."""
    graphs: bool
    """Whether PyTorch's compiled side is tried with CUDA graphs too: for steps that are mostly launches."""
    ours: Callable[[], nn.Module]
    theirs: Callable[[], Any]
    forward: Callable[[ModuleType], Any]
    """Finds JAX's in `jax_peers`."""
    batch: Callable[[], tuple[np.ndarray, np.ndarray]]

    def prepare(self, peers: Peers) -> tuple[Sides, Work]:
        """Every side of it, with weights of its own that are equal; and the floating-point operations of one step."""
        torch.manual_seed(0)
        model, batch = self.theirs(), self.batch()
        state = torch_peers.state_of(model)
        theirs = torch_peers.Training(model, batch, self.dtype, peers.device)
        sides: Sides = {
            OURS: partial(training, self.ours, state, batch, self.dtype),
            "PyTorch": theirs.side,
        }
        if peers.jax is not None:
            sides["JAX"] = partial(peers.jax.training, self.forward(peers.jax), state, batch, self.dtype)
        for name, options in peers.compiled.items():
            if self.graphs or options.get("mode") != "reduce-overhead":
                sides[name] = partial(theirs.side, partial(torch.compile, **options))
        return sides, lambda: {"flops": theirs.flops()}


class Adam(NamedTuple):
    """An update alone, with the gradients in place."""

    name: str
    limit: float
    shapes: list[tuple[int, ...]]
    dtype: str = "float32"
    calls: int = 10
    share_of_copy: float = 0.8
    """The least bandwidth, as a share of that of a copy on the device."""

    def prepare(self, peers: Peers) -> tuple[Sides, Work]:
        """Every side of it, with parameters that are zeros and the same gradients; and the bytes that are moved.

        Those are: parameter, gradient and two means are read, all but the gradient are written.
        """
        generator = np.random.default_rng(0)
        gradients = [generator.standard_normal(shape, dtype="float32") for shape in self.shapes]
        sides: Sides = {
            OURS: partial(adam, gradients),
            "PyTorch": partial(torch_peers.adam, gradients, peers.device),
        }
        if peers.jax is not None:
            sides["JAX"] = partial(peers.jax.adam, gradients)
        for name, options in peers.compiled.items():
            if options.get("mode") != "reduce-overhead":  # one kernel or a few, which take long
                sides[name] = partial(torch_peers.adam, gradients, peers.device, partial(torch.compile, **options))
        return sides, lambda: {"bytes": 7 * 4 * sum(map(prod, self.shapes))}


def training(make: Callable[[], nn.Module], state: Any, batch: Any, dtype: str) -> Side:
    """Our training step."""
    model = make()
    model.load_state_dict(from_torch_state_dict(model, state))
    optimizer = optim.AdamW(model.parameters())
    criterion = nn.CrossEntropyLoss()
    x, y = map(pb.tensor, batch)
    if y.ndim > 1:
        y = y.reshape((-1,))

    def step() -> Any:
        optimizer.zero_grad()
        with autocast(dtype):
            logits = model(x)
            loss = criterion(logits if logits.ndim == 2 else logits.reshape((-1, logits.shape[-1])), y)
        loss.backward()
        optimizer.step()
        return loss

    return Side(step, pb.backend().synchronize, sum(prod(p.shape) for p in model.parameters()))


def autocast(dtype: str) -> AbstractContextManager[Any]:
    return nullcontext() if dtype == "float32" else pb.autocast(dtype)


def adam(gradients: list[np.ndarray]) -> Side:
    """Our update."""
    parameters = [pb.zeros(g.shape).requires_grad_() for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = pb.tensor(g)
    optimizer = optim.Adam(parameters)
    return Side(optimizer.step, pb.backend().synchronize, sum(g.size for g in gradients))


def perceptron(sizes: tuple[int, ...], batch: int, limit: float, dtype: str, calls: int) -> Network:
    name = "-".join(map(str, sizes)) if len(set(sizes)) > 1 else f"{sizes[0]}x{len(sizes) - 1}"
    return Network(
        *(f"MLP {name}, batch {batch}", limit, dtype, calls, True),
        ours=lambda: models.MLP(sizes),
        theirs=lambda: torch_peers.perceptron(sizes),
        forward=lambda jax_peers: jax_peers.perceptron,
        batch=lambda: _labelled((batch, sizes[0]), sizes[-1]),
    )


def resnet50(batch: int, image: int, width: int, classes: int, limit: float) -> Network:
    layers = (3, 4, 6, 3)
    return Network(
        *(f"ResNet-50, batch {batch} of {image} x {image}", limit, "bfloat16", 1, False),
        ours=lambda: models.resnet50(width=width, classes=classes),
        theirs=lambda: torch_models.ResNet(torch_models.Bottleneck, layers, width=width, classes=classes),
        forward=lambda jax_peers: jax_peers.resnet,
        batch=lambda: _labelled((batch, image, image, 3), classes),
    )


def gpt2(batch: int, length: int, layers: int, heads: int, width: int, used: int, tokens: int, limit: float) -> Network:
    """GPT-2, whose table of `used` tokens is filled up to `tokens`, a multiple of 128, on all sides."""

    def text() -> tuple[np.ndarray, np.ndarray]:
        drawn = np.random.default_rng(0).integers(0, used, (batch, length + 1))
        return drawn[:, :-1].copy(), drawn[:, 1:].copy()

    sizes = (tokens, length, layers, heads, width)
    return Network(
        *(f"GPT-2, {layers} layers, {width} wide, batch {batch} x {length}", limit, "bfloat16", 1, False),
        ours=lambda: models.GPT(*sizes, bias=True, approximate="tanh"),
        theirs=lambda: torch_models.GPT(*sizes, bias=True, approximate="tanh"),
        forward=lambda jax_peers: partial(jax_peers.gpt, heads=heads),
        batch=text,
    )


def _labelled(shape: tuple[int, ...], classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.standard_normal(shape, dtype="float32"), generator.integers(0, classes, shape[0])


def gpt2_shapes(tokens: int, places: int, layers: int, width: int) -> list[tuple[int, ...]]:
    """The shapes of GPT-2's parameters: 148 for its 12 layers."""
    block: list[tuple[int, ...]] = [(width,), (width,), (3 * width, width), (3 * width,), (width, width), (width,)]
    block += [(width,), (width,), (4 * width, width), (4 * width,), (width, 4 * width), (width,)]
    return [(tokens, width), (places, width), *block * layers, (width,), (width,)]


def tasks(tiny: bool = False) -> list[Network | Adam]:
    """All five, in the order in which they run. tiny: so small that they take a moment anywhere."""
    if tiny:
        return [
            perceptron((20, 16, 12, 10), 8, 0.8, "float32", calls=2),
            Adam("Adam, tiny", 1.0, gpt2_shapes(64, 16, 2, 16), calls=2),
            perceptron((32,) * 5, 16, 1.0, "bfloat16", calls=1),
            gpt2(2, 16, 2, 2, 16, used=61, tokens=64, limit=1.1),
            resnet50(4, 64, 4, 10, limit=1.1),
        ]
    shapes = gpt2_shapes(18432, 1024, 12, 768)
    return [
        perceptron((784, 512, 256, 10), 128, 0.8, "float32", calls=20),
        Adam(f"Adam, {sum(map(prod, shapes)) / 1e6:.0f}M parameters in {len(shapes)} arrays", 1.0, shapes),
        perceptron((4096,) * 5, 4096, 1.0, "bfloat16", calls=3),
        gpt2(8, 1024, 12, 12, 768, used=50257, tokens=50304, limit=1.1),
        resnet50(128, 224, 64, 1000, limit=1.1),
    ]
