"""Exponentials and logarithms."""

from math import log as ln

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal, uniform, values
from ...autodiff.op import op
from ...backends import Array, Namespace

__all__ = ["exp", "expm1", "log", "log1p", "log2", "log10", "logaddexp"]

_Z = "complex128"
_ANY = [example(normal(3, 4)), example(normal()), example(normal(0)), example(normal(3, dtype=_Z))]
_POSITIVE = [
    example(uniform(3, 4, low=0.5, high=2)),
    example(uniform(low=0.5, high=2)),
    example(uniform(0)),
    example(normal(3, dtype=_Z)),
]


@autocasts_to("float32")
@op(examples=_ANY)
def exp(xp: Namespace, x: Array, /) -> Array:
    """e to the power x."""
    return xp.exp(x)


exp.vjp("x")(lambda xp, g, y: g * y)


@autocasts_to("float32")
@op(examples=_ANY)
def expm1(xp: Namespace, x: Array, /) -> Array:
    """e to the power x, less 1; accurate near 0."""
    return xp.expm1(x)


expm1.vjp("x")(lambda xp, g, y: g * (y + 1))


@autocasts_to("float32")
@op(examples=_POSITIVE)
def log(xp: Namespace, x: Array, /) -> Array:
    """Natural logarithm."""
    return xp.log(x)


log.vjp("x")(lambda xp, g, x: g / x)


@autocasts_to("float32")
@op(examples=[example(uniform(3, 4, low=-0.5, high=2)), *_POSITIVE])
def log1p(xp: Namespace, x: Array, /) -> Array:
    """Natural logarithm of 1 + x; accurate near 0."""
    return xp.log1p(x)


log1p.vjp("x")(lambda xp, g, x: g / (1 + x))


@autocasts_to("float32")
@op(examples=_POSITIVE)
def log2(xp: Namespace, x: Array, /) -> Array:
    """Logarithm to the base 2."""
    return xp.log2(x)


log2.vjp("x")(lambda xp, g, x: g / (x * ln(2)))


@autocasts_to("float32")
@op(examples=_POSITIVE)
def log10(xp: Namespace, x: Array, /) -> Array:
    """Logarithm to the base 10."""
    return xp.log10(x)


log10.vjp("x")(lambda xp, g, x: g / (x * ln(10)))


@op(examples=[example(normal(3, 4), normal(4)), example(normal(3), 0.5), example(values([800.0]), values([799.0]))])
def logaddexp(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """log(exp(x1) + exp(x2)), without overflow."""
    return xp.logaddexp(x1, x2)


def _share(xp: Namespace, g: Array, x: Array, y: Array) -> Array:
    infinite, zero = xp.isinf(y), xp.zeros_like(y)
    share = xp.exp(xp.where(infinite, zero, x) - xp.where(infinite, zero, y))
    return g * xp.where(infinite, xp.astype((x == y) & (y > 0), y.dtype), share)  # nothing goes to -inf of -inf


logaddexp.vjp("x1")(lambda xp, g, x1, y: _share(xp, g, x1, y))
logaddexp.vjp("x2")(lambda xp, g, x2, y: _share(xp, g, x2, y))
