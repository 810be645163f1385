"""Rectifiers: x where it is positive, and less of it, or something else, where it is not."""

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal
from ...autodiff.op import op
from ...backends import Array, Namespace
from ..floating import floating_op

__all__ = ["leaky_relu", "prelu", "relu", "threshold"]

_KINKED = normal(3, 4, away_from_zero=0.1)


@op(examples=[example(_KINKED), example(normal(away_from_zero=0.1))])
def relu(xp: Namespace, x: Array, /) -> Array:
    """x where it is positive, else 0."""
    return xp.maximum(x, 0)


relu.vjp("x")(lambda xp, g, y: xp.where(y > 0, g, xp.zeros_like(g)))


@floating_op(examples=[example(_KINKED), example(_KINKED, negative_slope=0.3), example(normal(away_from_zero=0.1))])
def leaky_relu(xp: Namespace, x: Array, /, *, negative_slope: float = 0.01) -> Array:
    """x where it is positive, else `negative_slope` times x (Maas, Hannun and Ng, 2013)."""
    return xp.where(x > 0, x, x * negative_slope)


@leaky_relu.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, negative_slope: float) -> Array:
    return xp.where(x > 0, g, g * negative_slope)


@autocasts_to("low")
@floating_op(examples=[example(_KINKED, normal(1)), example(_KINKED, normal(4)), example(normal(2, 3, 4), normal())])
def prelu(xp: Namespace, x: Array, weight: Array, /) -> Array:
    """x where it is positive, else `weight` times x (He, Zhang, Ren and Sun, 2015).

    weight: one slope, of shape () or (1,), or (C,): one for each place along the last axis.
    """
    return xp.where(x > 0, x, x * weight)


prelu.vjp("x")(lambda xp, g, x, weight: xp.where(x > 0, g, g * weight))
prelu.vjp("weight")(lambda xp, g, x: g * xp.where(x < 0, x, xp.zeros_like(x)))


@floating_op(examples=[example(_KINKED, threshold=0.0, value=0.5), example(normal(), threshold=10.0, value=-2.0)])
def threshold(xp: Namespace, x: Array, /, *, threshold: float, value: float) -> Array:
    """x where it is above the threshold, else the value."""
    return xp.where(x <= threshold, xp.full_like(x, value), x)


@threshold.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, threshold: float) -> Array:
    return xp.where(x <= threshold, xp.zeros_like(g), g)
