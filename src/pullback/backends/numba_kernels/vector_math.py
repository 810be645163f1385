"""exp, log, tanh and their like for compiled loops, written so that the loops run in vector registers.

What numba makes of `math.exp` is a call of the C library for each element, ten times slower than NumPy's exp. The
functions here are arithmetic and selections, with no calls and no branches: LLVM puts them into the loop, and takes
8 or 16 elements at a time. Use them as any function, inside functions given to `compiled`:

    def softplus(x, y):
        zero = x.dtype.type(0)
        for i in range(x.size):
            y[i] = (zero if x[i] < zero else x[i]) + log1p(exp(-abs(x[i])))

    run = compiled(softplus)

Each takes a float32 or a float64 and gives the same. In float32 they are within 3 units in the last place of the
exact value (erf: 6, near 1), in float64 within 4. Infinities, NaN, overflow and underflow come out as in the C
library, but of results below the smallest normal number some are 0. `expm1`, `log1p`, `tanh` and `erf` keep their
relative precision near 0. erf of float64 is the C library's, called for each element.

What loops need beside, to be vectorised and right:

- To numba the constants 1 and 0.5 are int64 and float64, and either makes float64 of a float32 that meets it, at
  half the speed or less. Make them of the array's type before the loop, `half = x.dtype.type(0.5)`, or pass them.
- `max` and `min` may lose a NaN; `zero if x < zero else x` keeps it, since NaN fails every comparison.
- The innermost loop over `range(x.size)` or `range(x.shape[1])`. Over `range(start, stop)` it is gathered element by
  element, two to three times slower, as numba allows for a negative start: cut the part out first, `x[start:stop]`.
- Conditions joined by `&`, not by `and` or `a < b < c`, which are branches.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from ..host import host as np

__all__ = ["erf", "exp", "exp_up_to_0", "expm1", "greatest", "log", "log1p", "register", "sigmoid", "softplus", "tanh"]


def exp(x: Any) -> Any:
    """e to the power of x."""
    return math.exp(x)


def exp_up_to_0(x: Any) -> Any:
    """exp(x) for x up to about 0, at half the cost; 0 where it is no normal number."""
    return math.exp(x)


def expm1(x: Any) -> Any:
    """exp(x) - 1."""
    return math.expm1(x)


def greatest(row: Any) -> Any:
    """The greatest of the numbers in an array of one axis, which may pass over NaN."""
    return max(row)


def log(x: Any) -> Any:
    """The natural logarithm: -inf at 0, NaN below."""
    return math.log(x)


def log1p(x: Any) -> Any:
    """log(1 + x): -inf at -1, NaN below."""
    return math.log1p(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + math.exp(-x))


def softplus(x: Any) -> Any:
    """log(1 + exp(x)); the logarithm of sigmoid is -softplus(-x)."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return math.tanh(x)


def erf(x: Any) -> Any:
    """The error function."""
    return math.erf(x)


