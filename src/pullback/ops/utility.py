"""The standard's utility functions."""

from typing import Any

from ..autodiff.batching.array import Batched
from ..autodiff.examples import boolean, example
from ..autodiff.op import op
from ..autodiff.tensor import Tensor
from ..backends import Array, Namespace, backend_of
from .manipulation import concat, counted_from_the_front
from .statistical import Axis

__all__ = ["all", "any", "anywhere", "diff"]


@op(differentiable=False, examples=[example(boolean(3, 4)), example(boolean(3, 4), axis=1, keepdims=True)])
def all(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every element over the axes is true."""
    return xp.all(x, axis=axis, keepdims=keepdims)


@op(differentiable=False, examples=[example(boolean(3, 4)), example(boolean(3, 4), axis=1, keepdims=True)])
def any(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether an element over the axes is true."""
    return xp.any(x, axis=axis, keepdims=keepdims)


@op(differentiable=False, examples=[example(boolean(3, 4)), example(boolean())])
def anywhere(xp: Namespace, x: Array, /) -> Array:
    """Whether any element is true, for a check of values: inside `vmap`, an element of any of the batch."""
    return xp.any(x)


def readable(x: Array, /) -> bool:
    """Whether the values of an array can be checked at no cost: they lie in the host's memory.

    On a device a look at them would wait for all that is queued there, in every step.
    """
    while isinstance(x, (Tensor, Batched)):
        x = x.array if isinstance(x, Tensor) else x.value
    return backend_of(x).in_host_memory(x)


def somewhere(x: Array, /) -> bool:
    """What `anywhere` gives, read."""
    return bool(read(anywhere(x)))


def read(x: Array, /) -> Any:
    """An array of one element for Python to make a number of, from the device if it lies on one."""
    return x if isinstance(x, Tensor) else backend_of(x).read(x)


def diff(
    x: Array, /, *, axis: int = -1, n: int = 1, prepend: Array | None = None, append: Array | None = None
) -> Array:
    """The differences of neighbours along an axis, taken n times.

    prepend, append: what is joined to x at its ends first, of x's shape but along the axis.

    >>> import pullback as pb
    >>> diff(pb.asarray([1, 4, 9, 16]))
    Tensor([3, 5, 7], dtype=int64)
    """
    joined = [part for part in (prepend, x, append) if part is not None]
    if len(joined) > 1:
        x = concat(joined, axis=axis)
    axis = counted_from_the_front(axis, len(x.shape))
    for _ in range(n):
        x = x[(*[slice(None)] * axis, slice(1, None), ...)] - x[(*[slice(None)] * axis, slice(None, -1), ...)]
    return x
