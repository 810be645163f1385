"""Bessel functions: sinc, which is the spherical one of order 0, and the modified ones, scaled.

Divided by its argument to the power of its order, a Bessel function's derivative is the next one's, times the argument.
So each family is closed under differentiation and has no singularity at 0.
"""

from functools import cache
from math import factorial, pi, prod

from ...autodiff.examples import example, normal, values
from ...autodiff.op import op
from ...backends import Array, Namespace
from ..precision import in_float32
from .polynomials import polynomial

__all__ = ["i0e", "i1e", "sinc"]

# Minimax fits in 70 digits, to 6e-17 relative, for x >= 12: sqrt(x) * exp(-x) * I_0(x) in 24 / x - 1, and so for I_1.
_I0E = (
    -1.0020245458710129e-13, -2.2128772230994267e-12, -3.561274109021698e-12, 4.637933940295231e-12,
    1.6230093130056907e-11, 2.207770119825542e-11, 4.5303549587903603e-11, 1.5468939401432825e-10,
    6.489048165726964e-10, 3.4438171868533205e-09, 2.3688292369724783e-08, 2.1716045598339173e-07,
    2.7977070299193745e-06, 5.598482533583932e-05, 0.0021821681721166885, 0.4010710650668474,
)  # fmt: skip
_I1E = (
    1.3225490736724587e-13, 2.342286585213579e-12, 3.5964403898396406e-12, -5.084270291714274e-12,
    -1.7086788996961294e-11, -2.3406405948102807e-11, -4.923124635780943e-11, -1.706023121372848e-10,
    -7.290692277912768e-10, -3.967938885799226e-09, -2.825355200514846e-08, -2.7268450064739045e-07,
    -3.827951366698368e-06, -9.124755355294915e-05, -0.0064054536034821, 0.39262449420411655,
)  # fmt: skip


@op(examples=[example(normal(3, 4)), example(normal()), example(normal(0, 2)), example(values([-3.0, 0.0, 1.5, 20.3]))])
@in_float32
def sinc(xp: Namespace, x: Array, /) -> Array:
    """sin(pi * x) / (pi * x), and 1 at 0: NumPy's and PyTorch's normalised sinc. Zero at the other whole numbers.

    x: real floating, any shape; the result is of its shape and dtype.
    It is the spherical Bessel function j_0(pi * x) (DLMF 10.49.3); its derivatives, of every order, are exact at 0.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> round(special.sinc(pb.tensor(0.5)).item(), 4)  # 2 / pi
    0.6366
    """
    angle, sign = _half_turns(xp, x)
    return xp.where(x == 0, xp.ones_like(x), sign * xp.sin(angle) / (pi * xp.where(x == 0, xp.ones_like(x), x)))


@sinc.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    return g * (-pi * pi) * x * _spherical_bessel(x, n=1)


@op(
    examples=[
        example(normal(3, 4), n=1),
        example(normal(), n=2),
        example(values([-20.3, -2.0, 0.0, 0.5, 1.0, 1.5]), n=1),
        example(values([-20.3, -2.0, 0.0, 0.5, 1.0, 1.5]), n=3),
    ]
)
@in_float32
def _spherical_bessel(xp: Namespace, x: Array, /, *, n: int) -> Array:
    """j_n(z) / z**n, where z = pi * x: a power series near 0 (DLMF 10.53.1), upward recurrence beyond (10.51.1)."""
    edge = 4.0 * n + 6  # of z squared: beyond, the series' terms would outgrow its sum
    z2 = xp.square(pi * x)
    near = polynomial(_spherical_series(n), xp.minimum(z2, edge))
    beyond = z2 > edge
    outside = xp.where(beyond, x, xp.ones_like(x))
    angle, sign = _half_turns(xp, outside)
    before, last = sign * xp.cos(angle), sign * xp.sin(angle) / (pi * outside)
    for k in range(n):
        before, last = last, ((2 * k + 1) * last - before) / xp.maximum(z2, edge)
    return xp.where(beyond, last, near)


@_spherical_bessel.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, n: int) -> Array:
    return g * (-pi * pi) * x * _spherical_bessel(x, n=n + 1)


