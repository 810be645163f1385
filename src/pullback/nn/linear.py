"""Linear, the affine map; Bilinear, which is linear in each of two inputs; and Identity, the map that does nothing."""

from math import sqrt
from typing import Any

from ..backends import Array
from ..ops.creation import empty
from ..ops.einsum import einsum
from ..ops.linear_algebra import linear
from ..ops.perceptron import linear_relu
from ..ops.sizes import whole
from .init import kaiming_uniform_, uniform_
from .module import Module, Parameter

__all__ = ["Bilinear", "Identity", "Linear"]


class Linear(Module):
    """The affine map x @ weight.T + bias.

    in_features, out_features: the length of the last axis before and after.
    bias: False leaves the bias out.
    device, dtype: where and as what the parameters are made; by default on the current backend, float32.

    weight, (out_features, in_features), and bias, (out_features,), start uniform in
    [-1 / sqrt(in_features), 1 / sqrt(in_features)), as PyTorch's do.
    Raises ValueError for a size below 0, and for an input whose last axis is not `in_features` long;
    TypeError for a size that is no whole number, and for an input that is no array.

    >>> import pullback as pb
    >>> layer = Linear(64, 10)
    >>> layer
    Linear(in_features=64, out_features=10, bias=True)  # 650 parameters
    >>> layer(pb.ones((32, 64))).shape
    (32, 10)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = whole(in_features, "Linear: in_features", least=0)
        self.out_features = whole(out_features, "Linear: out_features", least=0)
        shape = self.out_features, self.in_features
        self.weight = Parameter(empty(shape, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(empty(shape[:1], dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, from the default generator."""
        kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            bound = 1 / sqrt(self.in_features) if self.in_features else 0.0
            uniform_(self.bias, -bound, bound)

    def forward(self, x: Array) -> Array:
        """x: (..., in_features). Returns (..., out_features)."""
        return linear(self.checked(x), self.weight, self.bias)

    def rectified(self, x: Array) -> Any:
        """What a ReLU behind it gives, in one op. x: (..., in_features). Returns (..., out_features)."""
        return linear_relu(self.checked(x), self.weight, self.bias)

    def checked(self, x: Array) -> Array:
        """x itself. Raises as the class says, where its last axis does not fit."""
        try:
            fits = x.shape[-1:] == (self.in_features,)
        except AttributeError:
            raise TypeError(
                f"Linear({self.extra_repr()}) takes an array; got {type(x).__name__}. Make one with pb.tensor(...)"
            ) from None
        if not fits:
            raise ValueError(f"Linear({self.extra_repr()}) takes (..., {self.in_features}); got shape {tuple(x.shape)}")
        return x

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """The map x1 @ weight[k] @ x2 + bias[k] of two inputs, for each output k.

    in1_features, in2_features, out_features: the lengths of the last axes of both inputs, and of the output.
    bias: False leaves the bias out.
    device, dtype: where and as what the parameters are made; by default on the current backend, float32.

    weight, (out_features, in1_features, in2_features), and bias, (out_features,), start uniform in
    [-1 / sqrt(in1_features), 1 / sqrt(in1_features)), as PyTorch's do.
    Raises ValueError for a size below 1, and for inputs of other shapes; TypeError for a size that is no whole number.

    >>> import pullback as pb
    >>> Bilinear(3, 4, 2)(pb.ones((5, 3)), pb.ones((5, 4))).shape
    (5, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in1_features = whole(in1_features, "Bilinear: in1_features")
        self.in2_features = whole(in2_features, "Bilinear: in2_features")
        self.out_features = whole(out_features, "Bilinear: out_features")
        shape = self.out_features, self.in1_features, self.in2_features
        self.weight = Parameter(empty(shape, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(empty(shape[:1], dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, from the default generator."""
        bound = 1 / sqrt(self.in1_features)
        uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            uniform_(self.bias, -bound, bound)

    def forward(self, x1: Array, x2: Array) -> Array:
        """x1: (..., in1_features). x2: (..., in2_features), the other axes alike. Returns (..., out_features)."""
        sizes = (self.in1_features, self.in2_features)
        if (*x1.shape[-1:], *x2.shape[-1:]) != sizes or x1.shape[:-1] != x2.shape[:-1]:
            raise ValueError(
                f"Bilinear({self.extra_repr()}) takes (..., {sizes[0]}) and (..., {sizes[1]}); "
                f"got shapes {tuple(x1.shape)} and {tuple(x2.shape)}"
            )
        y = einsum("...i,kij,...j->...k", x1, self.weight, x2)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Identity(Module):
    """Gives its input back: a placeholder. Takes any arguments and ignores them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, x: Array) -> Array:
        """x: anything. Returns it."""
        return x
