"""GPT: a transformer that writes on, token by token."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from .. import nn
from ..autodiff.tape import no_grad
from ..autodiff.tensor import Tensor
from ..backends import Array
from ..interop.torch import first_names, tensor_of
from ..nn.fused import through_maps
from ..nn.init import constant_, normal_
from ..ops.attention import scaled_dot_product_attention
from ..ops.creation import arange
from ..ops.heads import merge_heads, split_heads
from ..ops.manipulation import concat, expand_dims, permute_dims
from ..ops.random import Generator
from .inputs import check_sizes, check_tokens
from .sampling import sample_tokens

__all__ = ["GPT", "from_gpt2_state_dict"]


class GPT(nn.Module):
    """The decoder of GPT-2 (Radford et al., 2019), with nanoGPT's names and GPT-2's sizes.

    vocab_size: how many tokens there are. block_size: the longest text. n_layer: blocks of n_head heads each, n_embd
        wide together. dropout: the share that is dropped. bias: whether maps and norms have one; GPT-2's do.
    approximate: of GELU: `"none"`, or `"tanh"` as GPT-2 has it.

    The table of the tokens is also that of the output's weights.
    Takes tokens (N, L). Returns logits (N, L, vocab_size).

    >>> import pullback as pb
    >>> model = GPT(vocab_size=65, block_size=8, n_layer=1, n_head=2, n_embd=8)
    >>> model(pb.zeros((2, 5), dtype="int64")).shape
    (2, 5, 65)
    """

    def __init__(
        self,
        vocab_size: int = 50257,
        block_size: int = 1024,
        n_layer: int = 12,
        n_head: int = 12,
        n_embd: int = 768,
        dropout: float = 0.0,
        bias: bool = True,
        approximate: str = "none",
    ) -> None:
        super().__init__()
        check_sizes("GPT", vocab_size=vocab_size, block_size=block_size, n_head=n_head, n_embd=n_embd)
        check_sizes("GPT", least=0, n_layer=n_layer)
        self.block_size = block_size
        self.transformer = _Decoder(vocab_size, block_size, n_layer, n_head, n_embd, dropout, bias, approximate)
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                constant_(p, 0.0)
            elif p.ndim == 2:
                # What is added to the stream by 2 n_layer maps together has the variance of one.
                normal_(p, 0.0, 0.02 / sqrt(2 * n_layer) if name.endswith("c_proj.weight") else 0.02)

    def forward(self, tokens: Array, caches: Sequence[nn.KeyValueCache] | None = None) -> Array:
        """tokens: (N, L) integers, no more than block_size. caches: one for each block, of the tokens before these.

        Raises ValueError for a text that is empty or longer than block_size, for other shapes, and for other than one
        cache for each block; TypeError for tokens that are no integers, IndexError for one beyond the vocabulary.
        """
        blocks = len(self.transformer.h)
        if caches is not None and len(caches) != blocks:
            raise ValueError(f"this GPT takes one cache for each of its {blocks} blocks; got {len(caches)}")
        before = caches[0].length if caches else 0
        check_tokens("GPT", tokens, self.block_size, before)
        places = arange(before, before + tokens.shape[1], device=tokens.device)
        return self.lm_head(self.transformer(tokens, places, caches))

    def generate(
        self,
        tokens: Array,
        count: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: Generator | None = None,
    ) -> Tensor:
        """Texts that go on for `count` tokens more: (N, L + count) of int64, drawn one token after the other.

        tokens: (N, L) integers, how the texts begin, with one token or more. temperature, top_k: see `sample_tokens`.
        Keys and values of what was read are kept, so that each new token is one step; only a text that outgrows
        block_size is read anew, from its last block_size tokens.
        Raises ValueError and TypeError for other tokens, for a count below 0, and as `sample_tokens` does.
        """
        check_sizes("GPT.generate", least=0, count=count)
        check_tokens("GPT", tokens)
        training = self.training
        self.eval()
        try:
            with no_grad():
                # A narrower dtype, such as uint8, might not hold the tokens that come.
                text: Tensor = (tokens if isinstance(tokens, Tensor) else Tensor(tokens)).astype("int64")
                caches: list[nn.KeyValueCache] = []
                unread = text
                for _ in range(count):
                    if not caches or caches[0].length + unread.shape[1] > self.block_size:
                        caches = [nn.KeyValueCache() for _ in self.transformer.h]
                        unread = text[:, -self.block_size :]
                    logits = self(unread, caches)[:, -1]
                    unread = expand_dims(sample_tokens(logits, temperature, top_k, generator), axis=1)
                    text = concat([text, unread], axis=1)
                return text
        finally:
            self.train(training)


class _Decoder(nn.Module):
    """The tables of tokens and places, the blocks, and a norm behind them."""

    def __init__(
        self,
        tokens: int,
        places: int,
        layers: int,
        heads: int,
        width: int,
        dropout: float,
        bias: bool,
        approximate: str,
    ) -> None:
        super().__init__()
        self.wte = nn.Embedding(tokens, width)
        self.wpe = nn.Embedding(places, width)
        self.drop = nn.Dropout(dropout)
        self.h = nn.ModuleList(_Block(width, heads, dropout, bias, approximate) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width, bias=bias)

    def forward(self, tokens: Array, places: Array, caches: Sequence[nn.KeyValueCache] | None) -> Array:
        x = self.drop(self.wte(tokens) + self.wpe(places))
        for number, block in enumerate(self.h):
            x = block(x, caches[number] if caches else None)
        return self.ln_f(x)


class _Block(nn.Module):
    """Attention, then a perceptron for each token; each takes the normalized stream and adds to it."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool, approximate: str) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, bias=bias)
        self.attn = _CausalSelfAttention(width, heads, dropout, bias)
        self.ln_2 = nn.LayerNorm(width, bias=bias)
        self.mlp = _Perceptron(width, dropout, bias, approximate)

    def forward(self, x: Array, cache: nn.KeyValueCache | None) -> Array:
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))


