"""Padding: an array continued past its ends, by a constant or by its own values."""

from collections.abc import Sequence
from numbers import Number
from typing import Any, Literal, TypeAlias, get_args

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace, dtype_name, is_complex, is_floating
from .sizes import is_whole, shape_of

__all__ = ["pad"]

Pairs: TypeAlias = Sequence[tuple[int, int]]
"""For each axis how many elements are added before and after it."""
Mode: TypeAlias = Literal["constant", "reflect", "replicate", "circular"]


@op(
    examples=[
        example(normal(2, 3, 4), padding=((0, 0), (1, 2), (0, 1))),
        example(normal(3, 4), padding=((-1, 2), (1, -2)), value=0.5),
        example(normal(0, 3), padding=((0, 0), (1, 1))),
        example(normal(2, 2), padding=((2, -3), (-3, 4))),
        example(normal(3, dtype="complex128"), padding=((2, 0),)),
    ]
)
def _pad(xp: Namespace, x: Array, /, *, padding: Pairs, value: float = 0.0) -> Array:
    """A constant around the array; then what is less than none is cut off."""
    for axis, (before, after) in enumerate(padding):
        lead, rest = tuple(x.shape[:axis]), tuple(x.shape[axis + 1 :])
        shapes = [(*lead, count, *rest) for count in (max(before, 0), max(after, 0))]
        ends = [xp.full(shape, value, dtype=x.dtype, device=x.device) for shape in shapes]
        if before > 0 or after > 0:
            x = xp.concat([ends[0], x, ends[1]], axis=axis)
    if all(before >= 0 and after >= 0 for before, after in padding):
        return x
    pairs = zip(x.shape, padding, strict=True)
    return x[tuple(slice(max(-before, 0), n + min(after, 0)) for n, (before, after) in pairs)]


@_pad.vjp("x")
def _(xp: Namespace, g: Array, *, padding: Pairs) -> Array:
    return _pad(g, padding=tuple((-before, -after) for before, after in padding))


@op(
    examples=[
        example(normal(2, 4, 3), padding=((0, 0), (3, 1), (0, 2)), mode="reflect"),
        example(normal(2, 2, 3), padding=((0, 0), (3, 0), (1, 4)), mode="replicate"),
        example(normal(2, 4, 3), padding=((0, 0), (4, 1), (0, 3)), mode="circular"),
    ]
)
def _extend(xp: Namespace, x: Array, /, *, padding: Pairs, mode: Mode) -> Array:
    """The array continued by its own values: mirrored at its ends, by its ends repeated, or from the start again."""
    for axis, (before, after) in enumerate(padding):
        n = x.shape[axis]
        if mode == "reflect":
            ends = [xp.flip(_part(x, axis, *span), axis=axis) for span in ((1, before + 1), (n - 1 - after, n - 1))]
        elif mode == "circular":
            ends = [_part(x, axis, n - before, n), _part(x, axis, 0, after)]
        else:
            lead, rest = tuple(x.shape[:axis]), tuple(x.shape[axis + 1 :])
            ends = [
                xp.broadcast_to(_part(x, axis, *span), (*lead, count, *rest))
                for span, count in (((0, 1), before), ((n - 1, n), after))
            ]
        parts = [*ends[:1] * (before > 0), x, *ends[1:] * (after > 0)]
        x = xp.concat(parts, axis=axis) if len(parts) > 1 else x
    return x


def _part(x: Array, axis: int, start: int, stop: int) -> Array:
    return x[(*[slice(None)] * axis, slice(start, stop), ...)]


def pad(x: Array, padding: Pairs, /, *, mode: Mode = "constant", value: float = 0.0) -> Array:
    """The array continued past its ends.

    x: any shape. padding: a pair (before, after) for each axis, the first axis first, as in NumPy; a negative number
        cuts so many elements off.
    mode: `"constant"` adds `value`; `"reflect"` mirrors the array without repeating its end, `"replicate"` repeats the
        end, `"circular"` begins again at the other end.
    Returns x's dtype, each axis longer by its pair.
    Raises ValueError where padding does not fit x's axes, where "reflect" is asked for as many elements as there are or
    "circular" for more, and where more is cut off than there is; TypeError for a padding that is no whole numbers, and
    for a value that x's dtype does not hold.

    >>> import pullback as pb
    >>> pb.pad(pb.asarray([[1, 2, 3]]), ((0, 0), (2, 1)), mode="reflect")
    Tensor([[3, 2, 1, 2, 3, 2]], dtype=int64)
    """
    padding = _checked(shape_of("pad", x), padding, mode)
    if mode == "constant":
        _check_value(value, x.dtype)
        return _pad(x, padding=padding, value=value)
    added = tuple((max(before, 0), max(after, 0)) for before, after in padding)
    cut = tuple((min(before, 0), min(after, 0)) for before, after in padding)
    if added == padding:
        return _extend(x, padding=padding, mode=mode)
    if mode == "circular":  # what is cut off does not come round again
        return _extend(_pad(x, padding=cut), padding=added, mode=mode)
    return _pad(_extend(x, padding=added, mode=mode), padding=cut)


def _checked(shape: tuple[int, ...], padding: Any, mode: str) -> Pairs:
    """The padding as a tuple of pairs, if it fits."""
    if mode not in get_args(Mode):
        raise ValueError(f"pad knows the modes {', '.join(get_args(Mode))}; got {mode!r}")
    given = padding.tolist() if hasattr(padding, "tolist") else padding
    pairs: Any = None
    if isinstance(given, Sequence):
        pairs = tuple(tuple(pair) if isinstance(pair, (tuple, list)) else (pair,) for pair in given)
    if pairs is None or len(pairs) != len(shape) or any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            f"pad takes a pair (before, after) for each of the {len(shape)} axes of shape {shape}; got {padding!r}"
        )
    if not all(is_whole(n) for pair in pairs for n in pair):
        raise TypeError(f"pad takes pairs of whole numbers; got {padding!r}")
    for axis, (n, pair) in enumerate(zip(shape, pairs, strict=True)):
        left = n + min(pair[0], 0) + min(pair[1], 0)
        if left < 0 and (mode != "constant" or n + sum(pair) < 0):
            raise ValueError(f"pad cuts at most {n} off axis {axis} of shape {shape}; got {pair}")
        most = {"reflect": n - 1, "circular": left, "replicate": max(pair) if n else 0}.get(mode, max(pair))
        if max(pair) > most and max(pair) > 0:
            raise ValueError(
                f"pad(mode={mode!r}) adds at most {max(most, 0)} to axis {axis} of shape {shape}; got {pair}"
            )
    return tuple((int(before), int(after)) for before, after in pairs)


def _check_value(value: Any, dtype: Any) -> None:
    """Raises TypeError for a constant that would become another one in this dtype."""
    kept = isinstance(value, Number) and (is_complex(dtype) or not isinstance(value, complex))
    if not kept or not (is_floating(dtype) or float(value).is_integer()):
        raise TypeError(f"pad of {dtype_name(dtype)} takes a value that such an array holds; got {value!r}")
