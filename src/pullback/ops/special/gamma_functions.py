"""The logarithm of the gamma function and its derivatives of every order."""

from functools import cache
from math import factorial, inf, log, nan, pi

from ...autodiff.examples import example, uniform, values
from ...autodiff.op import op
from ...backends import Array, Namespace
from ..precision import in_float32
from .polynomials import BERNOULLI, polynomial, quotient

__all__ = ["digamma", "lgamma", "polygamma"]

# Minimax fits in 70 digits, for 1 <= x <= 8; the errors are relative, all coefficients positive.
# To 4e-17: lgamma(x) / ((x - 1) * (x - 2)).
_LGAMMA_ABOVE = (
    2.0895854220152753e-07, 0.000321965218330625, 0.02667971642630272, 0.6043524036224086, 5.102676215641785,
    17.950375662792144, 26.841022011086828, 16.151679244685965, 3.3567274919258345, 0.15345215937912324,
)  # fmt: skip
_LGAMMA_BELOW = (
    6.685230640092896e-05, 0.008445337294911228, 0.27385080480139223, 3.311129180807328, 17.171740975595615,
    40.026274069777784, 41.21445060449409, 17.163558525878702, 2.364280055362732, 0.0625,
)  # fmt: skip
# To 2e-17: digamma(x) / (x - x0), where x0 is digamma's positive zero: the sum of a float32 and a small number.
_ZERO = (1.4616321325302124, 1.2438149938918909e-08)
_DIGAMMA_ABOVE = (
    3.9001829405721744e-05, 0.07911385354069925, 7.951150740580147, 228.2929017331389, 2599.833948012659,
    13284.520264573293, 31125.025246104666, 30672.53353686479, 9093.677510512092,
)  # fmt: skip
_DIGAMMA_BELOW = (
    0.013412854757299916, 1.876226993647386, 69.93145130593884, 1016.4774047981202, 6657.9192074835355,
    20484.376222274306, 28066.164361167586, 13291.6100412501, 0.0001220703125,
)  # fmt: skip

# For x >= 8, in 1 / x**2: the series of DLMF 5.11.1 less its leading terms, times x; and that of 5.11.2.
_STIRLING = tuple(b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI, 1))[::-1]
_STIRLING_SLOPE = tuple(b / (2 * k) for k, b in enumerate(BERNOULLI, 1))[::-1]

_EXAMPLES = [
    example(uniform(3, 4, low=0.5, high=12)),
    example(uniform(low=0.5, high=2)),
    example(uniform(0, 2)),
    example(values([-9.6, -2.4, -0.5, 0.4, 1.0, 1.4616, 2.0, 7.9, 8.1, 30.0])),
]


def _past_the_nearest_pole(xp: Namespace, size: Array) -> Array:
    """A size less the nearest whole number."""
    size = xp.minimum(size, 2.0**60)  # whole, as all that are larger, and infinity less itself is no number
    return size - xp.round(size)


@op(examples=_EXAMPLES)
@in_float32
def lgamma(xp: Namespace, x: Array, /) -> Array:
    """The logarithm of the gamma function's absolute value (DLMF 5.2.1); infinite at 0, -1, -2, ...

    x: real floating, any shape; the result is of its shape and dtype.
    Below 1 by DLMF 5.5.1 and 5.5.3, above 8 by Stirling's series 5.11.1.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> round(pb.exp(special.lgamma(pb.tensor(5.0))).item(), 3)  # 4!
    24.0
    """
    size = xp.abs(x)
    low = x < 1  # there from 1 + |x|, which is at least 1
    near, small = xp.clip(x, 1, 8), xp.minimum(size, 7)
    zeros = xp.where(low, small * (small - 1), (near - 1) * (near - 2))
    middle = zeros * quotient(_LGAMMA_ABOVE, _LGAMMA_BELOW, xp.where(low, 1 + small, near))
    up = xp.where(low, 1 + size, x)
    far = xp.maximum(up, 8)
    w = 1 / far
    stirling = (far - 0.5) * (xp.log(far) - 1) + 0.5 * (log(2 * pi) - 1) + w * polynomial(_STIRLING, w * w)
    above = xp.where(up < 8, middle, stirling)

    turn = _past_the_nearest_pole(xp, size)
    pole = xp.logical_and(x <= 0, turn == 0)
    factor = xp.where(low, xp.where(x < 0, xp.abs(xp.sin(pi * turn)) / pi, x), xp.ones_like(x))
    rest = xp.log(xp.where(pole, xp.ones_like(x), factor))
    return xp.where(pole, inf, xp.where(x < 0, -rest - above, above - rest))


@lgamma.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    return g * digamma(x)


