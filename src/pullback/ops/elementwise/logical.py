"""Logic of truth values."""

from ...autodiff.examples import boolean, example
from ...autodiff.op import op
from ...backends import Array, Namespace

__all__ = ["logical_and", "logical_not", "logical_or", "logical_xor"]

_TRUTH = [example(boolean(3, 4), boolean(4)), example(boolean(), boolean(2)), example(boolean(3), True)]


@op(differentiable=False, examples=_TRUTH)
def logical_and(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether both are true."""
    return xp.logical_and(x1, x2)


@op(differentiable=False, examples=_TRUTH)
def logical_or(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether one or both are true."""
    return xp.logical_or(x1, x2)


@op(differentiable=False, examples=_TRUTH)
def logical_xor(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether exactly one is true."""
    return xp.logical_xor(x1, x2)


@op(differentiable=False, examples=[example(boolean(3, 4))])
def logical_not(xp: Namespace, x: Array, /) -> Array:
    """Whether it is false."""
    return xp.logical_not(x)
