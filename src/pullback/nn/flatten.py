"""Flatten: many axes made one; and Unflatten, one made many."""

from collections.abc import Sequence
from math import prod

from ..backends import Array
from ..ops.manipulation import reshape
from ..ops.sizes import whole
from .module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Makes the axes from `start_dim` to `end_dim`, both included, one axis; by default all but the first.

    >>> import pullback as pb
    >>> Flatten()(pb.ones((2, 8, 8, 3))).shape
    (2, 192)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = whole(start_dim, "Flatten: start_dim", least=None)
        self.end_dim = whole(end_dim, "Flatten: end_dim", least=None)

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


class Unflatten(Module):
    """Makes the axis `dim` several, of the lengths `unflattened_size`, one of which may be -1, to be found.

    >>> import pullback as pb
    >>> Unflatten(1, (7, 7, 16))(pb.ones((2, 784))).shape
    (2, 7, 7, 16)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = whole(dim, "Unflatten: dim", least=None)
        if not isinstance(unflattened_size, Sequence) or isinstance(unflattened_size, str):
            raise TypeError(f"Unflatten: unflattened_size is a tuple of lengths; got {unflattened_size!r}")
        self.unflattened_size = tuple(whole(n, "Unflatten: a length", least=-1) for n in unflattened_size)
        if sum(length == -1 for length in self.unflattened_size) > 1:
            raise ValueError(f"Unflatten finds one length, given as -1; got {self.unflattened_size}")

    def forward(self, x: Array) -> Array:
        """x: any shape that has the axis. Returns the same elements.

        Raises ValueError when x lacks the axis, or its length is not the product of the others.
        """
        shape = tuple(x.shape)
        if not -len(shape) <= self.dim < len(shape):
            raise ValueError(f"Unflatten({self.extra_repr()}) needs more axes than an input of shape {shape} has")
        dim = self.dim % len(shape)
        known = prod(length for length in self.unflattened_size if length != -1)
        sizes = tuple(shape[dim] // max(known, 1) if length == -1 else length for length in self.unflattened_size)
        if prod(sizes) != shape[dim]:
            raise ValueError(f"Unflatten({self.extra_repr()}) does not fit an axis of length {shape[dim]}")
        return reshape(x, (*shape[:dim], *sizes, *shape[dim + 1 :]))

    def extra_repr(self) -> str:
        """The axis, and what it becomes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
