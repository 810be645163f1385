"""The standard's indexing functions, and all that `x[key]` may be."""

from math import prod
from operator import index
from types import EllipsisType, NoneType
from typing import Any

from ..autodiff.examples import boolean, example, integers, normal, values
from ..autodiff.op import op
from ..autodiff.tensor import Tensor, array_of
from ..backends import KINDS, Array, Namespace, array_beside, dtype_name, find_backend_of
from .manipulation import (
    broadcast_arrays,
    broadcast_shapes,
    broadcast_to,
    counted_from_the_front,
    moveaxis,
    reshape,
)
from .scatter import embed, scatter_add, scatter_add_along_axis

__all__ = ["getitem", "one_hot", "take", "take_along_axis"]

ARRAY = "an array"
"""What stands in the key of a `gather` for each of its arrays."""

_PLAIN = frozenset((int, slice, NoneType, EllipsisType))
_REPEATED = values([0, 2, 2, 1, 2], differentiable=False)


@op(
    examples=[
        example(normal(4, 3), _REPEATED, axis=0),
        example(normal(2, 3), _REPEATED, axis=-1),
        example(normal(3, dtype="complex128"), _REPEATED),
    ]
)
def _take(xp: Namespace, x: Array, indices: Array, /, *, axis: int = 0) -> Array:
    return xp.take(x, indices, axis=axis)


@_take.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], indices: Array, *, axis: int) -> Array:
    return scatter_add(g, indices, size=x_shape[axis], axis=axis)


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """The parts of an array at some places along an axis; places may repeat, and their gradients add up.

    indices: one axis of integers, negative ones counting from the end.
    axis: may be left out for an array of one axis.
    """
    if axis is None:
        if len(x.shape) != 1:
            raise ValueError(f"take needs axis= for an array of {len(x.shape)} axes")
        axis = 0
    return _take(x, indices, axis=axis)


@op(
    examples=[
        example(normal(2, 3), values([[0, 2, 2, 0], [1, 1, -1, 0]], differentiable=False)),
        example(normal(3, 2), values([[0, 2]], differentiable=False), axis=0),
    ]
)
def _take_along_axis(xp: Namespace, x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    return xp.take_along_axis(x, indices, axis=axis)


@_take_along_axis.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], indices: Array, *, axis: int) -> Array:
    return scatter_add_along_axis(g, indices, size=x_shape[axis], axis=axis)


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """For each place along the other axes, the elements that its own indices name along `axis`.

    indices: integers, of as many axes as x, and broadcast against x along the others. The gradients of an element
        that is named more than once add up.
    """
    axis = counted_from_the_front(axis, len(x.shape))
    if x.shape[:axis] == indices.shape[:axis] and x.shape[axis + 1 :] == indices.shape[axis + 1 :]:
        return _take_along_axis(x, indices, axis=axis)
    length, count = x.shape[axis], indices.shape[axis]
    others = [(*array.shape[:axis], 1, *array.shape[axis + 1 :]) for array in (x, indices)]
    whole = broadcast_shapes(*others)
    if others[0] != whole:
        x = broadcast_to(x, (*whole[:axis], length, *whole[axis + 1 :]))
    if others[1] != whole:
        indices = broadcast_to(indices, (*whole[:axis], count, *whole[axis + 1 :]))
    return _take_along_axis(x, indices, axis=axis)


@op(
    examples=[
        example(normal(4, 5), key=(slice(1, 3), slice(None, None, -2))),
        example(normal(4, 5), key=(..., None, 2)),
        example(normal(4), key=(-1,)),
    ]
)
def _slice(xp: Namespace, x: Array, /, *, key: Any) -> Array:
    return x[key]


@_slice.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, key: Any) -> Array:
    return embed(g, shape=x_shape, key=key)


@op(examples=[example(normal(3, 4), boolean(3, 4)), example(normal(3, 2), values([True, False, True]))])
def _select(xp: Namespace, x: Array, mask: Array, /) -> Array:
    flat = xp.reshape(x, (prod(mask.shape), *x.shape[len(mask.shape) :])) if len(mask.shape) != 1 else x
    return xp.take(flat, xp.nonzero(xp.reshape(mask, (-1,)))[0], axis=0)


