"""Operations on the bits of integers, and on truth values."""

from ...autodiff.examples import boolean, example, integers
from ...autodiff.op import op
from ...backends import Array, Namespace

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
]  # fmt: skip

_BITS = [
    example(integers(3, 4, high=100), integers(4, high=100)),
    example(boolean(3), boolean(3)),
    example(integers(3, high=9), 5),
]
_SHIFTS = [example(integers(3, 4, high=100), integers(4, high=5)), example(integers(3, high=9), 2)]


@op(differentiable=False, examples=_BITS)
def bitwise_and(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The bits set in both."""
    return xp.bitwise_and(x1, x2)


@op(differentiable=False, examples=_BITS)
def bitwise_or(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The bits set in one or both."""
    return xp.bitwise_or(x1, x2)


@op(differentiable=False, examples=_BITS)
def bitwise_xor(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The bits set in exactly one."""
    return xp.bitwise_xor(x1, x2)


@op(differentiable=False, examples=[example(integers(3, 4, high=100)), example(boolean(3))])
def bitwise_invert(xp: Namespace, x: Array, /) -> Array:
    """The bits that are not set."""
    return xp.bitwise_invert(x)


@op(differentiable=False, examples=_SHIFTS)
def bitwise_left_shift(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The bits of x1 moved up by x2 places."""
    return xp.bitwise_left_shift(x1, x2)


@op(differentiable=False, examples=_SHIFTS)
def bitwise_right_shift(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The bits of x1 moved down by x2 places, its sign kept."""
    return xp.bitwise_right_shift(x1, x2)
