"""Rectifiers: ReLU, its leaky, learned and random kin, and Threshold."""

from typing import Any

from ...backends import Array
from ...ops.activation import leaky_relu, prelu, relu, rrelu, threshold
from ...ops.creation import empty
from ...ops.sizes import whole
from ..init import constant_
from ..module import Module, Parameter

__all__ = ["LeakyReLU", "PReLU", "RReLU", "ReLU", "Threshold"]


class ReLU(Module):
    """x where it is positive, else 0.

    >>> import pullback as pb
    >>> ReLU()(pb.tensor([-1.0, 2.0]))
    Tensor([0., 2.], dtype=float32)
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return relu(x)


class LeakyReLU(Module):
    """x where it is positive, else `negative_slope` times x (Maas, Hannun and Ng, 2013)."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return leaky_relu(x, negative_slope=self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}"


class PReLU(Module):
    """x where it is positive, else `weight` times x, which is learned (He, Zhang, Ren and Sun, 2015).

    num_parameters: 1, or as many as the last axis is long: a slope for each channel.
    init: what the slopes start at.
    device, dtype: where and as what the weight is made; by default on the current backend, float32.

    weight, (num_parameters,), is better left out of weight decay.
    Raises ValueError for an input whose last axis is not `num_parameters` long, where that is not 1.

    >>> import pullback as pb
    >>> PReLU()(pb.tensor([-1.0, 2.0]))
    Tensor([-0.25,  2.  ], dtype=float32, requires_grad=True)
    """

    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = whole(num_parameters, "PReLU: num_parameters"), init
        self.weight = Parameter(empty(self.num_parameters, dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all slopes to `init`."""
        constant_(self.weight, self.init)

    def forward(self, x: Array) -> Array:
        """x: (..., num_parameters), or any shape for 1 parameter. Returns the same shape and dtype."""
        if self.num_parameters != 1 and tuple(x.shape[-1:]) != (self.num_parameters,):
            raise ValueError(
                f"PReLU(num_parameters={self.num_parameters}) has a slope for each channel, which are the last axis; "
                f"got shape {tuple(x.shape)}"
            )
        return prelu(x, self.weight)

    def extra_repr(self) -> str:
        """How many slopes there are."""
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """x where it is positive, else x times a slope that is random while training (Xu, Wang, Chen and Li, 2015).

    Slopes are uniform in [lower, upper), one for each element, from the default generator, so `pb.manual_seed`
    decides them. In evaluation mode the slope is the mean of both bounds.
    Raises ValueError when lower is above upper.
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        super().__init__()
        if not lower <= upper:
            raise ValueError(f"slopes are drawn between lower and upper; got lower={lower!r}, upper={upper!r}")
        self.lower, self.upper = lower, upper

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return rrelu(x, lower=self.lower, upper=self.upper, training=self.training)

    def extra_repr(self) -> str:
        """The bounds of the slopes."""
        return f"lower={self.lower}, upper={self.upper}"


class Threshold(Module):
    """x where it is above the threshold, else the value."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value = threshold, value

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return threshold(x, threshold=self.threshold, value=self.value)

    def extra_repr(self) -> str:
        """The threshold, and what stands below it."""
        return f"threshold={self.threshold}, value={self.value}"
