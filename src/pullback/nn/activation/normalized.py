"""Softmax along an axis, and its kin."""

from ...backends import Array
from ...ops.activation import log_softmax, softmax, softmin
from ..module import Module

__all__ = ["LogSoftmax", "Softmax", "Softmax2d", "Softmin"]


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


class Softmax2d(Module):
    """Softmax over the channels of images, which are the last axis: at each place they sum to 1.

    Raises ValueError for an input that is no image and no batch of images.
    """

    def forward(self, x: Array) -> Array:
        """x: (N, H, W, C) or (H, W, C), floating. Returns the same shape and dtype."""
        if len(x.shape) not in (3, 4):
            raise ValueError(f"Softmax2d takes (N, H, W, C) or (H, W, C); got shape {tuple(x.shape)}")
        return softmax(x, axis=-1)


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


class Softmin(Module):
    """Softmax of -x along the axis `dim`, by default the last: the greatest where x is least."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Array) -> Array:
        """x: at least one axis, floating. Returns the same shape and dtype."""
        return softmin(x, axis=self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"
