"""Embeddings: rows of a table by their numbers, one by one or in bags."""

from typing import Literal, TypeAlias

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, integers, normal, values
from ..autodiff.op import op
from ..autodiff.tensor import Tensor
from ..backends import KINDS, Array, Namespace, dtype_name
from .creation import ones_like
from .data_types import astype
from .indexing import take
from .manipulation import expand_dims, reshape
from .precision import in_float32
from .scatter import scatter_add
from .searching import where
from .utility import read, readable, somewhere

__all__ = ["embedding", "embedding_bag", "renormalized_rows"]

Mode: TypeAlias = Literal["sum", "mean", "max"]

_TABLE = normal(5, 3)
_REPEATED = values([[0, 4, 1], [1, 1, 3]], differentiable=False)


@op(examples=[example(_REPEATED, _TABLE), example(values([4, 0, 4], differentiable=False), _TABLE)])
def _embedding(xp: Namespace, indices: Array, weight: Array, /) -> Array:
    count, size = weight.shape
    indices = xp.astype(indices, xp.int64, copy=False)  # a narrow type may not hold `count`
    if readable(indices) and somewhere(xp.logical_or(indices < 0, indices >= count)):
        raise IndexError(f"embedding got an index outside [0, {count}): its table has {count} rows")
    return xp.reshape(xp.take(weight, xp.reshape(indices, (-1,)), axis=0), (*indices.shape, size))


@_embedding.vjp("weight")
def _(xp: Namespace, g: Array, indices: Array, weight_shape: tuple[int, int]) -> Array:
    count, size = weight_shape
    return scatter_add(xp.reshape(g, (-1, size)), xp.reshape(indices, (-1,)), size=count)


def embedding(
    indices: Array, weight: Array, /, *, padding_idx: int | None = None, scale_grad_by_freq: bool = False
) -> Array:
    """The rows of a table with these numbers.

    indices: integers of any shape, in [0, n). weight: (n, size). Returns (*indices.shape, size).
    padding_idx: a row, counted from the end where it is negative, that gets no gradient.
    scale_grad_by_freq: divide each row's gradient by how often it is named.
    Raises TypeError for indices that are no integers, and IndexError for one that is out of range; of indices on
    a device, which would have to be waited for, nobody looks at the values.

    >>> import pullback as pb
    >>> embedding(pb.asarray([2, 0]), pb.asarray([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
    Tensor([[4., 5.],
            [0., 1.]], dtype=float32)
    """
    _check_integers("embedding takes indices", indices)
    rows = _embedding(indices, weight)
    if not isinstance(rows, Tensor) or not rows.requires_grad:
        return rows
    still, indices = rows.detach(), astype(indices, "int64", copy=False)
    if padding_idx is not None:
        rows = where(expand_dims(indices == padding_idx % weight.shape[0], axis=-1), still, rows)
    if scale_grad_by_freq:
        flat = reshape(indices, (-1,))
        times = take(scatter_add(astype(ones_like(flat), rows.dtype), flat, size=weight.shape[0]), flat, axis=0)
        rows = still + (rows - still) / reshape(times, (*indices.shape, 1))  # the value of `still`, a part of the slope
    return rows


def _check_integers(what: str, given: Array) -> None:
    dtype = getattr(given, "dtype", None)
    if dtype is None or dtype_name(dtype) not in KINDS["integral"]:
        got = type(given).__name__ if dtype is None else dtype_name(dtype)
        raise TypeError(f"{what} in an array of integers; got {got}. Make one: pb.asarray(..., dtype='int64')")


@autocasts_to("float32")
@op(
    differentiable=False,
    examples=[
        example(_TABLE, _REPEATED, max_norm=1.0),
        example(_TABLE, integers(4, high=5), max_norm=0.5, norm_type=float("inf")),
    ],
)
@in_float32
def renormalized_rows(
    xp: Namespace, weight: Array, indices: Array, /, *, max_norm: float, norm_type: float = 2.0
) -> Array:
    """A table in which the rows with these numbers are no longer than `max_norm`, the others as they were.

    weight: (n, size). indices: integers of any shape, in [0, n). norm_type: the p of the norm, may be infinite.
    """
    _check_integers("renormalized_rows takes indices", indices)
    flat = xp.reshape(indices, (-1,))
    named = scatter_add(xp.astype(xp.ones_like(flat), weight.dtype), flat, size=weight.shape[0]) > 0
    sizes = xp.abs(weight)
    if norm_type == float("inf"):
        norms = xp.max(sizes, axis=1)
    else:
        norms = xp.sum(sizes**norm_type, axis=1) ** (1 / norm_type)
    factor = xp.where(xp.logical_and(named, norms > max_norm), max_norm / (norms + 1e-7), xp.ones_like(norms))
    return weight * xp.expand_dims(factor, axis=1)


_BAGGED = values([0, 4, 1, 1, 1, 3], differentiable=False)
_OFFSETS = values([0, 2, 2], differentiable=False)