@op(examples=_EXAMPLES)
@in_float32
def digamma(xp: Namespace, x: Array, /) -> Array:
    """The derivative of `lgamma` (DLMF 5.2.2); NaN at its poles -1, -2, ..., and -inf at 0 (inf at -0.0).

    x: real floating, any shape; the result is of its shape and dtype.
    Below 1 by DLMF 5.5.2 and 5.5.4, above 8 by the series 5.11.2.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> round(special.digamma(pb.tensor(1.0)).item(), 4)  # Euler's constant, negative
    -0.5772
    """
    size = xp.abs(x)
    low = x < 1
    up = xp.where(low, 1 + size, x)
    near, far = xp.clip(up, 1, 8), xp.maximum(up, 8)
    middle = ((near - _ZERO[0]) - _ZERO[1]) * quotient(_DIGAMMA_ABOVE, _DIGAMMA_BELOW, near)
    w = 1 / far
    above = xp.where(up < 8, middle, xp.log(far) - w * (0.5 + w * polynomial(_STIRLING_SLOPE, w * w)))

    turn = _past_the_nearest_pole(xp, size)
    plain = xp.logical_or(x >= 1, xp.logical_and(x <= 0, turn == 0))  # or a pole
    one = xp.ones_like(x)
    rest = 1 / xp.where(plain, one, xp.where(x < 0, xp.tan(pi * xp.where(turn == 0, one, turn)) / pi, -x))
    at_pole = xp.where(x == 0, xp.copysign(xp.full_like(x, inf), -x), nan)
    return xp.where(plain, xp.where(low, at_pole, above), above + rest)


digamma.vjp("x")(lambda xp, g, x: g * polygamma(1, x))


def polygamma(n: int, x: Array, /) -> Array:
    """The n-th derivative of `digamma` (DLMF 5.15); at the poles 0, -1, ... infinite, of the sign of (-1)**(n + 1).

    n: the order, 0 (digamma itself) or more.
    x: real floating, any shape; the result is of its shape and dtype.
    Raises ValueError for an n that is no whole number, or negative.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> round(special.polygamma(1, pb.tensor(1.0)).item(), 4)  # pi squared / 6
    1.6449
    """
    if n != int(n) or n < 0:
        raise ValueError(f"polygamma has a whole order of 0 or more; got n={n!r}")
    return _polygamma(x, n=int(n)) if n else digamma(x)


@op(
    examples=[
        example(uniform(3, 4, low=0.6, high=12), n=1),
        example(uniform(low=0.6, high=2), n=2),
        example(uniform(0, 2), n=1),
        example(values([-9.6, -2.4, -0.5, 0.7, 1.0, 30.0]), n=1),
        example(values([-9.6, -2.4, -0.5, 0.7, 1.0, 30.0]), n=4),
    ]
)
@in_float32
def _polygamma(xp: Namespace, x: Array, /, *, n: int) -> Array:
    """(-1)**(n + 1) n! times Hurwitz's zeta of n + 1 and x (DLMF 25.11.12); below 0 by reflection (5.15.6)."""
    sign = (-1) ** (n + 1)
    size = xp.abs(x)
    turn = _past_the_nearest_pole(xp, size)
    pole = xp.logical_and(x <= 0, turn == 0)
    zeta = _hurwitz(xp, n + 1, xp.where(pole, xp.ones_like(x), xp.where(x < 0, 1 + size, x)))
    cot = -1 / xp.tan(pi * xp.where(xp.logical_or(x >= 0, pole), 0.25 * xp.ones_like(x), turn))
    reflected = polynomial(_cotangent_slope(n), cot) - zeta * float(factorial(n))
    return xp.where(pole, sign * inf, xp.where(x < 0, reflected, zeta * float(sign * factorial(n))))


@_polygamma.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, n: int) -> Array:
    return g * polygamma(n + 1, x)


def _hurwitz(xp: Namespace, s: int, x: Array) -> Array:
    """The sum of (x + k)**-s over k = 0, 1, ..., for x > 0: its first terms, then Euler and Maclaurin's (25.11.28)."""
    terms = 10 + s
    total = xp.pow(x, -float(s))
    for k in range(1, terms):
        total = total + xp.pow(x + k, -float(s))
    w = 1 / (x + terms)
    series, rising = [], float(s)  # B_2j / (2j)! s (s + 1) ... (s + 2j - 2)
    for j, b in enumerate(BERNOULLI, 1):
        series.append(b * rising / factorial(2 * j))
        rising *= (s + 2 * j - 1) * (s + 2 * j)
    return total + xp.pow(w, s - 1.0) * (1 / (s - 1) + w * (0.5 + w * polynomial(series[::-1], w * w)))


@cache
def _cotangent_slope(n: int) -> tuple[float, ...]:
    """The n-th derivative of -pi * cot(pi * x), as a polynomial in cot(pi * x); of n >= 1."""
    powers = [0, 1]  # from the lowest up; cot' = -(1 + cot**2)
    for _ in range(n):
        slope = [k * c for k, c in enumerate(powers)][1:]
        powers = [-(a + b) for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    return tuple(-(pi ** (n + 1)) * c for c in powers[::-1])