class _CausalSelfAttention(nn.Module):
    """Every token takes from those before it and from itself."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} is not shared out evenly among {heads} heads")
        self.heads, self.dropout = heads, dropout
        self.c_attn = nn.Linear(width, 3 * width, bias=bias)
        self.c_proj = nn.Linear(width, width, bias=bias)
        self.resid_dropout = nn.Dropout(dropout)

    def forward(self, x: Array, cache: nn.KeyValueCache | None) -> Array:
        q, k, v = split_heads(self.c_attn(x), heads=(self.heads,) * 3)
        before = 0
        if cache is not None:
            before = cache.length
            k, v = cache.update(k, v)
        dropped = self.dropout if self.training else 0.0
        y = scaled_dot_product_attention(q, k, v, dropout_p=dropped, is_causal=True, query_start=before)
        return self.resid_dropout(self.c_proj(merge_heads(y)))


class _Perceptron(nn.Module):
    def __init__(self, width: int, dropout: float, bias: bool, approximate: str) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width, bias=bias)
        self.gelu = nn.GELU(approximate)
        self.c_proj = nn.Linear(4 * width, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Array) -> Array:
        return self.dropout(through_maps(self.c_fc, self.gelu, self.c_proj, x))


def from_gpt2_state_dict(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """GPT-2's weights as Hugging Face stores them, as a state that `GPT.load_state_dict` takes.

    state: arrays or Tensors by name, as `load_safetensors` reads them, with or without `transformer.` in front. The
        model is `GPT(approximate="tanh")`, of the sizes that the weights have.

    Their maps are stored as (in, out); the masks among them are left out.
    Raises ValueError where the table of tokens is missing, or a map is no matrix; TypeError for what is no array.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        name = name.removeprefix("transformer.")
        if name.endswith((".attn.bias", ".attn.masked_bias")) or name == "lm_head.weight":
            continue
        tensor = tensor_of(value)
        if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            if tensor.ndim != 2:
                raise ValueError(f"{name} is the matrix of a map, (in, out); got shape {tensor.shape}")
            tensor = permute_dims(tensor, (1, 0))
        found[f"transformer.{name}"] = tensor
    if "transformer.wte.weight" not in found:
        raise ValueError(f"a state of GPT-2 has the table of tokens, wte.weight; got {first_names(state)}")
    found["lm_head.weight"] = found["transformer.wte.weight"]
    return found
