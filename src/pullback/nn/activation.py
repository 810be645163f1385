"""Activation functions as modules, to stand in a `Sequential`."""

from ..backends import Array
from ..ops.activation import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, softplus
from ..ops.elementwise import tanh
from .module import Module

__all__ = ["ELU", "GELU", "LeakyReLU", "LogSoftmax", "ReLU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh"]


class Sigmoid(Module):
    """1 / (1 + exp(-x)), element by element."""

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, in (0, 1)."""
        return sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent, element by element."""

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, in (-1, 1)."""
        return tanh(x)


class ReLU(Module):
    """x where it is positive, else 0.

    >>> import pullback as pb
    >>> ReLU()(pb.tensor([-1.0, 2.0]))
    Tensor([0., 2.], dtype=float32)
    """

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return relu(x)


class LeakyReLU(Module):
    """x where it is positive, else `negative_slope` times x (Maas, Hannun and Ng, 2013)."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return leaky_relu(x, negative_slope=self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where it is positive, else alpha * (exp(x) - 1) (Clevert, Unterthiner and Hochreiter, 2016)."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, above -alpha."""
        return elu(x, alpha=self.alpha)

    def extra_repr(self) -> str:
        """The scale of the negative side."""
        return f"alpha={self.alpha}"


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


class SiLU(Module):
    """x * sigmoid(x), also called swish (Elfwing, Uchibe and Doya, 2018)."""

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return silu(x)


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


class Softmax(Module):
    """Positive values that sum to 1 along the axis `dim`, by default the last, where the classes are.

    >>> import pullback as pb
    >>> Softmax()(pb.zeros((1, 4)))
    Tensor([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Array) -> Array:
        """x: at least one axis, floating. Returns the same shape and dtype."""
        return softmax(x, axis=self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """The logarithm of softmax along the axis `dim`, by default the last, where the classes are."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Array) -> Array:
        """x: at least one axis, floating. Returns the same shape and dtype."""
        return log_softmax(x, axis=self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"
