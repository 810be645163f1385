"""What an entry of the parity table is: a thing of ours, PyTorch's thing of the same name, and how to draw both."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pullback import nn

Generator = np.random.Generator


class Drawn(NamedTuple):
    """One drawn configuration: the arguments of both constructors, and what both are called with."""

    options: Mapping[str, Any]
    """Keyword arguments of the constructor, ours and PyTorch's."""
    inputs: tuple[Any, ...]
    """Arrays in our layout (floating ones in float64: the test casts them), and anything else as it is."""
    theirs: Mapping[str, Any] = {}
    """Arguments of PyTorch's that differ from `options`."""


class Entry(NamedTuple):
    """One line of the table."""

    name: str
    """The name in `pullback.nn` and in `torch.nn`."""
    draw: Callable[[Generator], Drawn]
    channels: tuple[int, ...] = ()
    """The inputs whose last axis is PyTorch's second."""
    channels_out: bool | None = None
    """Whether that holds for the outputs too; None: as for the first input."""
    ours: Callable[..., Any] | None = None
    """Makes ours of the options, where it is not `nn.<name>`: a module, or a function of the inputs."""
    theirs: Callable[..., Any] | None = None
    """Makes PyTorch's: `theirs(torch, **options)`, where it is not `torch.nn.<name>`."""
    second_order: bool = True
    """False where PyTorch has no second derivative."""
    training: tuple[bool, ...] = (True, False)
    """The modes in which both can be compared; what draws at random in training is compared in evaluation."""
    differs: str = ""
    """What a user of PyTorch must know."""
    tolerance: float = 1.0
    """By how much more than usual results may differ, where the reason is told beside the entry."""

    def make_ours(self, options: Mapping[str, Any]) -> Any:
        """Our module or function."""
        return (self.ours or getattr(nn, self.name))(**options)

    def make_theirs(self, torch: Any, options: Mapping[str, Any]) -> Any:
        """PyTorch's module or function."""
        return self.theirs(torch, **options) if self.theirs else getattr(torch.nn, self.name)(**options)


def images(rng: Generator, channels: int, axes: int, least: int = 4, most: int = 9) -> np.ndarray:
    """A batch of 1 to 3 with `axes` lengths drawn between least and most, channels last."""
    lengths = rng.integers(least, most + 1, axes)
    return rng.standard_normal((int(rng.integers(1, 4)), *map(int, lengths), channels))


def pick(rng: Generator, *choices: Any) -> Any:
    """One of the choices, as it is."""
    return choices[int(rng.integers(len(choices)))]
