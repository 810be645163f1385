"""The standard's set functions."""

from typing import NamedTuple

from ..autodiff.examples import example, integers, normal, values
from ..autodiff.op import op
from ..backends import Array, Namespace, array_beside
from .indexing import take
from .manipulation import reshape
from .scatter import scatter_add

__all__ = ["isin", "unique_all", "unique_counts", "unique_inverse", "unique_values"]


class UniqueAllResult(NamedTuple):
    """What `unique_all` gives."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCountsResult(NamedTuple):
    """What `unique_counts` gives."""

    values: Array
    counts: Array


class UniqueInverseResult(NamedTuple):
    """What `unique_inverse` gives."""

    values: Array
    inverse_indices: Array


@op(
    examples=[
        example(normal(2, 3)),
        example(values([2.0, 1.0, 2.0, 0.0], differentiable=False)),
        example(integers(5, high=3)),
    ]
)
def _unique_all(xp: Namespace, x: Array, /) -> tuple[Array, ...]:
    return tuple(xp.unique_all(x))


@_unique_all.vjp("x")
def _(xp: Namespace, g: tuple[Array, ...], x_shape: tuple[int, ...], y: tuple[Array, ...]) -> Array:
    _, _, inverse, counts = y
    share = g[0] / xp.astype(counts, g[0].dtype)
    return reshape(take(share, reshape(inverse, (-1,)), axis=0), x_shape)


def unique_all(x: Array, /) -> UniqueAllResult:
    """The distinct values, where each is met first, which one each element is, and how often each is met.

    The elements that share a value share its gradient.
    """
    return UniqueAllResult(*_unique_all(x))


def unique_counts(x: Array, /) -> UniqueCountsResult:
    """The distinct values, and how often each is met."""
    found = unique_all(x)
    return UniqueCountsResult(found.values, found.counts)


def unique_inverse(x: Array, /) -> UniqueInverseResult:
    """The distinct values, and which of them each element is."""
    found = unique_all(x)
    return UniqueInverseResult(found.values, found.inverse_indices)


@op(examples=[example(normal(2, 3)), example(values([2.0, 1.0, 2.0, 0.0], differentiable=False))])
def unique_values(xp: Namespace, x: Array, /) -> Array:
    """The distinct values, in the order that the array library gives them; see `unique_all` for their gradients."""
    return xp.unique_values(x)


@unique_values.vjp("x")
def _(xp: Namespace, g: Array, x: Array, y: Array) -> Array:
    order = xp.argsort(y)
    ranks = xp.searchsorted(xp.take(y, order, axis=0), xp.reshape(x, (-1,)))
    inverse = xp.take(order, ranks, axis=0)
    counts = scatter_add(xp.ones_like(xp.reshape(x, (-1,))), inverse, size=y.shape[0])
    return reshape(take(g / xp.astype(counts, g.dtype), inverse, axis=0), x.shape)


@op(
    differentiable=False,
    examples=[
        example(integers(3, 4, high=5), integers(2, high=5)),
        example(integers(4, high=5), 2, invert=True),
        example(1, integers(3, high=3)),
    ],
)
def isin(xp: Namespace, x1: Array, x2: Array, /, *, invert: bool = False) -> Array:
    """Whether each element of x1 is among those of x2; with `invert`, whether it is not."""
    if not hasattr(x1, "shape"):
        x1 = array_beside(x2, x1, x2.dtype)
    if not hasattr(x2, "shape"):
        x2 = array_beside(x1, x2, x1.dtype)
    kind = xp.uint8 if xp.isdtype(x1.dtype, "bool") else xp.result_type(x1, x2)
    sought, among = xp.astype(x1, kind), xp.sort(xp.astype(xp.reshape(x2, (-1,)), kind))
    count = among.shape[0]
    if not count:
        found = xp.zeros_like(x1, dtype=xp.bool)
    else:
        place = xp.searchsorted(among, xp.reshape(sought, (-1,)))
        nearest = xp.take(among, xp.clip(place, 0, count - 1))
        found = xp.reshape(nearest, sought.shape) == sought
    return xp.logical_not(found) if invert else found
