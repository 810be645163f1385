"""The Transformer: layers of attention and of two linear maps, stacked to encoders and decoders."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from math import inf
from typing import Any, ClassVar, TypeAlias

from ..backends import Array
from ..ops.activation import gelu, relu
from ..ops.creation import full, triu
from .attention import KeyValueCache, MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .fused import is_just, through_maps
from .init import xavier_uniform_
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
]  # fmt: skip

Activation: TypeAlias = str | Callable[[Array], Array]

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"relu": relu, "gelu": gelu}


class _Layer(Module):
    """What layers of encoders and decoders share: attention to oneself and the two linear maps."""

    looks: ClassVar[bool]
    """Whether it attends to an encoder's output too."""

    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention
    norm1: LayerNorm
    norm2: LayerNorm
    norm3: LayerNorm
    dropout1: Dropout
    dropout2: Dropout
    dropout3: Dropout

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        place = {"device": device, "dtype": dtype}
        for name in ("self_attn", "multihead_attn")[: 2 if self.looks else 1]:
            attention = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **place)
            self.add_module(name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **place)
        parts = range(1, 4 if self.looks else 3)
        for number in parts:
            self.add_module(f"norm{number}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for number in parts:
            self.add_module(f"dropout{number}", Dropout(dropout))
        self.norm_first = norm_first
        self.activation = _activation(activation)

    def _attend(
        self, x: Array, mask: Array | None, padding: Array | None, is_causal: bool, cache: KeyValueCache | None
    ) -> Array:
        y, _ = self.self_attn(
            x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False, is_causal=is_causal, cache=cache
        )
        return self.dropout1(y)

    def _feed_forward(self, x: Array) -> Any:
        first, dropout = self.linear1, self.dropout
        if is_just(dropout, Dropout) and not (dropout.training and dropout.p):
            return through_maps(first, self.activation, self.linear2, x)
        if self.activation is relu and is_just(first, Linear):
            return self.linear2(dropout(first.rectified(x)))
        return self.linear2(dropout(self.activation(first(x))))


class TransformerEncoderLayer(_Layer):
    """Attention to oneself, then two linear maps, each beside a way around it (Vaswani et al., 2017).

    d_model: features. nhead: heads of attention. dim_feedforward: features between the linear maps.
    activation: `"relu"`, `"gelu"`, or a function. norm_first: normalise before each part and not behind the sum
        (Xiong et al., 2020), which trains without a warm-up. bias: False leaves all biases out.
    batch_first: sequences are (N, S, d_model) and not (S, N, d_model).
    Raises ValueError for an activation there is not.

    >>> import pullback as pb
    >>> TransformerEncoderLayer(16, 4, batch_first=True)(pb.random.normal((2, 5, 16))).shape
    (2, 5, 16)
    """

    looks = False

    def forward(
        self,
        src: Array,
        src_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Array:
        """src: (S, N, d_model), (N, S, d_model) with batch_first, or (S, d_model); returns the same shape.

        Masks, is_causal and cache: as for `MultiheadAttention`.
        """
        given = (src_mask, src_key_padding_mask, is_causal, cache)
        if self.norm_first:
            x = src + self._attend(self.norm1(src), *given)
            return x + self.dropout2(self._feed_forward(self.norm2(x)))
        x = self.norm1(src + self._attend(src, *given))
        return self.norm2(x + self.dropout2(self._feed_forward(x)))


class TransformerDecoderLayer(_Layer):
    """Attention to oneself, then to an encoder's output, then two linear maps, each beside a way around it.

    Arguments: as for `TransformerEncoderLayer`.

    >>> import pullback as pb
    >>> x, memory = pb.random.normal((2, 5, 16)), pb.random.normal((2, 7, 16))
    >>> TransformerDecoderLayer(16, 4, batch_first=True)(x, memory).shape
    (2, 5, 16)
    """

    looks = True

    def forward(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Array:
        """tgt: (T, N, d_model), (N, T, d_model) with batch_first, or (T, d_model). memory: the encoder's output.

        Masks and what is causal: as for `MultiheadAttention`. cache: of the attention to oneself.
        Returns the shape of tgt.
        """
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal, cache)
        other = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            x = tgt + self._attend(self.norm1(tgt), *own)
            x = x + self._look(self.norm2(x), *other)
            return x + self.dropout3(self._feed_forward(self.norm3(x)))
        x = self.norm1(tgt + self._attend(tgt, *own))
        x = self.norm2(x + self._look(x, *other))
        return self.norm3(x + self.dropout3(self._feed_forward(x)))

    def _look(self, x: Array, memory: Array, mask: Array | None, padding: Array | None, is_causal: bool) -> Array:
        y, _ = self.multihead_attn(
            x, memory, memory, attn_mask=mask, key_padding_mask=padding, need_weights=False, is_causal=is_causal
        )
        return self.dropout2(y)


class TransformerEncoder(Module):
    """Layers of an encoder, one after the other, all begun as copies of one.

    encoder_layer: what is copied. norm: what follows the last layer, or None.
    enable_nested_tensor, mask_check: as PyTorch has them, and without effect.

    >>> import pullback as pb
    >>> encoder = TransformerEncoder(TransformerEncoderLayer(16, 4, batch_first=True), num_layers=2)
    >>> encoder(pb.random.normal((2, 5, 16)), is_causal=True).shape
    (2, 5, 16)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = ModuleList(deepcopy(encoder_layer) for _ in range(num_layers))
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: Array,
        mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        is_causal: bool | None = None,
        *,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Array:
        """src, masks and is_causal: as for each layer. caches: one for each layer, see `KeyValueCache`."""
        for layer, more in zip(self.layers, _caches(caches, self.num_layers), strict=True):
            src = layer(
                src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal), **more
            )
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """Layers of a decoder, one after the other, all begun as copies of one.

    decoder_layer: what is copied. norm: what follows the last layer, or None.
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList(deepcopy(decoder_layer) for _ in range(num_layers))
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
        *,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Array:
        """tgt, memory, masks and what is causal: as for each layer. caches: one for each layer, see `KeyValueCache`."""
        options = {
            "tgt_mask": tgt_mask,
            "memory_mask": memory_mask,
            "tgt_key_padding_mask": tgt_key_padding_mask,
            "memory_key_padding_mask": memory_key_padding_mask,
            "tgt_is_causal": bool(tgt_is_causal),
            "memory_is_causal": memory_is_causal,
        }
        for layer, more in zip(self.layers, _caches(caches, self.num_layers), strict=True):
            tgt = layer(tgt, memory, **options, **more)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder and a decoder that attends to it (Vaswani et al., "Attention is all you need", 2017).

    Arguments: as for `TransformerEncoderLayer`. custom_encoder, custom_decoder: used in place of those made here.
    Embeddings, positions and the last linear map are the model's own affair.

    >>> import pullback as pb
    >>> model = Transformer(16, 4, 2, 2, dim_feedforward=32, batch_first=True)
    >>> model(pb.random.normal((2, 7, 16)), pb.random.normal((2, 5, 16)), tgt_is_causal=True).shape
    (2, 5, 16)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        place = {"device": device, "dtype": dtype}
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, **place)

        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*sizes, **place), num_encoder_layers, norm()
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*sizes, **place), num_decoder_layers, norm()
        )
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for p in self.parameters():
            if len(p.shape) > 1:
                xavier_uniform_(p)

    def forward(
        self,
        src: Array,
        tgt: Array,
        src_mask: Array | None = None,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Array:
        """src: (S, N, d_model), (N, S, d_model) with batch_first, or (S, d_model). tgt: (T, ...) likewise.

        Masks and what is causal: as for `MultiheadAttention`. Returns the shape of tgt.
        """
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Array:
        """A mask (sz, sz) that is added: 0 up to the diagonal, -inf above it. `is_causal=True` says the same for less.

        >>> Transformer.generate_square_subsequent_mask(2)
        Tensor([[  0., -inf],
                [  0.,   0.]], dtype=float32)
        """
        return triu(full((sz, sz), -inf, dtype=dtype, device=device), k=1)


def _activation(activation: Activation) -> Callable[[Array], Array]:
    if isinstance(activation, str):
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation is {', '.join(map(repr, _ACTIVATIONS))} or a function; got {activation!r}")
        activation = _ACTIVATIONS[activation]
    return activation


def _caches(caches: Sequence[KeyValueCache] | None, layers: int) -> list[dict[str, KeyValueCache]]:
    """What each layer gets besides: its cache, where there are any; layers of one's own need not know of them."""
    if caches is None:
        return [{} for _ in range(layers)]
    if len(caches) != layers:
        raise ValueError(f"there is one cache for each of {layers} layers; got {len(caches)}")
    return [{"cache": cache} for cache in caches]
