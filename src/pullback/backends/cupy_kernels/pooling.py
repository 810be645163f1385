"""Kernels of pooling and resampling.

Where taps are is constant: it is worked out on the host and copied to the device when a map is first used there.
"""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

from ..backend import Array
from ..host import host
from .launch import FLOATING, Driver, Source, driver, type_of, vector_length
from .rows import ROW_TYPES, are_floating, contiguous
from .table import kernel

Taps: TypeAlias = Any
"""What `pullback.ops` calls by that name: a linear map along an axis."""

_FEW: Final = [f"{types}, unsigned char" for types in ROW_TYPES]
_MANY: Final = [f"{name}, 1, int" for name in FLOATING]
_greatest = Source("pooling", ("max_pool", "max_unpool"), [*_FEW, *_MANY])
_numbers = Source("pooling", ("find_places",), ["unsigned char", "int"])
_claims = Source("pooling", ("claim",), ["long long"])
_claimed = Source("pooling", ("take_claimed",), [*FLOATING, "long long"])
_sums = Source("pooling", ("resample", "resample_many"), ROW_TYPES)

_THREADS: Final = 256
_SHARED_BY: Final = 512
"""How many threads share the taps of a place, where these are many."""
_AT_ONCE: Final = 64
"""Up to how many taps a thread goes through alone."""
_AGAIN: Final = 4
"""How often a place may be read for all axes to be summed in one pass."""
_LARGEST: Final = 2**31 - 1
_KEPT: Final = 1024
"""How many maps are remembered, and tables of them."""
_NUMBERS: Final = {"uint8": "unsigned char", "int32": "int"}
"""The data types of numbers of taps."""


class _Map(NamedTuple):
    """A map of all spatial axes."""

    fits: bool
    """Whether the sources know it."""
    counts: tuple[int, ...]
    lengths: tuple[int, ...]
    """The lengths of the result and of the input."""
    each: int
    """How many taps a place has."""
    sizes: tuple[int, ...]
    """For three axes the lengths of the input and of the result, and the taps; axes that an image lacks in front."""
    passes: tuple[int, ...]
    """The axes that are summed one after the other, where that is less work than all at once."""
    is_identity: bool


@lru_cache(maxsize=_KEPT)
def _map(taps: tuple[Taps, ...]) -> _Map:
    lengths, counts = tuple(along.length for along in taps), tuple(along.count for along in taps)
    widths = tuple(along.indices.shape[1] for along in taps)
    each, rest = prod(widths), (1,) * (3 - len(taps))
    again = each * prod(counts) / max(1, prod(lengths))
    passes: tuple[int, ...] = ()
    if each > _AT_ONCE and again > _AGAIN:
        # The axes that become shorter go first: there is less to do for the others.
        order = sorted(range(len(taps)), key=lambda i: counts[i] / max(lengths[i], 1))
        passes = tuple(i for i in order if not taps[i].is_identity)
    fits = 1 <= len(taps) <= 3 and max(prod(lengths), prod(counts), each) <= _LARGEST
    sizes = (*rest, *lengths, *rest, *counts, *rest, *widths)
    return _Map(fits, counts, lengths, each, sizes, passes, all(along.is_identity for along in taps))


Table: TypeAlias = Callable[[Taps], tuple[Any, ...]]


@lru_cache(maxsize=_KEPT)
def _on_device(table: Table, taps: tuple[Taps, ...], now: Driver, place: tuple[int, int]) -> tuple[Array | None, ...]:
    """Tables for three axes, one kind after the other, copied when a stream (`place`) first asks for them."""
    made = [[None if a is None else now.xp.asarray(a) for a in table(along)] for along in taps]
    kinds = [list(kind) for kind in zip(*made, strict=True)]
    return tuple(a for kind in kinds for a in [None] * (3 - len(taps)) + kind)


def _tables(table: Table, taps: tuple[Taps, ...]) -> tuple[Array | None, ...]:
    now: Any = driver()
    return _on_device(table, taps, now, now.place())


def _places(along: Taps) -> tuple[Any, ...]:
    return (host.ascontiguousarray(along.indices, dtype=host.int32),)


def _readers(along: Taps) -> tuple[Any, ...]:
    """Where the pairs of each place begin, and those pairs: a place of the result, and its tap that reads here."""
    flat = along.indices.reshape(-1)
    order = host.argsort(flat, kind="stable")
    starts = host.searchsorted(flat[order], host.arange(along.length + 1))
    pairs = host.stack(host.divmod(order, along.indices.shape[1]), axis=1)
    return starts.astype(host.int32), host.ascontiguousarray(pairs, dtype=host.int32)


def _weighted(along: Taps) -> tuple[Any, ...]:
    return *_places(along), None if along.is_selection else along.weights.astype(host.float32)


def _weighted_in_double(along: Taps) -> tuple[Any, ...]:
    return *_places(along), None if along.is_selection else along.weights


