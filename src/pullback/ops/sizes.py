"""Sizes: whole numbers, one for all spatial axes or one for each, and the shapes that they are given for."""

from collections.abc import Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, overload

from ..backends import Array

__all__ = [
    "Lengths", "PerAxis", "axes_of", "each_axis", "is_whole", "lengths_of", "ratios", "shape_of", "spatial_shape",
    "whole",
]  # fmt: skip

Lengths: TypeAlias = tuple[int, ...]
"""One number for each spatial axis."""
PerAxis: TypeAlias = int | Sequence[int]
"""One number for all spatial axes, or one for each."""


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, of Python or of NumPy; a truth value is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole(value: Any, name: str, *, least: int | None = 1) -> int:
    """A whole number. Raises TypeError for anything else, ValueError for less than `least`."""
    if not is_whole(value) or (least is not None and value < least):
        bound = "" if least is None else f" of {least} or more"
        kind = ValueError if is_whole(value) else TypeError
        raise kind(f"{name} is a whole number{bound}; got {value!r}")
    return int(value)


@overload
def each_axis(
    value: Any, axes: int, name: str, *, least: int = 1, optional: Literal[False] = False
) -> tuple[int, ...]: ...
@overload
def each_axis(
    value: Any, axes: int, name: str, *, least: int = 1, optional: Literal[True]
) -> tuple[int | None, ...]: ...
def each_axis(value: Any, axes: int, name: str, *, least: int = 1, optional: bool = False) -> tuple[int | None, ...]:
    """A whole number for each of the spatial axes; None too, where it is optional.

    Raises ValueError where they are not as many or too small, TypeError for other than whole numbers.
    """
    given = _given(value, axes)
    if not all(is_whole(n) or (optional and n is None) for n in given):
        raise TypeError(f"{name} is a whole number, or one for each of the {axes} spatial axes; got {value!r}")
    if len(given) != axes or any(n is not None and n < least for n in given):
        raise ValueError(f"{name} is {least} or more for each of the {axes} spatial axes; got {value!r}")
    return tuple(None if n is None else int(n) for n in given)


def ratios(value: Any, axes: int, name: str) -> tuple[float, ...]:
    """A number above 0 for each of the spatial axes; raises as `each_axis` does."""
    given = _given(value, axes)
    if not all(isinstance(n, Real) and not isinstance(n, bool) for n in given):
        raise TypeError(f"{name} is a number, or one for each of the {axes} spatial axes; got {value!r}")
    if len(given) != axes or not all(isfinite(n) and n > 0 for n in given):
        raise ValueError(f"{name} is above 0, and finite, for each of the {axes} spatial axes; got {value!r}")
    return tuple(map(float, given))


def _given(value: Any, axes: int) -> tuple[Any, ...]:
    """What is given for each axis: the items of a sequence or an array, or one value for all."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,) * axes


def shape_of(what: str, x: Array) -> tuple[int, ...]:
    """The shape of an array. Raises TypeError for what is none."""
    shape = getattr(x, "shape", None)
    if shape is None:
        raise TypeError(f"{what} takes an array; got {type(x).__name__}. Make one with pb.tensor(...)")
    return tuple(shape)


def axes_of(what: str, x: Array, size: Any) -> int:
    """How many spatial axes there are: as many as sizes, and of one size for all, all but the first and the last."""
    shape, given = shape_of(what, x), _given(size, 0)
    axes = len(given) or len(shape) - 2
    if not 1 <= axes < len(shape):
        raise ValueError(f"{what} takes (N, *lengths, C), or (*lengths, C), and a size; got shape {shape}, size {size}")
    return axes


def spatial_shape(what: str, x: Array, axes: int, channels: int | None = None) -> tuple[int, ...]:
    """The shape of x, which is (N, *lengths, channels), or (*lengths, channels) of one sample.

    Raises TypeError for what is no array, ValueError for another number of axes or of channels.
    """
    shape = shape_of(what, x)
    if len(shape) not in (axes + 1, axes + 2) or channels not in (None, shape[-1]):
        lengths, last = ("*lengths", "L", "H, W", "D, H, W")[axes if axes < 4 else 0], channels or "C"
        raise ValueError(
            f"{what} takes (N, {lengths}, {last}), channels last, or ({lengths}, {last}) of one sample; got shape "
            f"{shape}. pb.moveaxis(x, 1, -1) moves channels"
        )
    return shape


def lengths_of(output_size: Any, axes: int, name: str = "output_size") -> Lengths:
    """The spatial lengths of a result; `output_size` is them, or its whole shape, or its shape without the batch."""
    given = _given(output_size, axes)
    if len(given) in (axes + 1, axes + 2):
        given = given[-1 - axes : -1]
    return each_axis(given, axes, name)
