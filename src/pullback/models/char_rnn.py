"""A recurrent network that writes text character by character."""

from typing import Any

from .. import nn
from ..backends import Array

__all__ = ["CharRNN"]

_CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class CharRNN(nn.Module):
    """Tokens embedded, a recurrent network over them, and the logits of the token that comes next (Graves, 2013).

    vocabulary: how many tokens there are. width: of the embedding and of each layer. layers: how many of these.
    cell: `"lstm"`, `"gru"` or `"rnn"`. dropout: the share that is dropped between layers.

    Takes tokens (N, L), and a state to go on from. Returns logits (N, L, vocabulary), and the state behind them.

    >>> import pullback as pb
    >>> logits, state = CharRNN(65, width=16)(pb.zeros((2, 5), dtype="int64"))
    >>> logits.shape
    (2, 5, 65)
    """

    def __init__(
        self, vocabulary: int, width: int = 128, layers: int = 2, cell: str = "lstm", dropout: float = 0.0
    ) -> None:
        super().__init__()
        if cell not in _CELLS:
            raise ValueError(f"the cell is one of {', '.join(_CELLS)}; got {cell!r}")
        self.embedding = nn.Embedding(vocabulary, width)
        self.recurrent = _CELLS[cell](width, width, num_layers=layers, dropout=dropout, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Array, state: Any = None) -> tuple[Array, Any]:
        """tokens: (N, L) integers. state: what an earlier call gave, or None to begin."""
        outputs, state = self.recurrent(self.embedding(tokens), state)
        return self.head(outputs), state
