"""The batch axis in ops of the package whose own lines write to arrays, or make many calls where one would do."""

from typing import Any

from ...backends import backend_of
from .array import below
from .rules import Kind, all_mapped, is_mapped, ndim_of, op_rule, plain, shift


@op_rule("anywhere")
def _(kind: Kind, x: Any) -> Any:
    return below.anywhere(x.value)  # a check of values is of all of the batch


@op_rule("embed")
def _(kind: Kind, x: Any, *, shape: tuple[int, ...], key: Any) -> Any:
    whole = key if isinstance(key, tuple) else (key,)
    if not x.mapped:
        return kind(below.embed(x.value, shape=shape, key=whole), False)
    return kind(below.embed(x.value, shape=(x.value.shape[0], *shape), key=(slice(None), *whole)))


@op_rule("linear")
def _(kind: Kind, x: Any, weight: Any, bias: Any = None) -> Any:
    if is_mapped(kind, x) and not is_mapped(kind, weight) and not is_mapped(kind, bias):
        return kind(below.linear(x.value, plain(kind, weight), plain(kind, bias)))
    xp = kind.namespace
    y = below.matmul(x, xp.matrix_transpose(weight))
    return y if bias is None else xp.add(y, bias)


@op_rule("random_bits")
def _(kind: Kind, like: Any, **options: Any) -> Any:
    raise TypeError("inside vmap random numbers would be the same for all; draw them outside and pass them in")


@op_rule("scatter_add")
def _(kind: Kind, updates: Any, indices: Any, *, size: int, axis: int = 0) -> Any:
    axis = axis % ndim_of(updates)
    if not is_mapped(kind, indices):
        mapped = is_mapped(kind, updates)
        values = plain(kind, updates), plain(kind, indices)
        return kind(below.scatter_add(*values, size=size, axis=axis + mapped), mapped)
    updates, places = all_mapped(kind, (updates, indices))
    ndim = len(updates.shape)
    places = below.reshape(places, (places.shape[0], *[1] * axis, places.shape[1], *[1] * (ndim - axis - 2)))
    places = below.broadcast_to(places, updates.shape)
    return kind(below.scatter_add_along_axis(updates, places, size=size, axis=axis + 1))


@op_rule("scatter_add_along_axis")
def _(kind: Kind, updates: Any, indices: Any, *, size: int, axis: int = -1) -> Any:
    if not (is_mapped(kind, updates) or is_mapped(kind, indices)):
        values = plain(kind, updates), plain(kind, indices)
        return kind(below.scatter_add_along_axis(*values, size=size, axis=axis), False)
    return kind(below.scatter_add_along_axis(*all_mapped(kind, (updates, indices)), size=size, axis=shift(axis)))


@op_rule("to_device")
def _(kind: Kind, x: Any, device: Any, *, backend: str | None = None) -> Any:
    if backend not in (None, backend_of(x).name):
        raise TypeError("inside vmap nothing is moved to another backend; move it before")
    return kind(below.to_device(x.value, device), x.mapped)
