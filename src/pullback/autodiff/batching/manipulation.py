"""The batch axis in functions that change shapes, and in those that make arrays like others."""

from collections.abc import Sequence
from math import prod
from typing import Any

from .array import Batched, below
from .rules import Kind, Rule, all_mapped, is_mapped, kept_unless_mapped, plain, rule, shift, spread


@rule("reshape")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, shape: Any, **options: Any) -> Any:
    whole = (shape,) if isinstance(shape, int) else tuple(shape)
    known = prod(n for n in whole if n != -1)
    found = x.size // known if known else 0
    return kind(f(x.value, (x.value.shape[0], *(found if n == -1 else n for n in whole)), **options))


@rule("broadcast_to")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, shape: Any) -> Any:
    return kind(f(spread(kind, x, len(shape)), (x.value.shape[0], *shape)))


@rule("expand_dims", "squeeze")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, /, axis: Any) -> Any:
    return kind(f(x.value, axis=shift(axis)))


@rule("permute_dims")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, axes: Any) -> Any:
    return kind(f(x.value, (0, *(a % x.ndim + 1 for a in axes))))


@rule("moveaxis")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, source: Any, destination: Any) -> Any:
    return kind(f(x.value, shift(source), shift(destination)))


@rule("tile")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x: Any, repetitions: Any) -> Any:
    counts = (1,) * (x.ndim - len(repetitions)) + tuple(repetitions)
    return kind(f(spread(kind, x, len(counts)), (1, *counts)))


@rule("concat", "stack")
def _(kind: Kind, f: Rule, arrays: Sequence[Any], *, axis: int | None = 0) -> Any:
    if not any(is_mapped(kind, x) for x in arrays):
        return kind(f([plain(kind, x) for x in arrays], axis=axis), False)
    values = all_mapped(kind, arrays)
    if axis is None:
        return kind(f([below.reshape(v, (v.shape[0], prod(v.shape[1:]))) for v in values], axis=1))
    return kind(f(values, axis=shift(axis)))


@rule("asarray")
def _(kind: Kind, f: Rule, x: Any, **options: Any) -> Any:
    return x if isinstance(x, Batched) else kind(kind.namespace.bottom.asarray(x, **options), False)


@rule("result_type")
def _(kind: Kind, f: Rule, *given: Any) -> Any:
    return kind.namespace.bottom.result_type(*(x.dtype if isinstance(x, Batched) else x for x in given))


@rule("empty_like", "full_like", "ones_like", "zeros_like")
def _(kind: Kind, f: Rule, x: Any, *fill: Any, dtype: Any = None, device: Any = None) -> Any:
    one = x.value[0, ...] if x.mapped else x.value
    return kind(f(one, *fill, dtype=dtype, device=device), False)
