"""Softmax along an axis, its logarithm, and softmin."""

from ...autodiff.examples import example, normal
from ...autodiff.op import op
from ...backends import Array, Namespace

__all__ = ["log_softmax", "softmax", "softmin"]


@op(examples=[example(normal(3, 4)), example(normal(2, 3, 4), axis=1)])
def softmax(xp: Namespace, x: Array, /, *, axis: int = -1) -> Array:
    """Positive values that sum to 1 along an axis, in the ratios of exp(x)."""
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


@softmax.vjp("x")
def _(xp: Namespace, g: Array, y: Array, *, axis: int) -> Array:
    gy = g * y
    return gy - y * xp.sum(gy, axis=axis, keepdims=True)


@op(examples=[example(normal(3, 4)), example(normal(2, 3, 4), axis=1)])
def log_softmax(xp: Namespace, x: Array, /, *, axis: int = -1) -> Array:
    """The logarithm of softmax, which stays finite where softmax rounds to 0."""
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


@log_softmax.vjp("x")
def _(xp: Namespace, g: Array, y: Array, *, axis: int) -> Array:
    return g - xp.exp(y) * xp.sum(g, axis=axis, keepdims=True)


def softmin(x: Array, /, *, axis: int = -1) -> Array:
    """softmax of -x: positive values that sum to 1 along an axis, the greatest where x is least."""
    return softmax(-x, axis=axis)
