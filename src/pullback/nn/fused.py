"""Modules in a row that run as one op, where nobody looks between them."""

from collections.abc import Callable
from typing import Any, Final, TypeGuard, TypeVar

from ..backends import Array
from ..ops.activation import gelu, relu
from ..ops.perceptron import ACTIVATIONS, feed_forward
from .activation.rectifiers import ReLU
from .activation.smooth import GELU
from .linear import Linear
from .module import Module

__all__ = ["is_just", "through_maps"]

M = TypeVar("M", bound=Module)

_GELUS: Final = {approximate: name for name, approximate in ACTIVATIONS.items() if approximate}


def is_just(module: Any, kind: type[M]) -> TypeGuard[M]:
    """Whether a module is of a class and of no other that stems from it, and nobody hooks into it."""
    return type(module) is kind and module._hooks is None


def through_maps(first: Module, activation: Callable[[Array], Array], second: Module, x: Array) -> Any:
    """An affine map, an activation, and another map: one op, where that has the activation and nobody hooks in.

    x: (..., in). Returns (..., out).
    """
    name = _name(activation)
    if name and is_just(first, Linear) and is_just(second, Linear) and first.out_features == second.in_features:
        return feed_forward(first.checked(x), first.weight, first.bias, second.weight, second.bias, activation=name)
    return second(activation(first(x)))


def _name(activation: Any) -> str | None:
    """The activation as the op calls it; None for one that it does not have."""
    if activation is relu or is_just(activation, ReLU):
        return "relu"
    if activation is gelu:
        return "gelu"
    return _GELUS.get(activation.approximate) if is_just(activation, GELU) else None