@op(
    examples=[
        example(_BAGGED, _TABLE, _OFFSETS, normal(6), mode="sum"),
        example(_BAGGED, _TABLE, _OFFSETS, padding_idx=4),
        example(_BAGGED, _TABLE, values([0, 2, 2, 5], differentiable=False), include_last_offset=True),
        example(_REPEATED, _TABLE, mode="max", padding_idx=1),
    ]
)
def embedding_bag(
    xp: Namespace,
    indices: Array,
    weight: Array,
    offsets: Array | None = None,
    per_sample_weights: Array | None = None,
    /,
    *,
    mode: Mode = "mean",
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
    include_last_offset: bool = False,
) -> Array:
    """Rows of a table with these numbers, put together bag by bag.

    indices: (B, N), a bag in each row; or (M,), all bags in one row, with `offsets`. weight: (n, size).
    offsets: (B,), where each bag begins, 0 first and none below the one before it or above M. With
        `include_last_offset` (B + 1,), the last of which is where the last bag ends; what comes behind is in none.
    per_sample_weights: like the indices: what each row is multiplied by; for the sum only.
    mode: "sum", "mean" or "max". padding_idx, scale_grad_by_freq: as for `embedding`; padding is in no bag.
    Returns (B, size); zeros for an empty bag.
    Raises ValueError for another mode, for weights with another mode than the sum or of another shape than the
    indices, and for offsets that are others, with two axes of indices or missing with one; else as `embedding`.
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode is 'sum', 'mean' or 'max'; got {mode!r}")
    if len(indices.shape) not in (1, 2) or (len(indices.shape) == 2) != (offsets is None):
        raise ValueError("embedding_bag takes indices of shape (B, N), or of shape (M,) with offsets")
    if per_sample_weights is not None and (mode != "sum" or per_sample_weights.shape != indices.shape):
        raise ValueError("per_sample_weights are of the indices' shape, and go with mode='sum'")
    flat = xp.astype(xp.reshape(indices, (-1,)), xp.int64, copy=False)
    places = xp.cumulative_sum(xp.ones_like(flat), dtype=xp.int64) - 1
    if offsets is None:
        bags, count = places // max(indices.shape[1], 1), indices.shape[0]
    else:
        offsets = _checked(xp, offsets, flat.shape[0], include_last_offset)
        bags, count = xp.searchsorted(offsets, places, side="right") - 1, offsets.shape[0]
    rows = embedding(flat, weight, scale_grad_by_freq=scale_grad_by_freq)
    kept = xp.ones_like(flat) > 0 if padding_idx is None else flat != padding_idx % weight.shape[0]
    last = count - 1 if offsets is not None and include_last_offset else count  # behind it is what is in no bag
    if not count:
        return rows[:0, :]
    if mode == "max":
        return _largest(xp, rows, kept, bags, count, offsets)[:last, :]
    if per_sample_weights is not None:
        rows = rows * xp.expand_dims(xp.reshape(per_sample_weights, (-1,)), axis=1)
    rows = xp.where(xp.expand_dims(kept, axis=1), rows, xp.zeros_like(rows))
    total = scatter_add(rows, bags, size=count)
    if mode == "sum":
        return total[:last, :]
    members = scatter_add(xp.astype(kept, rows.dtype), bags, size=count)
    return (total / xp.expand_dims(xp.maximum(members, 1), axis=1))[:last, :]


def _checked(xp: Namespace, offsets: Array, length: int, ended: bool) -> Array:
    """Offsets as int64. Raises TypeError for no integers, ValueError where they do not part the indices."""
    _check_integers("embedding_bag takes offsets", offsets)
    if len(offsets.shape) != 1 or (ended and not offsets.shape[0]):
        raise ValueError(f"offsets are (B,), or (B + 1,) with include_last_offset; got shape {tuple(offsets.shape)}")
    offsets = xp.astype(offsets, xp.int64)
    if not offsets.shape[0]:
        return offsets
    first, last = offsets[:1] != 0, offsets[-1:] > length
    if somewhere(xp.concat([first, offsets[1:] < offsets[:-1], last])):
        raise ValueError(f"offsets begin with 0, never fall, and end at {length}, the number of indices, or before")
    return offsets


def _largest(xp: Namespace, rows: Array, kept: Array, bags: Array, count: int, starts: Array | None) -> Array:
    """The largest of each bag's rows, element by element: the bags are padded to the longest."""
    total, size = rows.shape
    if not total:
        return scatter_add(rows, bags, size=count)
    if starts is None:
        padded, inside = xp.reshape(rows, (count, -1, size)), xp.reshape(kept, (count, -1))
    else:
        lengths = scatter_add(xp.ones_like(bags), bags, size=count)
        longest = int(read(xp.max(lengths)))
        step = xp.cumulative_sum(xp.ones_like(bags[:1] + xp.zeros_like(bags)))[:longest] - 1
        among = xp.expand_dims(step, axis=0) < xp.expand_dims(lengths, axis=1)
        places = xp.expand_dims(starts, axis=1) + xp.expand_dims(step, axis=0)
        places = xp.reshape(xp.where(among, places, xp.zeros_like(places)), (-1,))
        padded = xp.reshape(xp.take(rows, places, axis=0), (count, longest, size))
        inside = xp.logical_and(among, xp.reshape(xp.take(kept, places), (count, longest)))
    lowest = xp.full_like(padded, -float("inf"))
    largest = xp.max(xp.where(xp.expand_dims(inside, axis=2), padded, lowest), axis=1)
    full = xp.expand_dims(xp.any(inside, axis=1), axis=1)
    return xp.where(full, largest, xp.zeros_like(largest))
