"""Layers that tell attention where things stand."""

from ..backends import Array
from ..ops.positions import rotary_embedding, sinusoidal_positions_like
from .dropout import Dropout
from .module import Module

__all__ = ["PositionalEncoding", "RotaryEmbedding"]


class RotaryEmbedding(Module):
    """Turns pairs of features of queries and keys by angles in proportion to their positions (Su et al., 2021).

    dim: how many features a head has; even. base: pair i turns by position / base ** (2 i / dim).
    interleaved: pairs are neighbours, as in the paper; else halves, as in Llama.
    Raises ValueError where dim is odd, and for an input of another width.

    >>> import pullback as pb
    >>> RotaryEmbedding(16)(pb.ones((2, 4, 10, 16))).shape
    (2, 4, 10, 16)
    """

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = False) -> None:
        super().__init__()
        if dim % 2:
            raise ValueError(f"RotaryEmbedding turns pairs of features, so dim is even; got {dim}")
        self.dim, self.base, self.interleaved = dim, base, interleaved

    def forward(self, x: Array, positions: Array | None = None, start: int = 0) -> Array:
        """x: (..., L, dim). positions: integers (..., L), by default start, start + 1, .... Returns the shape of x."""
        if x.shape[-1] != self.dim:
            raise ValueError(f"RotaryEmbedding({self.extra_repr()}) takes (..., L, {self.dim}); got {tuple(x.shape)}")
        return rotary_embedding(x, positions, base=self.base, interleaved=self.interleaved, start=start)

    def extra_repr(self) -> str:
        """The width, and how it turns."""
        return f"{self.dim}, base={self.base}, interleaved={self.interleaved}"


class PositionalEncoding(Module):
    """Adds to each vector of a sequence one of sines and cosines that says where it stands (Vaswani et al., 2017).

    d_model: how many features there are. dropout: the share of the sums that is dropped in training.
    batch_first: sequences are (N, L, d_model) and not (L, N, d_model). Of any length: nothing is stored.
    Positions that are learnt are an `Embedding` of as many rows as there are positions.

    >>> import pullback as pb
    >>> PositionalEncoding(4, batch_first=True)(pb.zeros((1, 1, 4)))
    Tensor([[[0., 1., 0., 1.]]], dtype=float32)
    """

    def __init__(self, d_model: int, dropout: float = 0.0, batch_first: bool = False) -> None:
        super().__init__()
        self.d_model, self.batch_first = d_model, batch_first
        self.dropout = Dropout(dropout)

    def forward(self, x: Array, start: int = 0) -> Array:
        """x: (L, N, d_model), (N, L, d_model) with batch_first, or (L, d_model). start: the first position.

        Returns the shape of x.
        """
        first = not self.batch_first and len(x.shape) == 3
        waves = sinusoidal_positions_like(x, length=x.shape[0 if first else -2], width=self.d_model, start=start)
        return self.dropout(x + (waves[:, None, :] if first else waves))

    def extra_repr(self) -> str:
        """The width."""
        return f"{self.d_model}, batch_first={self.batch_first}"
