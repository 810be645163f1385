"""Comparisons, and what kind of number a number is."""

from ...autodiff.examples import example, integers, normal, values
from ...autodiff.op import op
from ...backends import Array, Namespace

__all__ = [
    "equal", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "not_equal",
]  # fmt: skip

_ORDERED = [
    example(normal(3, 4), normal(3, 4)),
    example(integers(2, 3, high=3), integers(3, high=3)),
    example(normal(3), 0.5),
]
_SPECIAL = [example(values([1.0, float("nan"), float("inf"), -float("inf")])), example(normal(0))]


@op(differentiable=False, examples=_SPECIAL)
def isfinite(xp: Namespace, x: Array, /) -> Array:
    """Whether each element is neither infinite nor NaN."""
    return xp.isfinite(x)


@op(differentiable=False, examples=_SPECIAL)
def isinf(xp: Namespace, x: Array, /) -> Array:
    """Whether each element is infinite."""
    return xp.isinf(x)


@op(differentiable=False, examples=_SPECIAL)
def isnan(xp: Namespace, x: Array, /) -> Array:
    """Whether each element is NaN."""
    return xp.isnan(x)


@op(differentiable=False, examples=_ORDERED)
def equal(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 == x2, element by element."""
    return xp.equal(x1, x2)


@op(differentiable=False, examples=_ORDERED)
def not_equal(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 != x2, element by element."""
    return xp.not_equal(x1, x2)


@op(differentiable=False, examples=_ORDERED)
def less(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 < x2, element by element."""
    return xp.less(x1, x2)


@op(differentiable=False, examples=_ORDERED)
def less_equal(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 <= x2, element by element."""
    return xp.less_equal(x1, x2)


@op(differentiable=False, examples=_ORDERED)
def greater(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 > x2, element by element."""
    return xp.greater(x1, x2)


@op(differentiable=False, examples=_ORDERED)
def greater_equal(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 >= x2, element by element."""
    return xp.greater_equal(x1, x2)