@cache
def register() -> None:
    """Tell numba what to compile where a function calls one of these. `compiled` sees to it."""
    from numba import types
    from numba.extending import overload, register_jitable

    # Unlike in the loops around them, sums keep their order here, which range reduction relies on.
    options = {"error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}

    def enter(function: Callable[..., Any], of_float32: Callable[..., Any], of_float64: Callable[..., Any]) -> None:
        @overload(function, jit_options=options)  # type: ignore[untyped-decorator]
        def _(x: Any) -> Callable[..., Any] | None:
            return {types.float32: of_float32, types.float64: of_float64}.get(x)

    @overload(greatest, jit_options=options)  # type: ignore[untyped-decorator]
    def _(row: Any) -> Callable[..., Any] | None:
        return {types.float32: _greatest32, types.float64: _greatest64}.get(row.dtype)

    register_jitable(**options)(_exp_polynomial)
    enter(exp, _exp32, _exp64)
    enter(exp_up_to_0, _exp_up_to_0_32, _exp_up_to_0_64)
    enter(expm1, _expm1_32, _expm1_64)
    enter(log, _log32, _log64)
    enter(log1p, _log1p_32, _log1p_64)
    enter(sigmoid, _sigmoid32, _sigmoid64)
    enter(tanh, _tanh32, _tanh64)
    enter(softplus, _softplus32, _softplus64)
    enter(erf, _erf32, _erf64)


# Below, n is the integer nearest to x / log(2), found by adding a number so large that its last bit is worth 1;
# r is x - n log(2), with log(2) in two parts of which the first times n is exact; exp(r) is a polynomial.
# 2**n is made of its exponent's bits, in two factors, since neither 2**128 nor 2**-149 has such bits.

_ONE, _TWO, _HALF, _ZERO = np.float32(1), np.float32(2), np.float32(0.5), np.float32(0)
_INFINITY, _NAN = np.float32(np.inf), np.float32(np.nan)
_PER_LOG2 = np.float32(1.4426950408889634)
_LOG2_HIGH, _LOG2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_ROUNDER, _ROUNDER_BITS = np.float32(1.5 * 2**23), 0x4B400000
# Of (exp(r) - 1 - r) / r**2, from the highest power down (Cephes, expf).
_E0, _E1, _E2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_E3, _E4, _E5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_EXP_LEAST, _EXP_MOST = np.float32(-104), np.float32(89)


def _exp32(x: Any) -> Any:
    x = _EXP_LEAST if x < _EXP_LEAST else x
    x = _EXP_MOST if x > _EXP_MOST else x
    shifted = x * _PER_LOG2 + _ROUNDER
    n = shifted - _ROUNDER
    r = (x - n * _LOG2_HIGH) - n * _LOG2_LOW
    p = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
    p = p * (r * r) + r + _ONE
    i = np.int32(np.float32(shifted).view(np.int32) - _ROUNDER_BITS)
    half = np.int32(i >> 1)
    return p * np.int32((half + 127) << 23).view(np.float32) * np.int32((i - half + 127) << 23).view(np.float32)


# The power of 2 is one factor here, whose bits are all 0 at the least x: 2**-127, or 2**-1023.
_NORMAL_LEAST = np.float32(-88)


def _exp_up_to_0_32(x: Any) -> Any:
    x = _NORMAL_LEAST if x < _NORMAL_LEAST else x
    shifted = x * _PER_LOG2 + _ROUNDER
    n = shifted - _ROUNDER
    r = (x - n * _LOG2_HIGH) - n * _LOG2_LOW
    p = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
    p = p * (r * r) + r + _ONE
    return p * np.int32(np.int32(np.float32(shifted).view(np.int32) - (_ROUNDER_BITS - 127)) << 23).view(np.float32)


_EXPM1_LEAST = np.float32(-20)


def _expm1_32(x: Any) -> Any:
    x = _EXPM1_LEAST if x < _EXPM1_LEAST else x
    x = _EXP_MOST if x > _EXP_MOST else x
    shifted = x * _PER_LOG2 + _ROUNDER
    n = shifted - _ROUNDER
    r = (x - n * _LOG2_HIGH) - n * _LOG2_LOW
    p = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
    p = p * (r * r) + r
    half = np.int32((np.float32(shifted).view(np.int32) - _ROUNDER_BITS + 126) << 23).view(np.float32)
    return (p * half + (half - _HALF)) * _TWO


# x = 2**e * m, with m between sqrt(1/2) and sqrt(2); log(m) is a polynomial in m - 1 (Cephes, logf).
_L0, _L1, _L2 = np.float32(7.0376836292e-2), np.float32(-1.1514610310e-1), np.float32(1.1676998740e-1)
_L3, _L4, _L5 = np.float32(-1.2420140846e-1), np.float32(1.4249322787e-1), np.float32(-1.6668057665e-1)
_L6, _L7, _L8 = np.float32(2.0000714765e-1), np.float32(-2.4999993993e-1), np.float32(3.3333331174e-1)
_SMALLEST_NORMAL, _LIFT, _LIFTED = np.float32(2.0**-126), np.float32(2.0**23), np.float32(23)
_SQRT_HALF_BITS = 0x3F3504F3


def _log32(x: Any) -> Any:
    normal = x * _LIFT if x < _SMALLEST_NORMAL else x
    bits = np.int32(np.float32(normal).view(np.int32) - _SQRT_HALF_BITS)
    e = np.float32(np.int32(bits >> 23)) - (_LIFTED if x < _SMALLEST_NORMAL else _ZERO)
    f = np.int32((bits & 0x7FFFFF) + _SQRT_HALF_BITS).view(np.float32) - _ONE
    p = (((_L0 * f + _L1) * f + _L2) * f + _L3) * f + _L4
    p = (((p * f + _L5) * f + _L6) * f + _L7) * f + _L8
    square = f * f
    y = (f + ((p * f * square + e * _LOG2_LOW) - _HALF * square)) + e * _LOG2_HIGH
    y = -_INFINITY if x == _ZERO else y
    y = _NAN if x < _ZERO else y
    return y if x < _INFINITY else x


def _log1p_32(x: Any) -> Any:
    u = _ONE + x
    lost = (x - (u - _ONE)) / u  # what rounding took from 1 + x
    return log(u) + (lost if (u > _ZERO) & (u < _INFINITY) else _ZERO)


def _sigmoid32(x: Any) -> Any:
    return _ONE / (_ONE + exp(-x))


_TANH_MOST = np.float32(10)


def _tanh32(x: Any) -> Any:
    size = abs(x)
    e = expm1(_TWO * (_TANH_MOST if size > _TANH_MOST else size))
    y = e / (e + _TWO)
    return -y if x < _ZERO else y


# x times a quotient of polynomials in x**2, a minimax fit up to 3.92 with a relative error of 2e-8; 1 from there on.
_P0, _P1, _P2 = np.float32(2.050061845302545e-06), np.float32(0.00028486486480066756), np.float32(0.003765158851350308)
_P3, _P4, _P5 = np.float32(0.05274727638968752), np.float32(0.1903968720332893), np.float32(1.1283791463037545)
_Q0, _Q1, _Q2 = np.float32(3.809051668243948e-05), np.float32(0.001162410460760608), np.float32(0.014968302070735283)
_Q3, _Q4, _ERF_MOST = np.float32(0.11410498592303042), np.float32(0.5020675779897541), np.float32(3.92)


def _erf32(x: Any) -> Any:
    square = x * x
    above = ((((_P0 * square + _P1) * square + _P2) * square + _P3) * square + _P4) * square + _P5
    below = ((((_Q0 * square + _Q1) * square + _Q2) * square + _Q3) * square + _Q4) * square + _ONE
    y = x * above / below
    return y if abs(x) < _ERF_MOST else x if x != x else -_ONE if x < _ZERO else _ONE


# With s = z / (2 + z), log(1 + z) = 2 artanh(s), for z from 0 to 1: a polynomial in s**2, to 4e-9.
_A0, _A1 = np.float32(0.14087328630222154), np.float32(0.13980709417669349)
_A2, _A3 = np.float32(0.20012426861717336), np.float32(0.3333315796754084)


def _softplus32(x: Any) -> Any:
    z = exp(-abs(x))
    s = z / (_TWO + z)
    q = s * s
    p = (((_A0 * q + _A1) * q + _A2) * q + _A3) * q
    return (_ZERO if x < _ZERO else x) + _TWO * (s + s * p)


# Floating numbers lie in the order of their bits as integers, once those of negative ones are flipped. For integers,
# unlike for numbers among which there may be NaN, LLVM takes the greatest in vector registers.
def _greatest32(row: Any) -> Any:
    bits = row.view(np.int32)
    most = np.int32(bits[0] ^ ((bits[0] >> 31) & 0x7FFFFFFF))
    for i in range(bits.size):
        most = max(most, np.int32(bits[i] ^ ((bits[i] >> 31) & 0x7FFFFFFF)))
    return np.int32(most ^ ((most >> 31) & 0x7FFFFFFF)).view(np.float32)


# The same in float64. exp(r) is Taylor's series; log(m) = log(1 + f) as in fdlibm's e_log.c.
_PER_LOG2_64 = 1.4426950408889634
_LOG2_HIGH_64, _LOG2_LOW_64 = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUNDER_64, _ROUNDER_BITS_64 = 1.5 * 2**52, 0x4338000000000000
_F3, _F4, _F5, _F6, _F7, _F8 = (1 / math.factorial(k) for k in range(3, 9))
_F9, _F10, _F11, _F12, _F13 = (1 / math.factorial(k) for k in range(9, 14))


def _exp_polynomial(r: Any) -> Any:
    p = ((((_F13 * r + _F12) * r + _F11) * r + _F10) * r + _F9) * r + _F8
    p = ((((p * r + _F7) * r + _F6) * r + _F5) * r + _F4) * r + _F3
    return (p * r + 0.5) * (r * r) + r


def _exp64(x: Any) -> Any:
    x = -746.0 if x < -746.0 else x
    x = 710.0 if x > 710.0 else x
    shifted = x * _PER_LOG2_64 + _ROUNDER_64
    n = shifted - _ROUNDER_64
    p = _exp_polynomial((x - n * _LOG2_HIGH_64) - n * _LOG2_LOW_64) + 1.0
    i = np.int64(np.float64(shifted).view(np.int64) - _ROUNDER_BITS_64)
    half = np.int64(i >> 1)
    return p * np.int64((half + 1023) << 52).view(np.float64) * np.int64((i - half + 1023) << 52).view(np.float64)


def _exp_up_to_0_64(x: Any) -> Any:
    x = -709.0 if x < -709.0 else x
    shifted = x * _PER_LOG2_64 + _ROUNDER_64
    n = shifted - _ROUNDER_64
    p = _exp_polynomial((x - n * _LOG2_HIGH_64) - n * _LOG2_LOW_64) + 1.0
    return p * np.int64((np.float64(shifted).view(np.int64) - _ROUNDER_BITS_64 + 1023) << 52).view(np.float64)


def _expm1_64(x: Any) -> Any:
    x = -45.0 if x < -45.0 else x
    x = 710.0 if x > 710.0 else x
    shifted = x * _PER_LOG2_64 + _ROUNDER_64
    n = shifted - _ROUNDER_64
    p = _exp_polynomial((x - n * _LOG2_HIGH_64) - n * _LOG2_LOW_64)
    half = np.int64((np.float64(shifted).view(np.int64) - _ROUNDER_BITS_64 + 1022) << 52).view(np.float64)
    return (p * half + (half - 0.5)) * 2.0


_G1, _G2, _G3, _G4 = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
)
_G5, _G6, _G7 = 1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01


