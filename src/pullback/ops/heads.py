"""Heads of attention: features parted among them and put together again, and the masks they share."""

from math import inf

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace, dtype_name
from .creation import zeros_like
from .data_types import astype
from .elementwise import logical_not, logical_or
from .manipulation import concat, permute_dims, reshape
from .searching import where

__all__ = ["attention_mask", "merge_heads", "split_heads"]


@op(
    examples=[
        example(normal(2, 3, 8), heads=(4,)),
        example(normal(3, 2, 8), heads=(2, 1, 1), batch_first=False),
        example(normal(3, 6), heads=(1, 1, 1)),
    ]
)
def split_heads(xp: Namespace, x: Array, /, *, heads: tuple[int, ...], batch_first: bool = True) -> tuple[Array, ...]:
    """Features parted among heads: for each number in `heads`, the next so many of them as (N, heads, L, E).

    x: (N, L, features), or (L, N, features) where not batch_first; without N, (L, features), N is 1. All heads are of
    one size, so one product can give queries, keys and values: heads=(8, 8, 8), or of grouped queries (8, 2, 2).
    Raises ValueError where the features are not parted equally.

    >>> import pullback as pb
    >>> [part.shape for part in split_heads(pb.zeros((5, 10, 48)), heads=(8, 2, 2))]
    [(5, 8, 10, 4), (5, 2, 10, 4), (5, 2, 10, 4)]
    """
    if len(x.shape) not in (2, 3) or x.shape[-1] % sum(heads):
        raise ValueError(f"split_heads parts (N, L, features) equally among heads={heads}; got shape {tuple(x.shape)}")
    if len(x.shape) == 2:
        x, batch_first = xp.expand_dims(x, axis=0), True
    whole = xp.reshape(x, (*x.shape[:2], sum(heads), x.shape[2] // sum(heads)))
    whole = xp.permute_dims(whole, (0, 2, 1, 3) if batch_first else (1, 2, 0, 3))
    starts = [sum(heads[:i]) for i in range(len(heads))]
    return tuple(whole[:, start : start + count, :, :] for start, count in zip(starts, heads, strict=True))


@split_heads.vjp("x")
def _(xp: Namespace, g: tuple[Array, ...], x_shape: tuple[int, ...], *, batch_first: bool) -> Array:
    whole = xp.concat(list(g), axis=1) if len(g) > 1 else g[0]
    whole = xp.permute_dims(whole, (0, 2, 1, 3) if batch_first or len(x_shape) == 2 else (2, 0, 1, 3))
    return xp.reshape(whole, x_shape)


def merge_heads(x: Array, /, *, batch_first: bool = True) -> Array:
    """(N, heads, L, E) as (N, L, heads * E), or (L, N, heads * E) where not batch_first: what `split_heads` parted."""
    whole = permute_dims(x, (0, 2, 1, 3) if batch_first else (2, 0, 1, 3))
    return reshape(whole, (*whole.shape[:2], whole.shape[2] * whole.shape[3]))


def attention_mask(
    attn_mask: Array | None, key_padding_mask: Array | None, like: Array, /, *, heads: int, extra: int = 0
) -> Array | None:
    """Masks of whole batches, in which True is left out, as one `attn_mask` of `scaled_dot_product_attention`.

    attn_mask: (L, S) or (N * heads, L, S). key_padding_mask: (N, S) or (S,). Booleans, or floats that are added.
    like: in whose dtype floats are. extra: how many keys follow the S that masks know of; all attend to them.
    Returns booleans, True where a key takes part, if all are; else floats, -inf where it does not; None for no mask.
    """
    masks = []
    if attn_mask is not None:
        shape = tuple(attn_mask.shape)
        masks.append(attn_mask if len(shape) == 2 else reshape(attn_mask, (-1, heads, *shape[1:])))
    if key_padding_mask is not None:
        masks.append(reshape(key_padding_mask, (-1, 1, 1, key_padding_mask.shape[-1])))
    for _ in range(extra):
        masks = [concat([mask, zeros_like(mask[..., :1])], axis=-1) for mask in masks]
    if not masks:
        return None
    if all(dtype_name(mask.dtype) == "bool" for mask in masks):
        return logical_not(masks[0] if len(masks) == 1 else logical_or(*masks))
    biases = [_bias(mask, like) for mask in masks]
    return biases[0] if len(biases) == 1 else biases[0] + biases[1]


def _bias(mask: Array, like: Array) -> Array:
    """What is added to the scores for a mask. Raises TypeError for one of integers, which could mean either kind."""
    if "int" in dtype_name(mask.dtype):
        raise TypeError(f"a mask is of booleans, or of floats that are added; got {dtype_name(mask.dtype)}")
    if dtype_name(mask.dtype) != "bool":
        return astype(mask, like.dtype)
    return where(mask, -inf, zeros_like(astype(mask, like.dtype)))
