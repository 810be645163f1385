"""The standard's indexing functions, and their transposes: what reading takes apart, writing puts together."""

from operator import index
from typing import Any

from ..autodiff.examples import example, integers, normal, values
from ..autodiff.op import op
from ..autodiff.tensor import Tensor
from ..backends import Array, Namespace, backend_of, dtype_name, find_backend_of
from .manipulation import reshape

__all__ = ["embed", "getitem", "one_hot", "scatter_add", "take"]

_REPEATED = values([0, 2, 2, 1, 2], differentiable=False)


@op(
    examples=[
        example(normal(4, 5), key=(slice(1, 3), slice(None, None, -2))),
        example(normal(4, 5), key=(..., None, 2)),
        example(normal(4), key=-1),
    ]
)
def _slice(xp: Namespace, x: Array, /, *, key: Any) -> Array:
    return x[key]


@_slice.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, key: Any) -> Array:
    return embed(g, shape=x_shape, key=key)


@op(examples=[example(normal(2), shape=(4, 3), key=(slice(0, 4, 2), 1))])
def embed(xp: Namespace, x: Array, /, *, shape: tuple[int, ...], key: Any) -> Array:
    """An array of zeros of `shape` in which `[key]` is x: the transpose of reading `[key]`."""
    whole = xp.zeros(shape, dtype=x.dtype, device=x.device)
    places = tuple(k for k in key if k is not None) if isinstance(key, tuple) else key
    whole[places] = xp.reshape(x, whole[places].shape)  # writing knows no new axes
    return whole


@embed.vjp("x")
def _(xp: Namespace, g: Array, *, key: Any) -> Array:
    return _slice(g, key=key)


def getitem(x: Array, key: Any, /) -> Array:
    """`x[key]`: integers, slices, `...` and None, alone or in a tuple; or integers in an array, along the first axis.

    Raises TypeError for masks and for arrays among other keys, with what to call instead.
    """
    if isinstance(key, list):
        array = x.array if isinstance(x, Tensor) else x
        key = backend_of(array).asarray(key, device=backend_of(array).device_of(array))
    if isinstance(key, Tensor) or find_backend_of(key) is not None:
        _check_integers(key)
        if not key.shape:
            return getitem(x, int(key))
        rows = key if len(key.shape) == 1 else reshape(key, (-1,))
        return reshape(take(x, rows, axis=0), (*key.shape, *x.shape[1:]))
    whole = tuple(_plain_key(k) for k in (key if isinstance(key, tuple) else (key,)))
    if not any(k is ... for k in whole):
        whole = (*whole, ...)  # the standard wants the axes that are left out said
    return _slice(x, key=whole)


def _plain_key(k: Any) -> Any:
    if k is None or k is ... or isinstance(k, slice):
        return k
    if isinstance(k, Tensor) or find_backend_of(k) is not None:
        _check_integers(k)
    if hasattr(k, "__index__") and not isinstance(k, bool) and not getattr(k, "shape", ()):
        return index(k)
    raise TypeError(
        f"an index holds integers, slices, ... and None; got {type(k).__name__}. "
        "For several places along an axis: pb.take(x, indices, axis=...)"
    )


def _check_integers(indices: Any) -> None:
    if "int" not in dtype_name(indices.dtype):
        raise TypeError(
            f"an index is of integers, this one of {dtype_name(indices.dtype)}; a mask gives a shape that depends "
            "on the data: use pb.where(mask, x, 0) instead"
        )


@op(examples=[example(normal(4, 3), _REPEATED, axis=0), example(normal(2, 3), _REPEATED, axis=-1)])
def take(xp: Namespace, x: Array, indices: Array, /, *, axis: int = 0) -> Array:
    """The parts of an array at some places along an axis; places may repeat, and their gradients add up.

    indices: one axis of integers, negative ones counting from the end.
    """
    return xp.take(x, indices, axis=axis)


@take.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], indices: Array, *, axis: int) -> Array:
    return scatter_add(g, indices, size=x_shape[axis], axis=axis)


@op(examples=[example(normal(5, 2), _REPEATED, size=4), example(normal(2, 5), _REPEATED, size=3, axis=1)])
def scatter_add(xp: Namespace, updates: Array, indices: Array, /, *, size: int, axis: int = 0) -> Array:
    """Zeros of length `size` along an axis, to which each update is added at its index: the transpose of `take`.

    The standard has no such function. Sorted by index, the updates of one place stand together, and
    their sum is a difference of cumulative sums, taken in double precision.
    """
    indices = xp.where(indices < 0, indices + size, indices)
    order = xp.argsort(indices, stable=True)
    sorted_indices = xp.take(indices, order)
    places = xp.astype(xp.arange(size, device=indices.device), indices.dtype)
    wide = xp.complex128 if xp.isdtype(updates.dtype, "complex floating") else xp.float64
    running = xp.cumulative_sum(xp.take(updates, order, axis=axis), axis=axis, dtype=wide, include_initial=True)
    after = xp.take(running, xp.searchsorted(sorted_indices, places, side="right"), axis=axis)
    before = xp.take(running, xp.searchsorted(sorted_indices, places, side="left"), axis=axis)
    return xp.astype(after - before, updates.dtype)


@scatter_add.vjp("updates")
def _(xp: Namespace, g: Array, indices: Array, *, axis: int) -> Array:
    return take(g, indices, axis=axis)


@op(
    differentiable=False,
    examples=[example(integers(2, 3, high=4), classes=4), example(integers(low=-1, high=0), classes=2)],
)
def one_hot(xp: Namespace, indices: Array, /, *, classes: int) -> Array:
    """True at each index along a new last axis of length `classes`, False elsewhere; nowhere for an index outside."""
    places = xp.arange(classes, dtype=indices.dtype, device=indices.device)
    return xp.expand_dims(indices, axis=-1) == places
