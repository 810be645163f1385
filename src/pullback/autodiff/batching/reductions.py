"""The batch axis in functions over axes, and along one."""

from typing import Any

from .array import below
from .rules import Kind, Rule, is_mapped, kept_unless_mapped, plain, rule, shift, wrap


def _all_axes(x: Any) -> tuple[int, ...]:
    """All axes of one of the batch."""
    return tuple(range(1, x.ndim + 1))


def _rows(x: Any) -> Any:
    """Each of the batch as one row."""
    return below.reshape(x.value, (x.value.shape[0], x.size))


@rule("all", "any", "count_nonzero", "max", "mean", "min", "prod", "std", "sum", "var", "linalg.vector_norm")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, *, axis: Any = None, **options: Any) -> Any:
    return kind(f(x.value, axis=_all_axes(x) if axis is None else shift(axis), **options))


@rule("argmax", "argmin")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is not None:
        return kind(f(x.value, axis=shift(axis), keepdims=keepdims))
    places = f(_rows(x), axis=1)
    return kind(below.reshape(places, (*places.shape, *[1] * x.ndim)) if keepdims else places)


@rule("cumulative_prod", "cumulative_sum")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, *, axis: int | None = None, **options: Any) -> Any:
    return kind(f(x.value, axis=1 if axis is None else shift(axis), **options))


@rule("argsort", "sort", "fft.fft", "fft.hfft", "fft.ifft", "fft.ihfft", "fft.irfft", "fft.rfft")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, *, axis: int = -1, **options: Any) -> Any:
    return kind(f(x.value, axis=shift(axis), **options))


@rule("unstack")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, *, axis: int = 0) -> Any:
    return wrap(kind, f(x.value, axis=shift(axis)))


@rule("fft.fftn", "fft.ifftn", "fft.irfftn", "fft.rfftn")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, *, s: Any = None, axes: Any = None, **options: Any) -> Any:
    own = tuple(range(-(x.ndim if s is None else len(s)), 0)) if axes is None else shift(axes)
    return kind(f(x.value, s=s, axes=own, **options))


@rule("fft.fftshift", "fft.ifftshift")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, *, axes: Any = None) -> Any:
    return kind(f(x.value, axes=_all_axes(x) if axes is None else shift(axes)))


@rule("flip")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, *, axis: Any = None) -> Any:
    return kind(f(x.value, axis=_all_axes(x) if axis is None else shift(axis)))


@rule("roll")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, places: Any, *, axis: Any = None) -> Any:
    if axis is None:
        return kind(below.reshape(f(_rows(x), places, axis=1), x.value.shape))
    return kind(f(x.value, places, axis=shift(axis)))


@rule("repeat")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, repeats: Any, *, axis: int | None = None) -> Any:
    if is_mapped(kind, repeats):
        raise TypeError("inside vmap, repeat takes the same repeats for all: shapes cannot differ in a batch")
    count = plain(kind, repeats)
    return kind(f(_rows(x), count, axis=1) if axis is None else f(x.value, count, axis=shift(axis)))
