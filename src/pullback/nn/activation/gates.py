"""GLU, the gated linear unit."""

from ...backends import Array
from ...ops.activation import glu
from ..module import Module

__all__ = ["GLU"]


class GLU(Module):
    """The first half of x along the axis `dim`, times the sigmoid of the second (Dauphin et al., 2017).

    Raises ValueError for an input whose axis `dim` is of odd length.

    >>> import pullback as pb
    >>> GLU()(pb.zeros((5, 8))).shape
    (5, 4)
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Array) -> Array:
        """x: of even length along `dim`, floating. Returns half that length, in the same dtype."""
        return glu(x, axis=self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"
