"""Special functions that the standard lacks."""

from functools import reduce
from math import pi, sqrt

from ..autodiff.examples import example, normal, values
from ..autodiff.op import op
from ..backends import Array, Namespace

__all__ = ["erf"]

# Chebyshev fits, good to 1e-17. For |x| <= 1: erf(x) / x as a polynomial in x squared.
_NEAR = (
    -7.795898827002142e-10, 1.3720064546777686e-08, -1.6208483801871705e-07, 1.6447424703317362e-06,
    -1.492473690741966e-05, 0.00012055294904839707, -0.0008548325975389692, 0.0052239776071164225,
    -0.02686617064323777, 0.11283791670945006, -0.37612638903183543, 1.1283791670955126,
)  # fmt: skip
# For 1 <= |x| <= 6: (1 - erf(x)) * exp(x * x) as a polynomial in 3 / (3 + x).
_FAR = (
    0.020974634373878025, -0.16339979786477143, 0.5521248987909749, -1.0544846624326085, 1.2845213284110484,
    -1.1403447661861297, 0.7827870956144349, -0.3240273441347353, 0.2394437056056354,
    0.08371352177739089, 0.16634344697146503, 0.17605997733145118, 0.18823627493257508,
    0.18805132677476255, 3.7809408605387703e-07,
)  # fmt: skip


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    return reduce(lambda total, c: total * x + c, coefficients[1:], x * 0 + coefficients[0])


@op(examples=[example(normal(3, 4)), example(normal()), example(values([-7.0, -1.5, 0.0, 0.999, 1.001, 5.9, 6.1]))])
def erf(xp: Namespace, x: Array, /) -> Array:
    """The error function: the integral of exp(-t * t) from 0 to x, times 2 / sqrt(pi)."""
    size = xp.clip(xp.abs(x), 0, 6.0)
    near = xp.minimum(size, 1.0)
    far = xp.maximum(size, 1.0)
    inner = near * _polynomial(_NEAR, near * near)
    outer = 1 - xp.exp(-far * far) * _polynomial(_FAR, 3 / (3 + far))
    return xp.sign(x) * xp.where(size <= 1, inner, outer)


erf.vjp("x")(lambda xp, g, x: g * (2 / sqrt(pi)) * xp.exp(-x * x))
