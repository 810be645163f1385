"""The error function, its complement and its inverse."""

from math import inf, nan, pi, sqrt

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal, uniform, values
from ...autodiff.op import op
from ...backends import Array, Namespace
from ..precision import in_float32
from .polynomials import polynomial, quotient

__all__ = ["erf", "erfc", "erfinv"]

# Minimax fits in 70 digits; the errors are relative. For |x| <= 1/2, to 4e-18: erf(x) / x in x squared.
_ERF = (
    1.4723149599155679e-06, -1.4845575796242711e-05, 0.00012053323928979934, -0.0008548297514785961,
    0.0052239773701943226, -0.02686617063270599, 0.11283791670924777, -0.37612638903183465, 1.1283791670955126,
)  # fmt: skip
# For 1/2 <= x <= 28, to 4e-18: erfc(x) * exp(x * x). All coefficients are positive: no digits cancel.
_ERFCX_ABOVE = (
    4.8854020403909184e-05, 0.000849579271403377, 0.007397147202463536, 0.04128646954202472, 0.1609036732408113,
    0.4514447570566664, 0.9104430831329033, 1.2760607117848852, 1.1371446226180488, 0.4999999999818866,
)  # fmt: skip
_ERFCX_BELOW = (
    8.659149659715956e-05, 0.0015058400512429808, 0.013154397793413795, 0.07393128193842734, 0.29170659104920266,
    0.8360012478966034, 1.7498683881281167, 2.6271319883507687, 2.695810788047327, 1.7013342058830265, 0.5,
)  # fmt: skip
# For |x| <= 1/2, to 2e-19: erfinv(x) / x in x squared.
_ERFINV_ABOVE = (
    -0.0016217400411440003, 0.07629898161861796, -0.619898113921684, 1.792579756885456, -2.1283663047029804,
    0.886226925452758,
)  # fmt: skip
_ERFINV_BELOW = (
    -0.008900880143519712, 0.1870280763493584, -1.088205162578539, 2.5760553504475148, -2.663403585974052, 1.0,
)  # fmt: skip
# For 1/2 <= x <= 1 - 2**-53, to 5e-17: erfinv(x) in sqrt(-log(1 - x)).
_ERFINV_TAIL_ABOVE = (
    0.0015352939507693691, 0.07881852030999227, 0.8972486639788984, 2.788031337504861, 2.4902457251638426,
    2.7756185742858213, 1.7783413454808614, 0.8027290149859724, 0.4293613596791037, 0.0019329220302293601,
    -0.00012753669379130236,
)  # fmt: skip
_ERFINV_TAIL_BELOW = (
    0.0015352793890723033, 0.07882473541607758, 0.9014717058013311, 2.9332661247904186, 3.5599115707842617,
    4.541086973024783, 3.097551527929168, 2.464416293439503, 0.8373276204988098, 0.5,
)  # fmt: skip

_EXAMPLES = [
    example(normal(3, 4)),
    example(normal()),
    example(normal(0, 2)),
    example(values([-7.0, -1.5, -0.51, 0.0, 0.49, 0.51, 5.9, 6.1, 27.0])),
]


def _near(xp: Namespace, x: Array) -> Array:
    """erf(x), for |x| <= 1/2."""
    x = xp.clip(x, -0.5, 0.5)
    return x * polynomial(_ERF, x * x)


def _tail(xp: Namespace, size: Array) -> Array:
    """erfc(size), for size >= 1/2."""
    size = xp.clip(size, 0.5, 28.0)
    head = xp.round(size * 64) / 64  # its square is exact, so exp sees the square of size with no rounding
    decay = xp.exp(-head * head) * xp.exp((head - size) * (head + size))
    return decay * quotient(_ERFCX_ABOVE, _ERFCX_BELOW, size)


@op(examples=_EXAMPLES)
@in_float32
def erf(xp: Namespace, x: Array, /) -> Array:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t * t) from 0 to x (DLMF 7.2.1).

    x: real floating, any shape; the result is of its shape and dtype.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> round(special.erf(pb.tensor(1.0)).item(), 4)
    0.8427
    """
    size = xp.abs(x)
    return xp.where(size <= 0.5, _near(xp, x), xp.sign(x) * (1 - _tail(xp, size)))


erf.vjp("x")(lambda xp, g, x: g * (2 / sqrt(pi)) * xp.exp(-x * x))


@op(examples=_EXAMPLES)
@in_float32
def erfc(xp: Namespace, x: Array, /) -> Array:
    """The complementary error function, 1 - erf(x) (DLMF 7.2.2), to full precision also where that is tiny.

    x: real floating, any shape; the result is of its shape and dtype.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> f"{special.erfc(pb.tensor(5.0)).item():.4g}"
    '1.537e-12'
    """
    size = xp.abs(x)
    tail = _tail(xp, size)
    return xp.where(size <= 0.5, 1 - _near(xp, x), xp.where(x < 0, 2 - tail, tail))


erfc.vjp("x")(lambda xp, g, x: g * (-2 / sqrt(pi)) * xp.exp(-x * x))


@autocasts_to("float32")
@op(
    examples=[
        example(uniform(3, 4, low=-0.9, high=0.9)),
        example(uniform()),
        example(uniform(0, 2)),
        example(values([-0.95, -0.51, -0.49, 0.0, 0.49, 0.51, 0.95])),
    ]
)
@in_float32
def erfinv(xp: Namespace, x: Array, /) -> Array:
    """The inverse of the error function (DLMF 7.17): erf(erfinv(x)) = x.

    x: real floating, any shape; the result is of its shape and dtype: infinite at -1 and 1, NaN outside of them.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> round(special.erfinv(pb.tensor(0.5)).item(), 4)
    0.4769
    """
    near = xp.clip(x, -0.5, 0.5)
    middle = near * quotient(_ERFINV_ABOVE, _ERFINV_BELOW, near * near)
    size = xp.abs(x)
    inside = xp.where(size < 1, xp.maximum(size, 0.5), 0.5)
    tail = quotient(_ERFINV_TAIL_ABOVE, _ERFINV_TAIL_BELOW, xp.sqrt(-xp.log(1 - inside)))
    outer = xp.where(size == 1, inf, xp.where(size > 1, nan, tail))
    return xp.where(size <= 0.5, middle, xp.sign(x) * outer)


erfinv.vjp("x")(lambda xp, g, y: g * (sqrt(pi) / 2) * xp.exp(y * y))