def _half_turns(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """pi * x less the nearest multiple of pi, exact also where x is large; and the sign that this gives sin and cos."""
    whole = xp.round(x)
    half = 0.5 * whole
    return pi * (x - whole), 1 - 4 * (half - xp.floor(half))


@cache
def _spherical_series(n: int) -> tuple[float, ...]:
    """Of j_n(z) / z**n in z squared."""
    return tuple((-0.5) ** k / (factorial(k) * prod(range(1, 2 * n + 2 * k + 2, 2))) for k in range(20))[::-1]


_AROUND_ZERO = [example(normal(3, 4, away_from_zero=0.1)), example(normal(away_from_zero=0.1)), example(normal(0, 2))]
_FAR_OUT = values([-40.0, -12.1, -11.9, -3.0, 0.5, 11.9, 12.1, 40.0])


@op(examples=[*_AROUND_ZERO, example(_FAR_OUT)])
@in_float32
def i0e(xp: Namespace, x: Array, /) -> Array:
    """The modified Bessel function I_0 times exp(-abs(x)) (DLMF 10.25.2). At 0 it has a kink; its slope there is 0.

    x: real floating, any shape; the result is of its shape and dtype.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> round(special.i0e(pb.tensor(1.0)).item(), 4)
    0.4658
    """
    size = xp.abs(x)
    return xp.where(size <= _EDGE, _near(xp, size, 0), _far(xp, size, 0))


@i0e.vjp("x")
def _(xp: Namespace, g: Array, x: Array, y: Array) -> Array:
    return g * (i1e(x) - xp.sign(x) * y)


@op(examples=[*_AROUND_ZERO, example(_FAR_OUT)])
@in_float32
def i1e(xp: Namespace, x: Array, /) -> Array:
    """The modified Bessel function I_1 times exp(-abs(x)) (DLMF 10.25.2). Its slope at 0 is 1/2.

    x: real floating, any shape; the result is of its shape and dtype.
    At 0 its second derivative jumps from 1 to -1; it is taken as 0 there.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> round(special.i1e(pb.tensor(1.0)).item(), 4)
    0.2079
    """
    size = xp.abs(x)
    return xp.where(size <= _EDGE, x * _near(xp, size, 1), xp.sign(x) * _far(xp, size, 1))


@i1e.vjp("x")
def _(xp: Namespace, g: Array, x: Array, y: Array) -> Array:
    return g * (i0e(x) - xp.sign(x) * y - _modified_bessel(x, n=1))


@op(
    examples=[
        example(normal(3, 4, away_from_zero=0.1), n=1),
        example(normal(away_from_zero=0.1), n=2),
        example(_FAR_OUT, n=1),
        example(_FAR_OUT, n=3),
    ]
)
@in_float32
def _modified_bessel(xp: Namespace, x: Array, /, *, n: int) -> Array:
    """I_n(x) * exp(-abs(x)) / x**n, for n >= 1."""
    size = xp.abs(x)
    far = _far(xp, size, n) * xp.pow(1 / xp.maximum(size, _EDGE), float(n))
    return xp.where(size <= _EDGE, _near(xp, size, n), far)


@_modified_bessel.vjp("x")
def _(xp: Namespace, g: Array, x: Array, y: Array, *, n: int) -> Array:
    return g * (x * _modified_bessel(x, n=n + 1) - xp.sign(x) * y)


_EDGE = 12.0


def _near(xp: Namespace, size: Array, n: int) -> Array:
    """I_n(size) * exp(-size) / size**n up to the edge, by the power series: all of its terms are positive."""
    size = xp.minimum(size, _EDGE)
    return xp.exp(-size) * polynomial(_modified_series(n), size * size)


def _far(xp: Namespace, size: Array, n: int) -> Array:
    """I_n(size) * exp(-size) from the edge on: fits of the first two orders, upward recurrence (DLMF 10.29.1)."""
    size = xp.maximum(size, _EDGE)
    before, last = (polynomial(fit, 24 / size - 1) / xp.sqrt(size) for fit in (_I0E, _I1E))
    for k in range(1, n):
        before, last = last, before - 2 * k / size * last
    return last if n else before


@cache
def _modified_series(n: int) -> tuple[float, ...]:
    """Of I_n(x) / x**n in x squared (DLMF 10.25.2)."""
    return tuple(0.25**k * 0.5**n / (factorial(k) * factorial(k + n)) for k in range(28))[::-1]
