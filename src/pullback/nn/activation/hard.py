"""Hard activations, made of straight pieces: Hardtanh, ReLU6, Hardsigmoid and Hardswish."""

from ...backends import Array
from ...ops.activation import hardsigmoid, hardswish, hardtanh
from ..module import Module

__all__ = ["Hardsigmoid", "Hardswish", "Hardtanh", "ReLU6"]


class Hardtanh(Module):
    """x, kept between min_val and max_val.

    Raises ValueError unless min_val lies below max_val.
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if not min_val < max_val:
            raise ValueError(f"min_val lies below max_val; got min_val={min_val!r}, max_val={max_val!r}")
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return hardtanh(x, min_val=self.min_val, max_val=self.max_val)

    def extra_repr(self) -> str:
        """Both bounds."""
        return f"min_val={self.min_val}, max_val={self.max_val}"


class ReLU6(Hardtanh):
    """x, kept between 0 and 6 (Howard et al., 2017)."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0)

    def extra_repr(self) -> str:
        """Nothing: it has no options."""
        return ""


class Hardsigmoid(Module):
    """x / 6 + 1 / 2, kept between 0 and 1."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype, in [0, 1]."""
        return hardsigmoid(x)


class Hardswish(Module):
    """x * hardsigmoid(x) (Howard et al., 2019)."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return hardswish(x)
