"""Flatten: many axes made one."""

from math import prod

from ..backends import Array
from ..ops.manipulation import reshape
from .module import Module

__all__ = ["Flatten"]


class Flatten(Module):
    """Makes the axes from `start_dim` to `end_dim`, both included, one axis; by default all but the first.

    >>> import pullback as pb
    >>> Flatten()(pb.ones((2, 8, 8, 3))).shape
    (2, 192)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Array) -> Array:
        """x: any shape that has the axes. Returns the same elements; x itself where there is nothing to join.

        Raises ValueError when x lacks the axes, or they are in the wrong order.
        """
        shape = tuple(x.shape)
        axes = len(shape) or 1
        if not (-axes <= self.start_dim < axes and -axes <= self.end_dim < axes):
            raise ValueError(f"Flatten({self.extra_repr()}) needs more axes than an input of shape {shape} has")
        start, end = self.start_dim % axes, self.end_dim % axes
        if start > end:
            raise ValueError(f"Flatten({self.extra_repr()}) of shape {shape}: the first axis lies behind the last")
        if start == end and shape:
            return x
        return reshape(x, (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]))

    def extra_repr(self) -> str:
        """The first and the last axis."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
