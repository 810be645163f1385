"""Kernels of pooling and resampling.

Where taps are is constant: it is worked out on the host and copied to the device when a map is first used there.
"""

from collections.abc import Callable
from math import prod
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from ..backend import Array
from ..host import host
from .launch import FLOATING, Source, driver, type_of, vector_length
from .rows import ROW_TYPES, contiguous, is_floating
from .table import kernel

Taps: TypeAlias = Any
"""What `pullback.ops` calls by that name: a linear map along an axis."""

_FEW: Final = [f"{types}, unsigned char" for types in ROW_TYPES]
_MANY: Final = [f"{name}, 1, int" for name in FLOATING]
_greatest = Source("pooling", ("max_pool", "max_unpool"), [*_FEW, *_MANY])
_sums = Source("pooling", ("resample", "resample_many"), ROW_TYPES)

_THREADS: Final = 256
_SHARED_BY: Final = 512
"""How many threads share the taps of a place, where these are many."""
_AT_ONCE: Final = 64
"""Up to how many taps a thread goes through alone."""
_AGAIN: Final = 4
"""How often a place may be read for all axes to be summed in one pass."""
_LARGEST: Final = 2**31 - 1

_tables: "WeakKeyDictionary[Taps, dict[Any, tuple[Array, ...]]]" = WeakKeyDictionary()


def _on_device(along: Taps, what: str, make: Callable[[Taps], tuple[Any, ...]]) -> tuple[Array, ...]:
    """Tables of a map, where they were put when this stream first asked for them."""
    now = driver()
    known = _tables.setdefault(along, {})
    key = what, now, now.place()
    found = known.get(key)
    if found is None:
        found = known[key] = tuple(map(now.xp.asarray, make(along)))
    return found


def _places(along: Taps) -> tuple[Any, ...]:
    return (host.ascontiguousarray(along.indices, dtype=host.int32),)


def _readers(along: Taps) -> tuple[Any, ...]:
    """Where the pairs of each place begin, and those pairs: a place of the result, and its tap that reads here."""
    flat = along.indices.reshape(-1)
    order = host.argsort(flat, kind="stable")
    starts = host.searchsorted(flat[order], host.arange(along.length + 1))
    pairs = host.stack(host.divmod(order, along.indices.shape[1]), axis=1)
    return starts.astype(host.int32), host.ascontiguousarray(pairs, dtype=host.int32)


def _weights(along: Taps) -> tuple[Any, ...]:
    return (along.weights.astype(host.float32),)


def _double_weights(along: Taps) -> tuple[Any, ...]:
    return (along.weights,)


def _three(values: list[Any], rest: Any) -> list[Any]:
    """For three axes, those that an image lacks in front."""
    return [rest] * (3 - len(values)) + values


def _sizes(taps: tuple[Taps, ...]) -> list[int]:
    """The lengths of the input and of the result, and how many taps there are, along each axis."""
    lengths = [[along.length for along in taps], [along.count for along in taps], [_width(along) for along in taps]]
    return [n for axes in lengths for n in _three(axes, 1)]


def _width(along: Taps) -> int:
    width: int = along.indices.shape[1]
    return width


def _lead(x: Array, taps: tuple[Taps, ...]) -> tuple[int, ...]:
    return tuple(x.shape[: x.ndim - 1 - len(taps)])


def _fits(taps: tuple[Taps, ...]) -> bool:
    sizes = [[along.length for along in taps], [along.count for along in taps], [_width(along) for along in taps]]
    return 1 <= len(taps) <= 3 and all(prod(axes) <= _LARGEST for axes in sizes)


