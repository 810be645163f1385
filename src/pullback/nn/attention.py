"""MultiheadAttention, and the cache of keys and values with which it continues a sequence."""

from math import prod
from typing import Any

from ..backends import Array
from ..ops.attention import attention_weights, scaled_dot_product_attention
from ..ops.creation import empty, zeros_like
from ..ops.heads import attention_mask, merge_heads, split_heads
from ..ops.linear_algebra import linear, matmul
from ..ops.manipulation import broadcast_to, concat, repeat
from ..ops.random import dropout
from ..ops.sizes import shape_of
from ..ops.statistical import mean
from .init import constant_, normal_, xavier_uniform_
from .linear import Linear
from .module import Module, Parameter
from .positions import RotaryEmbedding

__all__ = ["KeyValueCache", "MultiheadAttention"]


class KeyValueCache:
    """The keys and values of what a sequence holds so far, so that only what is new is computed.

    One for each layer of attention, empty at first: pass it on every call, with the tokens that are new.

    >>> import pullback as pb
    >>> from pullback import nn
    >>> attention, cache = nn.MultiheadAttention(8, 2, batch_first=True), nn.KeyValueCache()
    >>> for token in pb.random.normal((3, 1, 1, 8)):
    ...     y, _ = attention(token, token, token, need_weights=False, is_causal=True, cache=cache)
    >>> y.shape, cache.length
    ((1, 1, 8), 3)
    """

    key: Array | None = None
    value: Array | None = None

    @property
    def length(self) -> int:
        """How many keys there are."""
        return 0 if self.key is None else int(self.key.shape[-2])

    def update(self, key: Array, value: Array) -> tuple[Array, Array]:
        """Put new keys (..., L, E) and values behind those that are there; returns all of them.

        Raises ValueError for keys of another batch, of other heads or of another width.
        """
        if self.key is not None:
            held, new = tuple(self.key.shape), tuple(key.shape)
            if held[:-2] != new[:-2] or held[-1] != new[-1]:
                raise ValueError(f"a cache of keys {held} takes more of the same sequences; got {new}. clear() it")
            key, value = concat([self.key, key], axis=-2), concat([self.value, value], axis=-2)
        self.key, self.value = key, value
        return key, value

    def clear(self) -> None:
        """Forget all: what comes next is the start of another sequence."""
        self.key = self.value = None

    def __repr__(self) -> str:
        return f"KeyValueCache(length={self.length})"


