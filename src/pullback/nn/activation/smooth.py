"""Smooth activations: Sigmoid, Tanh, and what is made of them and of the normal distribution."""

from ...backends import Array
from ...ops.activation import gelu, logsigmoid, mish, sigmoid, silu, softplus, softsign
from ...ops.elementwise import tanh
from ..module import Module

__all__ = ["GELU", "LogSigmoid", "Mish", "SiLU", "Sigmoid", "Softplus", "Softsign", "Tanh"]


class Sigmoid(Module):
    """1 / (1 + exp(-x)), element by element."""

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, in (0, 1)."""
        return sigmoid(x)


class LogSigmoid(Module):
    """The logarithm of sigmoid, which stays finite where sigmoid rounds to 0."""

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, below 0."""
        return logsigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent, element by element."""

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, in (-1, 1)."""
        return tanh(x)


class SiLU(Module):
    """x * sigmoid(x), also called swish (Elfwing, Uchibe and Doya, 2018)."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return silu(x)


class Mish(Module):
    """x * tanh(softplus(x)) (Misra, 2019)."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return mish(x)


class GELU(Module):
    """x times the normal distribution's probability below x (Hendrycks and Gimpel, 2016).

    approximate: `"none"` is exact, `"tanh"` the paper's approximation.
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"approximate is 'none' or 'tanh'; got {approximate!r}")
        self.approximate = approximate

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return gelu(x, approximate=self.approximate)

    def extra_repr(self) -> str:
        """Whether it is exact."""
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above the threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, positive."""
        return softplus(x, beta=self.beta, threshold=self.threshold)

    def extra_repr(self) -> str:
        """How sharp the bend is, and where it ends."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Module):
    """x / (1 + |x|) (Turian, Bergstra and Bengio, 2009)."""

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, in (-1, 1)."""
        return softsign(x)
