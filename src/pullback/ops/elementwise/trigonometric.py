"""Trigonometric and hyperbolic functions, and their inverses. Angles are in radians."""

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal, uniform, values
from ...autodiff.op import op
from ...backends import Array, Namespace

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "sin", "sinh", "tan", "tanh",
]  # fmt: skip

_Z = "complex128"
_ANY = [example(normal(3, 4)), example(normal()), example(normal(0)), example(normal(3, dtype=_Z))]
_UNIT = [example(uniform(3, 4, low=-0.9, high=0.9)), example(uniform(0)), example(normal(3, dtype=_Z))]


@op(examples=_ANY)
def sin(xp: Namespace, x: Array, /) -> Array:
    """Sine."""
    return xp.sin(x)


sin.vjp("x")(lambda xp, g, x: g * xp.cos(x))


@op(examples=_ANY)
def cos(xp: Namespace, x: Array, /) -> Array:
    """Cosine."""
    return xp.cos(x)


cos.vjp("x")(lambda xp, g, x: -g * xp.sin(x))


@autocasts_to("float32")
@op(examples=[*_UNIT, example(uniform(low=-1, high=1))])
def tan(xp: Namespace, x: Array, /) -> Array:
    """Tangent."""
    return xp.tan(x)


tan.vjp("x")(lambda xp, g, y: g * (1 + y * y))


@autocasts_to("float32")
@op(examples=_UNIT)
def asin(xp: Namespace, x: Array, /) -> Array:
    """The angle whose sine is x, in [-pi/2, pi/2]."""
    return xp.asin(x)


asin.vjp("x")(lambda xp, g, x: g / xp.sqrt(1 - x * x))


@autocasts_to("float32")
@op(examples=_UNIT)
def acos(xp: Namespace, x: Array, /) -> Array:
    """The angle whose cosine is x, in [0, pi]."""
    return xp.acos(x)


acos.vjp("x")(lambda xp, g, x: -g / xp.sqrt(1 - x * x))


@op(examples=_ANY)
def atan(xp: Namespace, x: Array, /) -> Array:
    """The angle whose tangent is x, in [-pi/2, pi/2]."""
    return xp.atan(x)


atan.vjp("x")(lambda xp, g, x: g / (1 + x * x))


@op(examples=[example(normal(3, 4), normal(4)), example(normal(3), 0.5), example(2.0, normal(3))])
def atan2(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The angle of the point (x2, x1), in [-pi, pi]. Its derivatives at the origin are taken as 0."""
    return xp.atan2(x1, x2)


def _across(xp: Namespace, g: Array, other: Array, x1: Array, x2: Array) -> Array:
    squared = x1 * x1 + x2 * x2
    return g * (other / xp.where(squared == 0, xp.ones_like(squared), squared))


atan2.vjp("x1")(lambda xp, g, x1, x2: _across(xp, g, x2, x1, x2))
atan2.vjp("x2")(lambda xp, g, x1, x2: _across(xp, g, -x1, x1, x2))


@autocasts_to("float32")
@op(examples=_ANY)
def sinh(xp: Namespace, x: Array, /) -> Array:
    """Hyperbolic sine."""
    return xp.sinh(x)


sinh.vjp("x")(lambda xp, g, x: g * xp.cosh(x))


@autocasts_to("float32")
@op(examples=_ANY)
def cosh(xp: Namespace, x: Array, /) -> Array:
    """Hyperbolic cosine."""
    return xp.cosh(x)


cosh.vjp("x")(lambda xp, g, x: g * xp.sinh(x))


@op(examples=_ANY)
def tanh(xp: Namespace, x: Array, /) -> Array:
    """Hyperbolic tangent."""
    return xp.tanh(x)


tanh.vjp("x")(lambda xp, g, y: g * (1 - y * y))


@op(examples=_ANY)
def asinh(xp: Namespace, x: Array, /) -> Array:
    """The number whose hyperbolic sine is x."""
    return xp.asinh(x)


asinh.vjp("x")(lambda xp, g, x: g / xp.sqrt(1 + x * x))


@op(examples=[example(uniform(3, 4, low=1.5, high=3)), example(values(2.0)), example(normal(3, dtype=_Z))])
def acosh(xp: Namespace, x: Array, /) -> Array:
    """The number, not negative, whose hyperbolic cosine is x."""
    return xp.acosh(x)


acosh.vjp("x")(lambda xp, g, x: g / (xp.sqrt(x - 1) * xp.sqrt(x + 1)))


@op(examples=_UNIT)
def atanh(xp: Namespace, x: Array, /) -> Array:
    """The number whose hyperbolic tangent is x."""
    return xp.atanh(x)


atanh.vjp("x")(lambda xp, g, x: g / (1 - x * x))
