"""Sequences of several lengths in one array: packed, so that no step is spent on padding; and padded."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from ..autodiff.tensor import Tensor, array_of
from ..backends import Array, array_beside, dtype_name, is_floating
from ..backends.host import host
from ..ops.indexing import take
from ..ops.manipulation import concat, permute_dims, reshape
from ..ops.searching import where
from ..ops.sizes import shape_of, whole

__all__ = [
    "PackedSequence", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence",
    "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class PackedSequence(NamedTuple):
    """Sequences sorted by length, longest first, step by step: what `pack_padded_sequence` gives and RNNs take."""

    data: Array
    """(T, ...): the first elements of all sequences, then the second ones of those that have one, and so on."""
    batch_sizes: tuple[int, ...]
    """How many sequences reach each step."""
    sorted_indices: Array | None = None
    """(N,): which of the sequences as they were given stands where; None where they were sorted already."""
    unsorted_indices: Array | None = None
    """(N,): where each of the sequences as they were given stands."""


def pack_padded_sequence(
    input: Array, lengths: Sequence[int] | Array, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Padded sequences, packed.

    input: (L, N, ...), or (N, L, ...) with `batch_first`. lengths: (N,), from 1 to L.
    enforce_sorted: refuse lengths that are not in descending order; with False they are sorted here.
    Raises ValueError for lengths that are not one for each sequence, out of order, below 1 or above L.

    >>> import pullback as pb
    >>> pack_padded_sequence(pb.asarray([[1, 3], [2, 0]]), [2, 1])
    PackedSequence(data=Tensor([1, 3, 2], dtype=int64), batch_sizes=(2, 1), sorted_indices=None, unsorted_indices=None)
    """
    most, count = _extent("pack_padded_sequence", input, batch_first)
    sizes = host.asarray(_lengths(lengths, count, 1, most))
    if not count:
        raise ValueError(f"pack_padded_sequence takes one sequence or more; got shape {tuple(input.shape)}")
    order = host.argsort(-sizes, kind="stable")
    if enforce_sorted and (host.diff(sizes) > 0).any():
        raise ValueError(f"lengths are in descending order, or sorted here with enforce_sorted=False; got {lengths!r}")
    reached = [int((sizes > step).sum()) for step in range(sizes.max())]
    step = host.repeat(host.arange(len(reached)), reached)
    which = order[host.concatenate([host.arange(size) for size in reached])]
    rows = reshape(input, (most * count, *input.shape[2:]))
    data = take(rows, _beside(input, which * most + step if batch_first else step * count + which), axis=0)
    if enforce_sorted:
        return PackedSequence(data, tuple(reached))
    return PackedSequence(data, tuple(reached), _beside(input, order), _beside(input, host.argsort(order)))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Array, Tensor]:
    """Packed sequences as they were given, padded; and their lengths.

    total_length: pad to this length, and not to that of the longest.
    Returns (L, N, ...), or (N, L, ...) with `batch_first`, and (N,) in int64, in the host's memory.
    Raises ValueError for a total length that is less than the longest sequence's, and for rows that are not as many
    as the batch sizes say; TypeError for what is no PackedSequence.

    >>> import pullback as pb
    >>> pad_packed_sequence(pack_sequence([pb.asarray([1, 2]), pb.asarray([3])]), padding_value=-1)[0]
    Tensor([[ 1,  3],
            [ 2, -1]], dtype=int64)
    """
    if not isinstance(sequence, PackedSequence):
        raise TypeError(f"pad_packed_sequence takes a PackedSequence; got {type(sequence).__name__}")
    reached, longest = sequence.batch_sizes, len(sequence.batch_sizes)
    total = longest if total_length is None else whole(total_length, "total_length", least=0)
    if total < longest:
        raise ValueError(f"total_length is at least {longest}, the longest sequence's; got {total_length}")
    if not longest or sum(reached) != sequence.data.shape[0]:
        raise ValueError(f"the batch sizes {tuple(reached)} are of other than {sequence.data.shape[0]} packed rows")
    place = host.arange(reached[0])
    if sequence.unsorted_indices is not None:
        place = host.asarray(_listed(sequence.unsorted_indices))
    starts = host.zeros(total, dtype=host.int64)
    starts[1:longest] = list(accumulate(reached))[:-1]
    lengths = (host.asarray(reached)[:, None] > place).sum(axis=0)
    padded = _padded(sequence.data, starts[:, None] + place, host.arange(total)[:, None] < lengths, padding_value)
    return _exchanged(padded) if batch_first else padded, Tensor(lengths)


