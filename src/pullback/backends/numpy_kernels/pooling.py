"""Kernels of pooling and resampling."""

from math import prod
from typing import Any

from ..dtypes import is_half
from ..host import host as np
from ..memory import empty
from ..numba_kernels import is_float, is_worthwhile
from ..numba_kernels.compiling import in_parts
from ..numba_kernels.pooling import combine, greatest, greatest_of_few, put_back
from .table import kernel

_TOGETHER = 9
"""Up to how many taps a result's place is made of in one pass; of more, in a pass for each axis."""
_FEW = 16
"""Below how many channels the greatest is found for one after the other, and not for all of a pixel at once."""
_FIRST = np.zeros((1, 1), dtype=np.int64)
"""The places of taps along an axis of length 1."""


@kernel("max_pool")
def _(x: Any, *, taps: tuple[Any, ...]) -> Any:
    widths = [along.indices.shape[1] for along in taps]
    kind = np.uint8 if prod(widths) <= 256 else np.int32
    if len(taps) <= 3 and x.dtype.kind in "fiu" and x.dtype.isnative and x.dtype.itemsize > 2 and is_worthwhile(x.size):
        shape = _pooled(x.shape, taps)
        y, number = empty(shape, x.dtype), empty(shape, kind)
        lines = prod(shape[: x.ndim - len(taps)])
        in_parts(
            greatest if x.shape[-1] >= _FEW else greatest_of_few,
            lines,
            _rows(x),
            *_tables(taps),
            _rows(y),
            _rows(number),
        )
        return y, number
    numbers: Any = None
    weight = 1
    for axis, along in zip(range(x.ndim - 2, -1, -1), reversed(taps), strict=False):
        x, numbers = _greatest_along(x, numbers, axis, along, kind(weight), kind)
        weight *= along.indices.shape[1]
    return x, numbers


def _greatest_along(x: Any, numbers: Any, axis: int, along: Any, weight: Any, kind: Any) -> tuple[Any, Any]:
    """The greatest of the taps along one axis, and their numbers with those of the axes behind it."""
    best = _read(x, axis, along, 0)
    number = np.zeros(best.shape, kind) if numbers is None else _read(numbers, axis, along, 0)
    for tap in range(1, along.indices.shape[1]):
        found = _read(x, axis, along, tap)
        better = found > best
        if x.dtype.kind in "fV":
            better |= found != found
        best = np.maximum(best, found)
        shift = kind(tap) * weight
        number = np.where(better, shift if numbers is None else _read(numbers, axis, along, tap) + shift, number)
    return np.ascontiguousarray(best), np.ascontiguousarray(number)


@kernel("max_unpool")
def _(updates: Any, numbers: Any, *, taps: tuple[Any, ...]) -> Any:
    lead = updates.shape[: updates.ndim - 1 - len(taps)]
    x = empty((*lead, *(along.length for along in taps), updates.shape[-1]), updates.dtype)
    if len(taps) <= 3 and is_float(updates.dtype) and is_worthwhile(x.size):
        in_parts(put_back, prod(lead), _rows(updates), _rows(numbers), *_tables(taps), _rows(x))
        return x
    x.fill(0)
    widths = [along.indices.shape[1] for along in taps]
    for number, tap in enumerate(np.ndindex(*widths)):
        part = np.where(numbers == number, updates, updates.dtype.type(0))
        slices = [along.slices[k] for along, k in zip(taps, tap, strict=True)]
        if None not in slices:
            x[(..., *slices, slice(None))] += part
        else:
            columns = [along.indices[:, k] for along, k in zip(taps, tap, strict=True)]
            np.add.at(x, (..., *np.ix_(*columns), slice(None)), part)
    return x


@kernel("resample")
def _(x: Any, *, taps: tuple[Any, ...]) -> Any:
    if all(along.is_identity for along in taps):
        return x
    if is_half(x.dtype):
        return _resampled(x.astype(np.float32), taps).astype(x.dtype)
    return _resampled(x, taps)


def _resampled(x: Any, taps: tuple[Any, ...]) -> Any:
    fitting = len(taps) <= 3 and is_float(x.dtype) and is_worthwhile(max(x.size, prod(_pooled(x.shape, taps))))
    if fitting and prod(along.indices.shape[1] for along in taps) <= _TOGETHER:
        return _combined(x, taps)
    first = x.ndim - 1 - len(taps)
    # The axes that become shorter go first: there is less to do for the others.
    for i in sorted(range(len(taps)), key=lambda i: taps[i].count / max(taps[i].length, 1)):
        if not taps[i].is_identity:
            if fitting:
                whole = (*x.shape[: first + i], taps[i].count, *x.shape[first + i + 1 :])
                parted = x.reshape(prod(whole[: first + i]), taps[i].length, prod(whole[first + i + 1 :]))
                x = _combined(parted, taps[i : i + 1]).reshape(whole)
            else:
                x = _summed(x, first + i, taps[i])
    return x


def _combined(x: Any, taps: tuple[Any, ...]) -> Any:
    """All axes in one pass."""
    y = empty(_pooled(x.shape, taps), x.dtype)
    one = np.ones((1, 1), x.dtype)
    weights = [along.weights.astype(x.dtype) for along in taps] + [one] * (3 - len(taps))
    in_parts(combine, prod(y.shape[: x.ndim - len(taps)]), _rows(x), *_tables(taps), *weights, _rows(y))
    return y


def _summed(x: Any, axis: int, along: Any) -> Any:
    """The sum of the taps along one axis."""
    if along.is_selection:
        return x.take(along.indices[:, 0], axis)
    weights = along.weights.astype(x.dtype).reshape(*along.weights.shape, *[1] * (x.ndim - axis - 1))
    y = _read(x, axis, along, 0) * weights[:, 0]
    for tap in range(1, weights.shape[1]):
        y += _read(x, axis, along, tap) * weights[:, tap]
    return y


def _read(x: Any, axis: int, along: Any, tap: int) -> Any:
    """What one tap reads along an axis: a view, where the places rise in equal steps."""
    key = along.slices[tap]
    return x.take(along.indices[:, tap], axis) if key is None else x[(*[slice(None)] * axis, key)]


def _pooled(shape: tuple[int, ...], taps: tuple[Any, ...]) -> tuple[int, ...]:
    return *shape[: len(shape) - 1 - len(taps)], *(along.count for along in taps), shape[-1]


def _rows(x: Any) -> Any:
    """All pixels in a row each, as they lie in memory."""
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])


def _tables(taps: tuple[Any, ...]) -> tuple[Any, ...]:
    """Three lengths, and for each the places of taps. Axes of length 1 go behind: threads share the first."""
    rest = 3 - len(taps)
    return (*(along.length for along in taps), *[1] * rest), *(along.indices for along in taps), *[_FIRST] * rest
