"""Dropout: noise while training, nothing while evaluating."""

from ..backends import Array
from ..ops.random import dropout
from .module import Module

__all__ = ["Dropout"]


class Dropout(Module):
    """While training, sets a share `p` of the elements to 0 and scales the others by 1 / (1 - p).

    In evaluation mode it gives its input back. The elements are chosen by the default generator, so
    `pb.manual_seed` decides them (Srivastava et al., 2014).
    Raises ValueError when p lies outside [0, 1].

    >>> import pullback as pb
    >>> layer = Dropout(0.5)
    >>> layer.eval()(pb.ones(3))
    Tensor([1., 1., 1.], dtype=float32)
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout drops a share p between 0 and 1; got {p!r}")
        self.p = p

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return dropout(x, p=self.p, training=self.training)

    def extra_repr(self) -> str:
        """The share that is dropped."""
        return f"p={self.p}"
