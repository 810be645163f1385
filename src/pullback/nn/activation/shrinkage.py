"""Shrinkage: Hardshrink, Softshrink and Tanhshrink."""

from ...backends import Array
from ...ops.activation import hardshrink, softshrink, tanhshrink
from ..module import Module

__all__ = ["Hardshrink", "Softshrink", "Tanhshrink"]


class Hardshrink(Module):
    """x, but 0 from -lambd to lambd."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return hardshrink(x, lambd=self.lambd)

    def extra_repr(self) -> str:
        """How far from 0 it reaches."""
        return f"{self.lambd}"


class Softshrink(Module):
    """x moved towards 0 by lambd, and 0 where it is nearer.

    Raises ValueError when lambd is negative.
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        if lambd < 0:
            raise ValueError(f"Softshrink moves by lambd, which is 0 or more; got {lambd!r}")
        self.lambd = lambd

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return softshrink(x, lambd=self.lambd)

    def extra_repr(self) -> str:
        """How far it moves."""
        return f"{self.lambd}"


class Tanhshrink(Module):
    """x - tanh(x)."""

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return tanhshrink(x)
