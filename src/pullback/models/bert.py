"""BERT, the encoder, and MiniLM's small one that turns sentences into vectors."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import nn
from ..autodiff.tape import no_grad
from ..autodiff.tensor import Tensor
from ..backends import Array, backend
from ..backends.host import host
from ..interop.safetensors import load_safetensors
from ..interop.torch import from_torch_state_dict
from ..nn.init import constant_, normal_
from ..ops.attention import scaled_dot_product_attention
from ..ops.creation import arange, ones_like, zeros, zeros_like
from ..ops.data_types import astype
from ..ops.elementwise import maximum, sqrt, tanh
from ..ops.manipulation import expand_dims, permute_dims, reshape
from ..ops.sizes import shape_of
from ..ops.statistical import sum as sum_
from .inputs import check_sizes, check_tokens

__all__ = ["Bert", "SentenceEncoder"]


class Bert(nn.Module):
    """A transformer encoder over tokens (Devlin, Chang, Lee and Toutanova, 2019), with Hugging Face's names.

    vocab_size: how many tokens there are. hidden_size: the width, of num_attention_heads heads together.
    num_hidden_layers: the blocks. intermediate_size: the width inside of their perceptrons. max_position_embeddings:
        the longest text. type_vocab_size: kinds of segments. hidden_dropout_prob: the share dropped behind each map.

    Takes tokens (N, L), a mask of those that are not padding, and the segments. Returns what each token became,
    (N, L, hidden_size), and the first token's summary (N, hidden_size).

    >>> import pullback as pb
    >>> model = Bert(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    >>> tokens, summary = model(pb.asarray([[1, 2, 3], [4, 5, 0]]), pb.asarray([[1, 1, 1], [1, 1, 0]]))
    >>> tokens.shape, summary.shape
    ((2, 3, 8), (2, 8))
    """

    def __init__(
        self,
        vocab_size: int = 30522,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        hidden_dropout_prob: float = 0.1,
        layer_norm_eps: float = 1e-12,
        initializer_range: float = 0.02,
    ) -> None:
        super().__init__()
        check_sizes("Bert", vocab_size=vocab_size, hidden_size=hidden_size, num_attention_heads=num_attention_heads)
        check_sizes("Bert", intermediate_size=intermediate_size, max_position_embeddings=max_position_embeddings)
        check_sizes("Bert", type_vocab_size=type_vocab_size)
        check_sizes("Bert", least=0, num_hidden_layers=num_hidden_layers)
        self.embeddings = _Embeddings(
            vocab_size, max_position_embeddings, type_vocab_size, hidden_size, layer_norm_eps, hidden_dropout_prob
        )
        self.encoder = _Encoder(
            num_hidden_layers, hidden_size, num_attention_heads, intermediate_size, layer_norm_eps, hidden_dropout_prob
        )
        self.pooler = _Pooler(hidden_size)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                normal_(module.weight, 0.0, initializer_range)
            if isinstance(module, nn.Linear) and module.bias is not None:
                constant_(module.bias, 0.0)
        with no_grad():
            self.embeddings.word_embeddings.weight[0, :] = 0.0  # that of padding

    def forward(
        self, tokens: Array, attention_mask: Array | None = None, token_types: Array | None = None
    ) -> tuple[Array, Array]:
        """tokens: (N, L) integers. attention_mask: (N, L), 0 for padding. token_types: (N, L), by default 0.

        Raises ValueError for other shapes, and for a text that is empty or too long; TypeError for tokens that are no
        integers, IndexError for tokens and types that there are not.
        """
        check_tokens("Bert", tokens, self.embeddings.position_embeddings.num_embeddings)
        for name, given in (("attention_mask", attention_mask), ("token_types", token_types)):
            if given is not None and shape_of(f"{name} of a Bert", given) != tuple(tokens.shape):
                raise ValueError(f"{name} is shaped as the tokens, {tuple(tokens.shape)}; got {tuple(given.shape)}")
        mask = None if attention_mask is None else expand_dims(attention_mask != 0, axis=(1, 2))
        outputs = self.encoder(self.embeddings(tokens, token_types), mask)
        return outputs, self.pooler(outputs)


class _Embeddings(nn.Module):
    """Tokens, their places and their segments, each looked up in a table, and added."""

    def __init__(self, tokens: int, places: int, types: int, width: int, eps: float, dropout: float) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(tokens, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(places, width)
        self.token_type_embeddings = nn.Embedding(types, width)
        self.LayerNorm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Array, token_types: Array | None) -> Array:
        places = arange(tokens.shape[1], device=tokens.device)
        types = self.token_type_embeddings(zeros_like(tokens) if token_types is None else token_types)
        x = self.word_embeddings(tokens) + self.position_embeddings(places) + types
        return self.dropout(self.LayerNorm(x))


class _Encoder(nn.Module):
    """The blocks, one after the other."""

    def __init__(self, layers: int, *sizes: Any) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Block(*sizes) for _ in range(layers))

    def forward(self, x: Array, mask: Array | None) -> Array:
        for block in self.layer:
            x = block(x, mask)
        return x


class _Block(nn.Module):
    """Attention, then a perceptron for each token; each is added to its input and normalized."""

    def __init__(self, width: int, heads: int, inner: int, eps: float, dropout: float) -> None:
        super().__init__()
        self.attention = _Attention(width, heads, eps, dropout)
        self.intermediate = _Widening(width, inner)
        self.output = _Output(inner, width, eps, dropout)

    def forward(self, x: Array, mask: Array | None) -> Array:
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, eps: float, dropout: float) -> None:
        super().__init__()
        self.self = _SelfAttention(width, heads, dropout)
        self.output = _Output(width, width, eps, dropout)

    def forward(self, x: Array, mask: Array | None) -> Array:
        return self.output(self.self(x, mask), x)


class _SelfAttention(nn.Module):
    """Every token takes from every other, in proportion to how its query agrees with their keys."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} is not shared out evenly among {heads} heads")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Array, mask: Array | None) -> Array:
        samples, length, width = x.shape
        q, k, v = (
            permute_dims(reshape(of(x), (samples, length, self.heads, width // self.heads)), (0, 2, 1, 3))
            for of in (self.query, self.key, self.value)
        )
        y = scaled_dot_product_attention(q, k, v, mask, dropout_p=self.dropout if self.training else 0.0)
        return reshape(permute_dims(y, (0, 2, 1, 3)), (samples, length, width))


class _Widening(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, inner)
        self.act = nn.GELU()

    def forward(self, x: Array) -> Array:
        return self.act(self.dense(x))


class _Output(nn.Module):
    """An affine map, added to what came before and normalized."""

    def __init__(self, inner: int, width: int, eps: float, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, width)
        self.LayerNorm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Array, before: Array) -> Array:
        return self.LayerNorm(self.dropout(self.dense(x)) + before)


class _Pooler(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, x: Array) -> Array:
        return tanh(self.dense(x[:, 0]))


class SentenceEncoder:
    """Sentences as vectors of length 1, near to each other where they mean the same (Reimers and Gurevych, 2019).

    A BERT whose tokens are averaged. Made by `SentenceEncoder.load`, from a folder with a model such as
    all-MiniLM-L6-v2 (Wang et al., 2020): `config.json`, `model.safetensors` and `tokenizer.json`.
    """

    def __init__(self, model: Bert, tokenizer: Any) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer

    @classmethod
    def load(cls, folder: str | os.PathLike[str], max_length: int = 256) -> "SentenceEncoder":
        """The encoder of a folder, on the current backend; longer sentences are cut to `max_length` tokens.

        Raises FileNotFoundError for a file that is missing; ImportError without the `tokenizers` library.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise ImportError("sentences are cut into tokens by tokenizers: pip install 'pullback[text]'") from None
        place = Path(folder)
        config = json.loads((place / "config.json").read_text(encoding="utf-8"))
        model = Bert(**{name: config[name] for name in _OPTIONS if name in config})
        state = load_safetensors(place / "model.safetensors")
        state.pop("embeddings.position_ids", None)  # the numbers 0, 1, 2, ...
        model.load_state_dict(from_torch_state_dict(model, state))
        tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
        tokenizer.enable_truncation(max_length)
        tokenizer.enable_padding()
        return cls(model, tokenizer)

    def tokens(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The tokens of sentences, and a mask that is 0 for padding: each (N, L), of int64.

        Raises TypeError for one string in place of several, and for what are no strings.
        """
        if isinstance(sentences, str):
            raise TypeError("a SentenceEncoder takes a list of sentences; got one string: put it in a list")
        sentences = list(sentences)
        stranger = next((type(s).__name__ for s in sentences if not isinstance(s, str)), None)
        if stranger is not None:
            raise TypeError(f"a SentenceEncoder takes a list of sentences, strings each; among them is a {stranger}")
        if not sentences:
            return zeros((0, 1), dtype="int64"), zeros((0, 1), dtype="int64")
        encoded = self.tokenizer.encode_batch(sentences)
        owner = backend()
        ids, masks = ([getattr(e, what) for e in encoded] for what in ("ids", "attention_mask"))
        return tuple(Tensor(owner.from_host(host.asarray(a, dtype=host.int64))) for a in (ids, masks))  # type: ignore[return-value]

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """The vectors of sentences: (N, hidden_size), each of length 1; their products are their likeness."""
        with no_grad():
            tokens, mask = self.tokens(sentences)
            outputs, _ = self.model(tokens, mask)
            weights = expand_dims(astype(mask, outputs.dtype), axis=-1)
            mean = sum_(outputs * weights, axis=1) / maximum(sum_(weights, axis=1), ones_like(weights[:, 0]))
            return mean / sqrt(sum_(mean * mean, axis=-1, keepdims=True))  # type: ignore[no-any-return]


_OPTIONS = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size", "hidden_dropout_prob", "layer_norm_eps", "initializer_range",
)  # fmt: skip
"""What a model's configuration says of it."""
