"""The batch axis in functions that read and search by index."""

from typing import Any

from .array import below
from .rules import Kind, Rule, all_mapped, is_mapped, kept_unless_mapped, ndim_of, one_by_one, plain, rule, shift


@rule("take")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, indices: Any, *, axis: int | None = None) -> Any:
    axis = 0 if axis is None else axis % ndim_of(x)
    if not is_mapped(kind, indices):
        return kind(f(x.value, plain(kind, indices), axis=axis + 1))
    count, length = indices.value.shape
    if not is_mapped(kind, x):
        value = plain(kind, x)
        flat = f(value, below.reshape(indices.value, (-1,)), axis=axis)
        parted = below.reshape(flat, (*value.shape[:axis], count, length, *value.shape[axis + 1 :]))
        return kind(below.moveaxis(parted, axis, 0))
    own = below.reshape(indices.value, (count, *[1] * axis, length, *[1] * (x.ndim - axis - 1)))
    return kind(below.take_along_axis(x.value, own, axis=axis + 1))


@rule("take_along_axis")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, indices: Any, *, axis: int = -1) -> Any:
    return kind(f(*all_mapped(kind, (x, indices)), axis=shift(axis)))


@rule("searchsorted")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x1: Any, x2: Any, *, sorter: Any = None, **options: Any) -> Any:
    if is_mapped(kind, x1) or is_mapped(kind, sorter):
        return one_by_one(kind, f, x1, x2, sorter=sorter, **options)
    return kind(f(plain(kind, x1), x2.value, sorter=plain(kind, sorter), **options))