def _log64(x: Any) -> Any:
    normal = x * 2.0**52 if x < 2.0**-1022 else x
    bits = np.int64(np.float64(normal).view(np.int64) - 0x3FE6A09E667F3BCD)
    e = np.float64(np.int64(bits >> 52)) - (52.0 if x < 2.0**-1022 else 0.0)
    f = np.int64((bits & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = (((((_G7 * z + _G6) * z + _G5) * z + _G4) * z + _G3) * z + _G2) * z + _G1
    square = 0.5 * f * f
    y: Any = e * _LOG2_HIGH_64 - ((square - (s * (square + p * z) + e * _LOG2_LOW_64)) - f)
    y = -np.inf if x == 0.0 else y
    y = np.nan if x < 0.0 else y
    return y if x < np.inf else x


def _log1p_64(x: Any) -> Any:
    u = 1.0 + x
    lost = (x - (u - 1.0)) / u
    return log(u) + (lost if (u > 0.0) & (u < np.inf) else 0.0)


def _sigmoid64(x: Any) -> Any:
    return 1.0 / (1.0 + exp(-x))


def _tanh64(x: Any) -> Any:
    size = abs(x)
    e = expm1(2.0 * (22.0 if size > 22.0 else size))
    y = e / (e + 2.0)
    return -y if x < 0.0 else y


def _greatest64(row: Any) -> Any:
    bits = row.view(np.int64)
    most = np.int64(bits[0] ^ ((bits[0] >> 63) & 0x7FFFFFFFFFFFFFFF))
    for i in range(bits.size):
        most = max(most, np.int64(bits[i] ^ ((bits[i] >> 63) & 0x7FFFFFFFFFFFFFFF)))
    return np.int64(most ^ ((most >> 63) & 0x7FFFFFFFFFFFFFFF)).view(np.float64)


def _softplus64(x: Any) -> Any:
    return (0.0 if x < 0.0 else x) + log1p(exp(-abs(x)))


def _erf64(x: Any) -> Any:
    return math.erf(x)