@_select.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], mask: Array) -> Array:
    flat = xp.nonzero(xp.reshape(mask, (-1,)))[0]
    return reshape(scatter_add(g, flat, size=prod(mask.shape), axis=0), x_shape)


_ROWS, _COLUMNS = values([[0, 2], [-1, 0]], differentiable=False), values([[1, 3], [3, 1]], differentiable=False)


@op(
    examples=[example(normal(3, 4), _ROWS, _COLUMNS), example(normal(3, 4, 2), _ROWS, _ROWS), example(normal(3), _ROWS)]
)
def _pick(xp: Namespace, x: Array, /, *indices: Array) -> Array:
    """x[indices], for arrays of integers of one shape along the first axes."""
    rest = x.shape[len(indices) :]
    rows = xp.reshape(x, (prod(x.shape[: len(indices)]), *rest))
    taken = xp.take(rows, xp.reshape(_joined(xp, indices, x.shape), (-1,)), axis=0)
    return xp.reshape(taken, (*indices[0].shape, *rest))


@_pick.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], indices: tuple[Array, ...]) -> Array:
    places = reshape(_joined(xp, indices, x_shape), (-1,))
    rest = x_shape[len(indices) :]
    rows = reshape(g, (places.shape[0], *rest))
    return reshape(scatter_add(rows, places, size=prod(x_shape[: len(indices)]), axis=0), x_shape)