@kernel("max_pool", declines=True)
def _(x: Array, *, taps: tuple[Taps, ...]) -> Any:
    if not is_floating(x) or not _fits(taps):
        return NotImplemented
    few = prod(map(_width, taps)) <= 256
    lead, xp = _lead(x, taps), driver().xp
    shape = *lead, *(along.count for along in taps), x.shape[-1]
    y, numbers = xp.empty(shape, x.dtype), xp.empty(shape, xp.uint8 if few else xp.int32)
    if not y.size:
        return y, numbers
    x = contiguous(x)
    vector = vector_length(x.shape[-1], x, y, numbers) if few else 1
    places = [_on_device(along, "places", _places)[0] for along in taps]
    _greatest.launch(
        "max_pool", f"{type_of(x.dtype)}, {vector}, {'unsigned char' if few else 'int'}",
        -(-y.size // (vector * _THREADS)), _THREADS, x, y, numbers, *_three(places, None), prod(lead), *_sizes(taps),
        x.shape[-1],
    )  # fmt: skip
    return y, numbers


@kernel("max_unpool", declines=True)
def _(updates: Array, numbers: Array, *, taps: tuple[Taps, ...]) -> Any:
    kind = {"uint8": "unsigned char", "int32": "int"}.get(numbers.dtype.name)
    if kind is None or not is_floating(updates) or not _fits(taps):
        return NotImplemented
    lead = _lead(updates, taps)
    x = driver().xp.empty((*lead, *(along.length for along in taps), updates.shape[-1]), updates.dtype)
    if not x.size:
        return x
    updates, numbers = contiguous(updates), contiguous(numbers)
    vector = vector_length(x.shape[-1], updates, numbers, x) if kind != "int" else 1
    starts, pairs = zip(*(_on_device(along, "readers", _readers) for along in taps), strict=True)
    _greatest.launch(
        "max_unpool", f"{type_of(x.dtype)}, {vector}, {kind}", -(-x.size // (vector * _THREADS)), _THREADS, updates,
        numbers, x, *_three(list(starts), None), *_three(list(pairs), None), prod(lead), *_sizes(taps), x.shape[-1],
    )  # fmt: skip
    return x


@kernel("resample", declines=True)
def _(x: Array, *, taps: tuple[Taps, ...]) -> Any:
    if all(along.is_identity for along in taps):
        return x
    if not is_floating(x) or not _fits(taps):
        return NotImplemented
    x = contiguous(x)
    each = prod(map(_width, taps))
    again = each * prod(along.count for along in taps) / max(1, prod(along.length for along in taps))
    if each <= _AT_ONCE or again <= _AGAIN:
        return _summed(x, taps)
    first = x.ndim - 1 - len(taps)
    # The axes that become shorter go first: there is less to do for the others.
    for i in sorted(range(len(taps)), key=lambda i: taps[i].count / max(taps[i].length, 1)):
        if not taps[i].is_identity:
            whole = (*x.shape[: first + i], taps[i].count, *x.shape[first + i + 1 :])
            parted = x.reshape(prod(whole[: first + i]), taps[i].length, prod(whole[first + i + 1 :]))
            x = _summed(parted, taps[i : i + 1]).reshape(whole)
    return x


def _summed(x: Array, taps: tuple[Taps, ...]) -> Array:
    """All axes in one pass."""
    lead, channels, now = _lead(x, taps), x.shape[-1], driver()
    y = now.xp.empty((*lead, *(along.count for along in taps), channels), x.dtype)
    if not y.size:
        return y
    vector = vector_length(channels, x, y)
    double = x.dtype.itemsize == 8
    what, make = ("double weights", _double_weights) if double else ("weights", _weights)
    places = [_on_device(along, "places", _places)[0] for along in taps]
    weights = [None if along.is_selection else _on_device(along, what, make)[0] for along in taps]
    threads: int | tuple[int, int] = _THREADS
    function, blocks = "resample", -(-y.size // (vector * _THREADS))
    if prod(map(_width, taps)) > _AT_ONCE:
        packs = min(32, 1 << (channels // vector - 1).bit_length())
        function, threads = "resample_many", (packs, _SHARED_BY // packs)
        blocks = y.size // channels * -(-channels // (packs * vector))
    _sums.launch(
        function, f"{type_of(x.dtype)}, {vector}", blocks, threads, x, y, *_three(places, None),
        *_three(weights, None), prod(lead), *_sizes(taps), channels,
    )  # fmt: skip
    return y
