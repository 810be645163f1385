"""The multilayer perceptron."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral

from .. import nn
from .inputs import made

__all__ = ["MLP"]


class MLP(nn.Sequential):
    """Affine maps with an activation between them (Rumelhart, Hinton and Williams, 1986).

    sizes: the length of a sample from the input to the output: (784, 128, 10).
    activation: makes what stands between two maps. dropout: the share that is dropped behind each activation.

    >>> MLP((64, 32, 10))
    MLP(  # 2,410 parameters
      (0): Linear(in_features=64, out_features=32, bias=True)  # 2,080 parameters
      (1): ReLU()
      (2): Linear(in_features=32, out_features=10, bias=True)  # 330 parameters
    )
    """

    def __init__(
        self, sizes: Sequence[int], activation: Callable[[], nn.Module] = nn.ReLU, dropout: float = 0.0
    ) -> None:
        if isinstance(sizes, Integral):
            raise TypeError(f"a perceptron's sizes are one sequence, as in MLP((784, 128, 10)); got {sizes!r}")
        sizes = tuple(sizes)
        if len(sizes) < 2:
            raise ValueError(f"a perceptron has sizes for its input and its output at least; got {sizes}")
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            if layers:
                layers += [made(activation), nn.Dropout(dropout)] if dropout else [made(activation)]
            layers.append(nn.Linear(before, after))
        super().__init__(*layers)