class MultiheadAttention(Module):
    """Attention in several heads, each with queries, keys and values of its own (Vaswani et al., 2017).

    embed_dim: features of queries and outputs, parted among `num_heads`. dropout: the share of weights that is
        dropped in training. bias: False leaves the biases of all projections out.
    add_bias_kv: a learnt key and value behind the others. add_zero_attn: ones of zeros.
    kdim, vdim: features of keys and of values, by default embed_dim.
    batch_first: inputs are (N, L, features) and not (L, N, features).
    num_key_value_heads: grouped queries, of which several heads share a key and a value (Ainslie et al., 2023).
    rotary: turns queries and keys by their positions, see `RotaryEmbedding`; for self-attention.

    Parameters have PyTorch's names, shapes and first values: in_proj_weight, (3 embed_dim, embed_dim), or with kdim or
    vdim q_proj_weight, k_proj_weight and v_proj_weight; in_proj_bias; bias_k and bias_v; out_proj.
    Raises ValueError for sizes that don't divide, and for inputs and masks that don't fit.

    >>> import pullback as pb
    >>> x = pb.random.normal((2, 5, 16))
    >>> y, weights = MultiheadAttention(16, 4, batch_first=True)(x, x, x)
    >>> y.shape, weights.shape
    ((2, 5, 16), (2, 5, 5))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        num_key_value_heads: int | None = None,
        rotary: RotaryEmbedding | None = None,
    ) -> None:
        super().__init__()
        shared = num_heads if num_key_value_heads is None else num_key_value_heads
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ValueError(f"embed_dim is a multiple of num_heads; got {embed_dim} and {num_heads}")
        if shared <= 0 or num_heads % shared:
            raise ValueError(f"num_heads is a multiple of num_key_value_heads; got {num_heads} and {shared}")
        self.embed_dim, self.num_heads, self.num_key_value_heads = embed_dim, num_heads, shared
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.head_dim = embed_dim // num_heads
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        width = shared * self.head_dim
        packed = self.kdim == self.vdim == embed_dim
        shapes = {
            "in_proj_weight": (embed_dim + 2 * width, embed_dim) if packed else None,
            "q_proj_weight": None if packed else (embed_dim, embed_dim),
            "k_proj_weight": None if packed else (width, self.kdim),
            "v_proj_weight": None if packed else (width, self.vdim),
            "in_proj_bias": (embed_dim + 2 * width,) if bias else None,
            "bias_k": (1, 1, width) if add_bias_kv else None,
            "bias_v": (1, 1, width) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            value = None if shape is None else Parameter(empty(shape, dtype=dtype, device=device))
            self.register_parameter(name, value)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.rotary = rotary
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                constant_(bias, 0.0)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                normal_(extra, std=extra.shape[-1] ** -0.5)

    def forward(
        self,
        query: Array,
        key: Array,
        value: Array,
        key_padding_mask: Array | None = None,
        need_weights: bool = True,
        attn_mask: Array | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> tuple[Array, Array | None]:
        """query: (L, N, embed_dim). key: (S, N, kdim). value: (S, N, vdim); N first with batch_first, or without N.

        key_padding_mask: (N, S); attn_mask: (L, S) or (N * num_heads, L, S). Of booleans, True is left out; floats are
            added. attn_mask may also be (num_heads, 1 or L, S) for all N, as `alibi_bias` is.
        need_weights: False spares memory: the weights are never whole. average_attn_weights: their mean over heads.
        is_causal: each query attends to the keys up to its own; an `attn_mask` (L, S) is taken to say the same.
        cache: keys and values from before, which masks count too; those that come now are kept there.

        Returns the output, in the query's layout, and the weights: (N, L, S), or (N, num_heads, L, S) if not averaged,
        or None. A query that may attend to nothing gets weights of 0.
        """
        start = 0 if cache is None else cache.length
        self._check(query, key, value, key_padding_mask, attn_mask, start)
        batched = len(query.shape) == 3
        queries, keys, values = self._projected(query, key, value)
        if self.rotary is not None:
            queries, keys = self.rotary(queries, start=start), self.rotary(keys, start=start)
        if cache is not None:
            keys, values = cache.update(keys, values)
        keys, values, extra = self._extended(keys, values)
        if is_causal and extra:
            if attn_mask is None:
                raise ValueError(
                    "with add_bias_kv or add_zero_attn pass attn_mask: is_causal knows nothing of their keys"
                )
            is_causal = False
        mask = attention_mask(attn_mask, key_padding_mask, queries, heads=self.num_heads, extra=extra)
        grouped = self.num_heads // self.num_key_value_heads
        p = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            if grouped > 1:
                keys, values = repeat(keys, grouped, axis=1), repeat(values, grouped, axis=1)
            weights = attention_weights(queries, keys, mask, is_causal=is_causal, query_start=start)
            weights = dropout(weights, p=p)
            y = matmul(weights, values)
            weights = mean(weights, axis=1) if average_attn_weights else weights
        else:
            options: dict[str, Any] = {"is_causal": is_causal, "query_start": start, "enable_gqa": grouped > 1}
            y = scaled_dot_product_attention(queries, keys, values, mask, p, **options)
        y = self.out_proj(merge_heads(y, batch_first=self.batch_first or not batched))
        return (y, weights) if batched else (y[0], None if weights is None else weights[0])

    def _projected(self, query: Array, key: Array, value: Array) -> tuple[Array, Array, Array]:
        """Queries, keys and values by heads: (N, heads, length, head_dim)."""
        heads = (self.num_heads, self.num_key_value_heads, self.num_key_value_heads)
        first, weight, bias = self.batch_first, self.in_proj_weight, self.in_proj_bias
        if weight is not None and query is key and key is value:
            parts: tuple[Array, Array, Array] = split_heads(linear(query, weight, bias), heads=heads, batch_first=first)
            return parts
        width, every = heads[1] * self.head_dim, self.embed_dim + 2 * heads[1] * self.head_dim
        ends = (0, self.embed_dim, self.embed_dim + width, every)
        separate = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)

        def project(x: Array, start: int, stop: int) -> tuple[Array, ...]:
            own = separate[start] if weight is None else weight[ends[start] : ends[stop]]
            part = None if bias is None else bias[ends[start] : ends[stop]]
            y: tuple[Array, ...] = split_heads(linear(x, own, part), heads=heads[start:stop], batch_first=first)
            return y

        if weight is not None and key is value:
            return (*project(query, 0, 1), *project(key, 1, 3))
        return (*project(query, 0, 1), *project(key, 1, 2), *project(value, 2, 3))

    def _extended(self, keys: Array, values: Array) -> tuple[Array, Array, int]:
        """Keys and values with those behind them that every query attends to, and how many these are."""
        extra = 0
        if self.bias_k is not None:
            shape = (*keys.shape[:2], 1, self.head_dim)
            more = [
                broadcast_to(split_heads(x, heads=(self.num_key_value_heads,))[0], shape)
                for x in (self.bias_k, self.bias_v)
            ]
            keys, values = concat([keys, more[0]], axis=2), concat([values, more[1]], axis=2)
            extra += 1
        if self.add_zero_attn:
            keys = concat([keys, zeros_like(keys[:, :, :1, :])], axis=2)
            values = concat([values, zeros_like(values[:, :, :1, :])], axis=2)
            extra += 1
        return keys, values, extra

    def _check(
        self, query: Array, key: Array, value: Array, padding: Array | None, mask: Array | None, cached: int
    ) -> None:
        shapes = [shape_of("MultiheadAttention", x) for x in (query, key, value)]
        widths = (self.embed_dim, self.kdim, self.vdim)
        n, along = (0, -2) if self.batch_first else (1, 0)  # the axis of the batch, and that of positions
        if (
            any(len(shape) not in (2, 3) or len(shape) != len(shapes[0]) for shape in shapes)
            or tuple(shape[-1] for shape in shapes) != widths
            or shapes[1][:-1] != shapes[2][:-1]
            or (len(shapes[0]) == 3 and shapes[0][n] != shapes[1][n])
        ):
            layout = "(N, L, features)" if self.batch_first else "(L, N, features)"
            raise ValueError(
                f"MultiheadAttention({self.extra_repr()}) takes query, key and value as {layout} or (L, features), "
                f"with one N, of {widths[0]}, {widths[1]} and {widths[2]} features; "
                f"got {shapes[0]}, {shapes[1]} and {shapes[2]}"
            )
        batch = (shapes[0][n],) if len(shapes[0]) == 3 else ()
        length, keys = shapes[0][along], cached + shapes[1][along]
        if padding is not None and tuple(padding.shape) != (*batch, keys):
            raise ValueError(f"key_padding_mask is of shape {(*batch, keys)} here; got {tuple(padding.shape)}")
        if mask is None:
            return
        given, all_heads = tuple(mask.shape), self.num_heads * prod(batch)
        fits = len(given) in (2, 3) and given[-2] in (1, length) and given[-1] == keys
        if not fits or (len(given) == 3 and given[0] not in (self.num_heads, all_heads)):
            raise ValueError(f"attn_mask is of shape {(length, keys)} or {(all_heads, length, keys)} here; got {given}")

    def extra_repr(self) -> str:
        """The sizes."""
        shared = (
            "" if self.num_key_value_heads == self.num_heads else f", num_key_value_heads={self.num_key_value_heads}"
        )
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}{shared}, batch_first={self.batch_first}"