def _joined(xp: Namespace, indices: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
    """The places along several axes as places along the one axis that they would be joined to."""
    joined: Any = 0
    for given, length in zip(indices, shape, strict=False):
        places = xp.astype(given, xp.int64, copy=False)  # a narrow type may not hold the places along the one axis
        joined = joined * length + xp.where(places < 0, places + length, places)
    return joined


def getitem(x: Array, key: Any, /) -> Array:
    """`x[key]`: integers, slices, `...` and None; a mask; arrays of integers; and, as in NumPy, these together.

    A mask picks the elements where it is true, in one row. Arrays of integers are broadcast together; where
    slices stand between them, their axes come first. Gradients of what is picked twice add up.
    Raises IndexError for what is no index.

    >>> import pullback as pb
    >>> x = pb.asarray([[1, 2, 3], [4, 5, 6]])
    >>> x[:, [0, 2]]
    Tensor([[1, 3],
            [4, 6]], dtype=int64)
    """
    keys = key if isinstance(key, tuple) else (key,)
    kinds = tuple(map(type, keys))
    if not _PLAIN.issuperset(kinds):
        keys = tuple([k if type(k) in _PLAIN else _read(x, k) for k in keys])
        arrays = [k for k in keys if type(k) not in _PLAIN]
        if arrays:
            return _gather(x, *arrays, key=tuple([k if type(k) in _PLAIN else ARRAY for k in keys]))
    if EllipsisType not in kinds:
        keys = (*keys, ...)  # the standard wants the axes that are left out said
    return _slice(x, key=keys)


def _read(x: Array, k: Any) -> Any:
    """One part of an index as a Python integer or an array of integers or truth values."""
    if isinstance(k, (list, bool)):
        k = array_beside(array_of(x), k, "int64" if k == [] else None)
    array = array_of(k)
    owner = find_backend_of(array)
    if owner is not None:
        kind = dtype_name(array.dtype)
        if kind in KINDS["integral"]:
            return k if array.shape or owner.level else index(k)  # of a batch: no one integer, but one for each
        if kind == "bool":
            return k
        raise IndexError(f"an index is of integers or truth values, this one of {kind}")
    if hasattr(k, "__index__"):
        return index(k)
    raise IndexError(f"an index holds integers, slices, ..., None and arrays of integers; got {type(k).__name__}")


def _masked(x: Array, mask: Array) -> Array:
    matched = zip(x.shape, mask.shape, strict=False)
    if len(mask.shape) > len(x.shape) or any(n not in (length, 0) for length, n in matched):
        raise IndexError(f"a mask of shape {tuple(mask.shape)} is no index of an array of shape {tuple(x.shape)}")
    if 0 in mask.shape:
        return reshape(x[(slice(0, 0), ...)], (0, *x.shape[len(mask.shape) :]))
    if not mask.shape:
        return _select(reshape(x, (1, *x.shape)), reshape(mask, (1,)))
    return _select(x, mask)


@op(
    examples=[
        example(normal(3, 4), _ROWS, key=(slice(None), ARRAY)),
        example(normal(3, 2, 4), _ROWS, _ROWS, key=(ARRAY, slice(None), ARRAY)),
        example(normal(3, 4), boolean(3, 4), key=(ARRAY,)),
        example(normal(3, 4, 2), values([True, False, True]), key=(ARRAY, None, -1)),
    ]
)
def _gather(xp: Namespace, x: Array, /, *arrays: Array, key: tuple[Any, ...]) -> Array:
    """An index with arrays among its keys: the plain keys first, then one `pick` along the arrays' axes, in front."""
    given = iter(arrays)
    keys = [next(given) if k is ARRAY else k for k in key]
    if len(keys) == 1 and x.shape:
        return _masked(x, keys[0]) if dtype_name(keys[0].dtype) == "bool" else _pick(x, keys[0])
    left_out = len(x.shape) - sum(map(_width, keys))
    if left_out < 0:
        raise IndexError(f"too many indices for an array of shape {tuple(x.shape)}")
    if sum(k is ... for k in keys) > 1:
        raise IndexError("an index has ... once, for all axes that it leaves out")
    plain: list[Any] = []
    picked: dict[int, Any] = {}  # by the axes that the plain keys leave
    stands = []  # where in the key arrays and integers stand: a ... for no axes parts them too
    axis = 0
    for i, k in enumerate(keys):
        if k is ...:
            plain += [slice(None)] * left_out
            axis += left_out
        elif k is None or isinstance(k, slice):
            plain.append(k)
            axis += _width(k)
        else:
            stands.append(i)
            for places in _places_of(k, tuple(x.shape[axis : axis + _width(k)])):
                picked[len(plain)] = places
                plain.append(slice(None) if _width(k) else None)
            axis += _width(k)
    if any(k is None or k != slice(None) for k in plain):
        x = _slice(x, key=(*plain, ...))
    advanced = tuple(picked)
    like = array_of(next(k for k in picked.values() if not isinstance(k, int)))
    indices = [array_beside(like, k, "int64") if isinstance(k, int) else k for k in picked.values()]
    try:
        indices = list(broadcast_arrays(*indices)) if len(indices) > 1 else indices
    except ValueError as error:
        raise IndexError(f"the arrays of an index go together: {error}") from None
    together = stands[-1] - stands[0] + 1 == len(stands)
    if together and not advanced[0]:
        return _pick(x, *indices)
    result = _pick(moveaxis(x, advanced, tuple(range(len(advanced)))), *indices)
    if not together:
        return result
    ndim = len(indices[0].shape)
    return moveaxis(result, tuple(range(ndim)), tuple(range(advanced[0], advanced[0] + ndim)))


def _width(k: Any) -> int:
    """How many axes one part of an index is for."""
    if k is None or k is ...:
        return 0
    return len(k.shape) if not isinstance(k, (int, slice)) and dtype_name(k.dtype) == "bool" else 1


def _places_of(k: Any, lengths: tuple[int, ...]) -> list[Any]:
    """The places that one part of an index names, along each of its axes; a single truth value has a new one."""
    if isinstance(k, int):
        if not -lengths[0] <= k < lengths[0]:
            raise IndexError(f"index {k} is outside an axis of length {lengths[0]}")
        return [k]
    if dtype_name(k.dtype) != "bool":
        return [k]
    if any(n not in (length, 0) for n, length in zip(k.shape, lengths, strict=True)):
        raise IndexError(f"a mask of shape {tuple(k.shape)} is no index along axes of the lengths {lengths}")
    return list(Tensor.namespace.nonzero(k if k.shape else reshape(k, (1,))))


@op(
    differentiable=False,
    examples=[example(integers(2, 3, high=4), classes=4), example(integers(low=-1, high=0), classes=2)],
)
def one_hot(xp: Namespace, indices: Array, /, *, classes: int) -> Array:
    """True at each index along a new last axis of length `classes`, False elsewhere; nowhere for an index outside."""
    places = xp.arange(classes, dtype=xp.int64, device=indices.device)  # a narrow type may not hold `classes`
    return xp.expand_dims(xp.astype(indices, xp.int64, copy=False), axis=-1) == places
