"""Exponential units: x where it is positive, else an exponential that levels off."""

from ...autodiff.examples import example, normal
from ...backends import Array, Namespace
from ..floating import floating_op

__all__ = ["celu", "elu", "selu"]

_KINKED = normal(3, 4, away_from_zero=0.1)
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@floating_op(examples=[example(_KINKED), example(_KINKED, alpha=0.5), example(normal(away_from_zero=0.1))])
def elu(xp: Namespace, x: Array, /, *, alpha: float = 1.0) -> Array:
    """x where it is positive, else alpha * (exp(x) - 1) (Clevert, Unterthiner and Hochreiter, 2016)."""
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


@elu.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, alpha: float) -> Array:
    return xp.where(x > 0, g, g * alpha * xp.exp(_negative_side(xp, x)))


@floating_op(examples=[example(_KINKED), example(normal(away_from_zero=0.1))])
def selu(xp: Namespace, x: Array, /) -> Array:
    """elu with the alpha, and times the scale, that keep mean 0 and variance 1 (Klambauer et al., 2017)."""
    return xp.where(x > 0, x * _SELU_SCALE, (_SELU_SCALE * _SELU_ALPHA) * xp.expm1(xp.minimum(x, 0)))


@selu.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    return xp.where(x > 0, g * _SELU_SCALE, g * (_SELU_SCALE * _SELU_ALPHA) * xp.exp(_negative_side(xp, x)))


@floating_op(examples=[example(_KINKED), example(_KINKED, alpha=0.5), example(normal(away_from_zero=0.1), alpha=-2.0)])
def celu(xp: Namespace, x: Array, /, *, alpha: float = 1.0) -> Array:
    """x where it is positive, else alpha * (exp(x / alpha) - 1), whose slope at 0 is 1 (Barron, 2017)."""
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0) / alpha))


@celu.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, alpha: float) -> Array:
    return xp.where(x > 0, g, g * xp.exp(_negative_side(xp, x) / alpha))


def _negative_side(xp: Namespace, x: Array) -> Array:
    """x where it is negative or NaN, else 0, with no derivative at 0 itself."""
    return xp.where(x >= 0, xp.zeros_like(x), x)