def pad_sequence(
    sequences: Sequence[Array], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Array:
    """Sequences, (L, ...) each, in one array: as long as the longest, the others padded at their `padding_side`.

    Returns (L, N, ...), or (N, L, ...) with `batch_first`.
    Raises ValueError for no sequences, for those that differ in more than their length, and for a side that is neither
    "right" nor "left"; TypeError for what are no arrays.

    >>> import pullback as pb
    >>> pad_sequence([pb.asarray([1, 2]), pb.asarray([3])], batch_first=True)
    Tensor([[1, 2],
            [3, 0]], dtype=int64)
    """
    sequences = list(sequences)
    if padding_side not in ("right", "left") or not sequences:
        raise ValueError(
            f"expected one sequence or more, padded 'right' or 'left'; got {len(sequences)}, {padding_side!r}"
        )
    shapes = [shape_of("pad_sequence, for each sequence,", x) for x in sequences]
    if any(not shape or shape[1:] != shapes[0][1:] for shape in shapes):
        raise ValueError(
            f"sequences are (L, ...) each, alike in all but L; got {', '.join(map(str, dict.fromkeys(shapes)))}"
        )
    lengths = host.asarray([shape[0] for shape in shapes])
    step = host.arange(lengths.max())[:, None]
    if padding_side == "left":
        step = step - (lengths.max() - lengths)
    rows = host.cumulative_sum(lengths) - lengths + step
    padded = _padded(concat(sequences), rows, (step >= 0) & (step < lengths), padding_value)
    return _exchanged(padded) if batch_first else padded


def pack_sequence(sequences: Sequence[Array], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences, (L, ...) each, packed; arguments and what is raised as for `pack_padded_sequence`."""
    sequences = list(sequences)
    return pack_padded_sequence(pad_sequence(sequences), [x.shape[0] for x in sequences], enforce_sorted=enforce_sorted)


def unpad_sequence(padded_sequences: Array, lengths: Sequence[int] | Array, batch_first: bool = False) -> list[Array]:
    """The sequences without their padding: what `pad_sequence` was given.

    Raises ValueError for lengths that are not one for each sequence, from 0 to L.
    """
    most, count = _extent("unpad_sequence", padded_sequences, batch_first)
    rows = padded_sequences if batch_first else _exchanged(padded_sequences)
    return [rows[i, :length, ...] for i, length in enumerate(_lengths(lengths, count, 0, most))]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Array]:
    """The sequences that `pack_sequence` was given."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))


def _padded(data: Array, rows: Any, within: Any, padding_value: float) -> Array:
    """Rows of `data` by their numbers where `within` is true, the padding value elsewhere. rows, within: (L, N)."""
    taken = take(data, _beside(data, host.where(within, rows, 0).reshape(-1)), axis=0)
    rest = tuple(data.shape[1:])
    inside = _beside(data, within.reshape(*within.shape, *[1] * len(rest)))
    kind = bool if dtype_name(data.dtype) == "bool" else int
    value = padding_value if is_floating(data.dtype) else kind(padding_value)
    return where(inside, reshape(taken, (*within.shape, *rest)), value)


def _exchanged(x: Array) -> Array:
    """The first two axes, steps and sequences, exchanged."""
    return permute_dims(x, (1, 0, *range(2, len(x.shape))))


def _extent(name: str, x: Array, batch_first: bool) -> tuple[int, int]:
    """How many steps there are in padded sequences, and how many sequences."""
    shape = shape_of(name, x)
    if len(shape) < 2:
        raise ValueError(f"{name} takes (L, N, ...), or (N, L, ...) with batch_first; got shape {shape}")
    return (shape[1], shape[0]) if batch_first else (shape[0], shape[1])


def _lengths(lengths: Any, count: int, least: int, most: int) -> list[int]:
    """One length for each sequence, within bounds."""
    try:
        listed = _listed(lengths)
        sizes = [int(n) for n in listed]
        fits = len(sizes) == count and sizes == listed and all(least <= size <= most for size in sizes)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise ValueError(
            f"{count} sequences of at most {most} steps have as many lengths, whole numbers from {least} on; "
            f"got {lengths!r}"
        )
    return sizes


def _listed(values: Any) -> list[Any]:
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _beside(x: Array, values: Any) -> Tensor:
    """Host values as a Tensor in the place of an array."""
    return Tensor(array_beside(array_of(x), values))
