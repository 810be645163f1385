"""Weight normalization."""

from typing import Any, TypeVar

from ...backends import Array
from ...ops.linalg import vector_norm
from ...ops.parametrization import weight_norm as weight_of
from ..module import Module
from .registration import register_parametrization

__all__ = ["weight_norm"]

M = TypeVar("M", bound=Module)


class _WeightNorm(Module):
    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, magnitude: Array, direction: Array) -> Array:
        return weight_of(direction, magnitude, axis=self.dim)

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        ndim = len(weight.shape)
        others = None if self.dim is None else tuple(axis for axis in range(ndim) if axis != self.dim % ndim)
        return vector_norm(weight, axis=others, keepdims=self.dim is not None), weight

    def extra_repr(self) -> str:
        """The axis that keeps its norms."""
        return f"dim={self.dim}"


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Learn a parameter's norms and directions in place of its elements (Salimans and Kingma, 2016).

    module: is changed in place, and returned. name: the parameter's.
    dim: the axis along which there is a norm for each index, by default that of a layer's outputs; None for one norm
        in all. Counted in the layout that weights have here: the inputs of a convolution's kernel are its last axis.

    The norms are `parametrizations.weight.original0`, of length 1 along all other axes; the directions, of any length,
    `original1`. `remove_parametrizations` makes a plain parameter of the two.

    >>> from pullback import nn
    >>> layer = weight_norm(nn.Linear(20, 40))
    >>> {name: p.shape for name, p in layer.named_parameters() if name != "bias"}
    {'parametrizations.weight.original0': (40, 1), 'parametrizations.weight.original1': (40, 20)}
    """
    return register_parametrization(module, name, _WeightNorm(dim))
