"""Softmax along an axis, its logarithm, and softmin."""

from typing import Any

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal
from ...backends import Array, Namespace
from ..floating import check_floating, floating_op
from ..precision import in_float32

__all__ = ["log_softmax", "softmax", "softmin"]

_EXAMPLES = [
    example(normal(3, 4)),
    example(normal(2, 3, 4), axis=1),
    example(normal(3, 0)),
    example(normal(3, 4), dtype="float64"),
]


@autocasts_to("float32")
@floating_op(examples=_EXAMPLES)
def softmax(xp: Namespace, x: Array, /, *, axis: int = -1, dtype: Any = None) -> Array:
    """Positive values that sum to 1 along an axis, in the ratios of exp(x).

    dtype: what is computed in and given, a real floating one; by default that of x. The gradient is in that of x.
    """
    if 0 in x.shape:
        return xp.zeros_like(x)  # where the axis is empty, it has no greatest value
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


@softmax.vjp("x")
@in_float32
def _(xp: Namespace, g: Array, y: Array, x_dtype: Any, *, axis: int) -> Array:
    # The engine casts to x_dtype what this gives; kernels write it so.
    gy = g * y
    return gy - y * xp.sum(gy, axis=axis, keepdims=True)


@autocasts_to("float32")
@floating_op(examples=_EXAMPLES)
def log_softmax(xp: Namespace, x: Array, /, *, axis: int = -1, dtype: Any = None) -> Array:
    """The logarithm of softmax, which stays finite where softmax rounds to 0.

    dtype: as for `softmax`.
    """
    if 0 in x.shape:
        return xp.zeros_like(x)
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


@log_softmax.vjp("x")
@in_float32
def _(xp: Namespace, g: Array, y: Array, x_dtype: Any, *, axis: int) -> Array:
    return g - xp.exp(y) * xp.sum(g, axis=axis, keepdims=True)


def softmin(x: Array, /, *, axis: int = -1) -> Array:
    """softmax of -x: positive values that sum to 1 along an axis, the greatest where x is least."""
    check_floating("softmin", x)
    return softmax(-x, axis=axis)
