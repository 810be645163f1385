"""Rounding. What it gives is constant between jumps, so no gradient flows."""

from ...autodiff.examples import example, normal, values
from ...autodiff.op import op
from ...backends import Array, Namespace

__all__ = ["ceil", "floor", "round", "trunc"]

_EXAMPLES = [example(normal(3, 4)), example(values([-1.5, -0.5, 0.5, 1.5]))]


@op(differentiable=False, examples=_EXAMPLES)
def floor(xp: Namespace, x: Array, /) -> Array:
    """The greatest whole number not above x."""
    return xp.floor(x)


@op(differentiable=False, examples=_EXAMPLES)
def ceil(xp: Namespace, x: Array, /) -> Array:
    """The least whole number not below x."""
    return xp.ceil(x)


@op(differentiable=False, examples=_EXAMPLES)
def trunc(xp: Namespace, x: Array, /) -> Array:
    """The nearest whole number towards 0."""
    return xp.trunc(x)


@op(differentiable=False, examples=_EXAMPLES)
def round(xp: Namespace, x: Array, /) -> Array:
    """The nearest whole number; halves go to the even one."""
    return xp.round(x)
