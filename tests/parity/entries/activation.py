"""Entries of activation functions. The inputs lie on the kinks too.

Where `second_order` is False, the function is made of straight pieces: its second derivative is 0, and our gradient a
constant that nothing leads to.
"""

from typing import Any

import numpy as np

from .entry import Drawn, Entry, Generator, pick

KINKS = [-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, 20.0]


def _values(rng: Generator, least: int = 1, most: int = 4) -> np.ndarray:
    """Any number of axes from least to most; values of several sizes, some of them where functions bend."""
    shape = tuple(map(int, rng.integers(1, 5, rng.integers(least, most + 1))))
    x = rng.standard_normal(shape) * rng.choice([0.1, 1.0, 5.0, 30.0], size=shape)
    return np.where(rng.random(shape) < 0.3, rng.choice(KINKS, size=shape), x)


def _plain(rng: Generator) -> Drawn:
    return Drawn({}, (_values(rng),))


def _inplace(rng: Generator) -> Drawn:
    return Drawn(pick(rng, {}, {"inplace": False}), (_values(rng),))


def _with(**choices: tuple[Any, ...]) -> Any:
    """Draws each option from its choices."""
    return lambda rng: Drawn({name: pick(rng, *among) for name, among in choices.items()}, (_values(rng),))


def _hardtanh(rng: Generator) -> Drawn:
    low = float(pick(rng, -3.0, -1.0, 0.0))
    return Drawn({"min_val": low, "max_val": low + pick(rng, 0.5, 2, 6.0)}, (_values(rng),))


def _rrelu(rng: Generator) -> Drawn:
    low = float(rng.uniform(0, 0.3))
    return Drawn({"lower": low, "upper": low + float(rng.uniform(0, 0.5))}, (_values(rng),))


def _prelu(rng: Generator) -> Drawn:
    x = _values(rng, least=2, most=5)
    x = np.where(x == 0, 0.3, x)  # at 0 PyTorch's first and second derivatives contradict each other
    options = {"num_parameters": pick(rng, 1, x.shape[-1]), "init": float(rng.uniform(0, 1))}
    return Drawn(pick(rng, options, {"num_parameters": x.shape[-1]}), (x,))


def _along(rng: Generator) -> Drawn:
    x = _values(rng)
    return Drawn({"dim": int(rng.integers(-x.ndim, x.ndim))}, (x,))


def _glu(rng: Generator) -> Drawn:
    x = _values(rng)
    dim = int(rng.integers(-x.ndim, x.ndim))
    x = np.concatenate([x, _like(rng, x)], axis=dim)
    return Drawn({"dim": dim} if dim != -1 else {}, (x,))


def _like(rng: Generator, x: np.ndarray) -> np.ndarray:
    return 3 * rng.standard_normal(x.shape)


def _images(rng: Generator) -> Drawn:
    return Drawn({}, (_values(rng, least=4, most=4),))


def _hardsigmoid(torch: Any, inplace: bool = False) -> Any:
    """Its definition: PyTorch's own derivative of it is only as exact as float32, and has no derivative."""
    return lambda x: torch.nn.functional.relu6(x + 3, inplace) / 6


LAST = "the channels are the last axis"
DIM = "`dim` is the last axis unless it is given; PyTorch's guess at it is deprecated there"

ENTRIES = [
    # PyTorch divides by an alpha in float32, so these are ones whose reciprocals are exact.
    Entry("CELU", _with(alpha=(1.0, 0.5, 4.0, -2.0))),
    Entry("ELU", _with(alpha=(1.0, 0.4, 2.5))),
    Entry("GELU", _with(approximate=("none", "tanh"))),
    Entry("GLU", _glu),
    Entry("Hardsigmoid", _inplace, theirs=_hardsigmoid),
    Entry("Hardshrink", _with(lambd=(0.5, 1.0, 0.0, 3.0))),
    Entry("Hardswish", _inplace),
    Entry("Hardtanh", _hardtanh),
    Entry("LeakyReLU", _with(negative_slope=(0.01, 0.3, 0.0))),
    Entry("LogSigmoid", _plain),
    Entry("LogSoftmax", _along, differs=DIM),
    Entry("Mish", _inplace),
    Entry("PReLU", _prelu, channels=(0,), differs=LAST),
    Entry(
        "RReLU",
        _rrelu,
        training=(False,),
        differs="the slopes of training come from the same seed as all else",
    ),
    Entry("ReLU", _inplace),
    Entry("ReLU6", _inplace),
    Entry("SELU", _inplace),
    Entry("SiLU", _inplace),
    Entry("Sigmoid", _plain),
    Entry("Softmax", _along, differs=DIM),
    Entry("Softmax2d", _images, channels=(0,), differs=LAST),
    Entry("Softmin", _along, differs=DIM),
    Entry("Softplus", _with(beta=(1.0, 2.5, 0.5), threshold=(20.0, 3.0))),
    Entry("Softshrink", _with(lambd=(0.5, 1.0, 0.0, 3.0))),
    Entry("Softsign", _plain),
    Entry("Tanh", _plain),
    Entry("Tanhshrink", _plain),
    Entry("Threshold", _with(threshold=(0.0, 0.5, -1.0), value=(0.0, -2.5, 20.0))),
]
