"""Exponential units: ELU, SELU and CELU."""

from ...backends import Array
from ...ops.activation import celu, elu, selu
from ..module import Module

__all__ = ["CELU", "ELU", "SELU"]


class ELU(Module):
    """x where it is positive, else alpha * (exp(x) - 1) (Clevert, Unterthiner and Hochreiter, 2016)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, above -alpha."""
        return elu(x, alpha=self.alpha)

    def extra_repr(self) -> str:
        """The scale of the negative side."""
        return f"alpha={self.alpha}"


class SELU(Module):
    """ELU with the alpha, and times the scale, that keep mean 0 and variance 1 (Klambauer et al., 2017).

    That holds for weights of variance 1 / fan_in: `init.kaiming_normal_(weight, nonlinearity="linear")`.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return selu(x)


class CELU(Module):
    """x where it is positive, else alpha * (exp(x / alpha) - 1) (Barron, 2017).

    Raises ValueError when alpha is 0.
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if alpha == 0:
            raise ValueError("CELU divides by alpha; got alpha=0")
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, above -alpha."""
        return celu(x, alpha=self.alpha)

    def extra_repr(self) -> str:
        """The scale of the negative side."""
        return f"alpha={self.alpha}"