@kernel("max_pool", declines=True)
def _(x: Array, *, taps: tuple[Taps, ...]) -> Any:
    of, xp = _map(taps), driver().xp
    if not are_floating(x) or not of.fits:
        return NotImplemented
    few, lead = of.each <= 256, x.shape[: -1 - len(taps)]
    shape = *lead, *of.counts, x.shape[-1]
    y, numbers = xp.empty(shape, x.dtype), xp.empty(shape, xp.uint8 if few else xp.int32)
    if not y.size:
        return y, numbers
    x = contiguous(x)
    vector = vector_length(x.shape[-1], x, y, numbers) if few else 1
    _greatest.launch(
        "max_pool", f"{type_of(x.dtype)}, {vector}, {'unsigned char' if few else 'int'}",
        -(-y.size // (vector * _THREADS)), _THREADS, x, y, numbers, *_tables(_places, taps), prod(lead), *of.sizes,
        x.shape[-1],
    )  # fmt: skip
    return y, numbers


@kernel("max_unpool", declines=True)
def _(updates: Array, numbers: Array, *, taps: tuple[Taps, ...]) -> Any:
    kind, of = _NUMBERS.get(numbers.dtype.name), _map(taps)
    if kind is None or not are_floating(updates) or not of.fits:
        return NotImplemented
    lead = updates.shape[: -1 - len(taps)]
    x = driver().xp.empty((*lead, *of.lengths, updates.shape[-1]), updates.dtype)
    if not x.size:
        return x
    updates, numbers = contiguous(updates), contiguous(numbers)
    vector = vector_length(x.shape[-1], updates, numbers, x) if kind != "int" else 1
    _greatest.launch(
        "max_unpool", f"{type_of(x.dtype)}, {vector}, {kind}", -(-x.size // (vector * _THREADS)), _THREADS, updates,
        numbers, x, *_tables(_readers, taps), prod(lead), *of.sizes, x.shape[-1],
    )  # fmt: skip
    return x


@kernel("places", declines=True)
def _(numbers: Array, *, taps: tuple[Taps, ...]) -> Any:
    kind, of = _NUMBERS.get(numbers.dtype.name), _map(taps)
    if kind is None or not of.fits:
        return NotImplemented
    xp, lead = driver().xp, numbers.shape[: -1 - len(taps)]
    found = xp.empty(numbers.shape, xp.int64)
    if found.size:
        _numbers.launch(
            "find_places", kind, -(-found.size // _THREADS), _THREADS, contiguous(numbers), found,
            *_tables(_places, taps), prod(lead), *of.sizes, numbers.shape[-1],
        )  # fmt: skip
    return found


@kernel("put_along_axis", declines=True)
def _(x: Array, indices: Array, *, size: int) -> Any:
    name, (images, length, channels) = type_of(x.dtype), x.shape
    if name not in _claimed.types or indices.dtype.name != "int64" or indices.shape != x.shape or length > _LARGEST:
        return NotImplemented
    xp = driver().xp
    y, owners = (xp.empty((images, size, channels), dtype) for dtype in (x.dtype, xp.int32))
    if y.size:
        owners.fill(-1)
        shape = images, length, size, channels
        _claims.launch("claim", "long long", -(-x.size // _THREADS), _THREADS, contiguous(indices), owners, *shape)
        _claimed.launch("take_claimed", name, -(-y.size // _THREADS), _THREADS, contiguous(x), owners, y, *shape)
    return y


@kernel("resample", declines=True)
def _(x: Array, *, taps: tuple[Taps, ...]) -> Any:
    of = _map(taps)
    if of.is_identity:
        return x
    if not are_floating(x) or not of.fits:
        return NotImplemented
    x = contiguous(x)
    first = x.ndim - 1 - len(taps)
    for i in of.passes:
        whole = (*x.shape[: first + i], of.counts[i], *x.shape[first + i + 1 :])
        parted = x.reshape(prod(whole[: first + i]), of.lengths[i], prod(whole[first + i + 1 :]))
        x = _summed(parted, taps[i : i + 1]).reshape(whole)
    return x if of.passes else _summed(x, taps)


def _summed(x: Array, taps: tuple[Taps, ...]) -> Array:
    """All axes in one pass."""
    of, lead, channels, now = _map(taps), x.shape[: -1 - len(taps)], x.shape[-1], driver()
    y = now.xp.empty((*lead, *of.counts, channels), x.dtype)
    if not y.size:
        return y
    vector = vector_length(channels, x, y)
    threads: int | tuple[int, int] = _THREADS
    function, blocks = "resample", -(-y.size // (vector * _THREADS))
    if of.each > _AT_ONCE:
        packs = min(32, 1 << (channels // vector - 1).bit_length())
        function, threads = "resample_many", (packs, _SHARED_BY // packs)
        blocks = y.size // channels * -(-channels // (packs * vector))
    tables = _tables(_weighted_in_double if x.dtype.itemsize == 8 else _weighted, taps)
    types = f"{type_of(x.dtype)}, {vector}"
    _sums.launch(function, types, blocks, threads, x, y, *tables, prod(lead), *of.sizes, channels)
    return y
