"""Sums, products, powers, signs and extremes."""

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, integers, normal, uniform, values
from ...autodiff.op import op
from ...backends import Array, Namespace, is_complex

__all__ = [
    "abs", "add", "clip", "copysign", "divide", "floor_divide", "hypot", "maximum", "minimum", "multiply", "negative",
    "nextafter", "positive", "pow", "reciprocal", "remainder", "sign", "signbit", "sqrt", "square", "subtract",
]  # fmt: skip

_Z = "complex128"
_BROADCAST = [
    example(normal(3, 4), normal(3, 4)),
    example(normal(3, 1, 4), normal(2, 1)),
    example(normal(), normal(3)),
    example(normal(2, 3), 2.0),
    example(normal(0, 3), normal(3)),
    example(normal(3, dtype=_Z), normal(2, 1, dtype=_Z)),
    example(normal(2, 3), normal(3, dtype=_Z)),
]
_ONE = [example(normal(3, 4)), example(normal()), example(normal(0, 2)), example(normal(3, dtype=_Z))]


@op(examples=_BROADCAST)
def add(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Sum of two arrays, element by element."""
    return xp.add(x1, x2)


add.vjp("x1")(lambda xp, g: g)
add.vjp("x2")(lambda xp, g: g)


@op(examples=_BROADCAST)
def subtract(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Difference of two arrays, element by element."""
    return xp.subtract(x1, x2)


subtract.vjp("x1")(lambda xp, g: g)
subtract.vjp("x2")(lambda xp, g: -g)


@op(examples=_BROADCAST)
def multiply(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Product of two arrays, element by element."""
    return xp.multiply(x1, x2)


multiply.vjp("x1")(lambda xp, g, x2: g * x2)
multiply.vjp("x2")(lambda xp, g, x1: g * x1)


@op(
    examples=[
        example(normal(3, 4), uniform(4, low=0.5, high=2)),
        example(1.0, uniform(3, low=0.5, high=2)),
        example(normal(3, dtype=_Z), normal(2, 1, dtype=_Z)),
        example(normal(0, 3), normal(3)),
    ]
)
def divide(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Quotient of two arrays, element by element."""
    return xp.divide(x1, x2)


divide.vjp("x1")(lambda xp, g, x2: g / x2)
divide.vjp("x2")(lambda xp, g, x2, y: -g * y / x2)


@op(differentiable=False, examples=[example(normal(3, 4), normal(4)), example(integers(3, high=9), 2)])
def floor_divide(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Quotient of two arrays, rounded towards minus infinity. It is constant between its jumps."""
    return xp.floor_divide(x1, x2)


@op(
    examples=[
        example(normal(3, 4), uniform(4, low=0.5, high=2)),
        example(normal(3), 0.5),
        example(2.0, uniform(3, low=0.5, high=0.6)),
    ]
)
def remainder(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """What `floor_divide` leaves: x1 - x2 * floor(x1 / x2), of the sign of x2."""
    return xp.remainder(x1, x2)


remainder.vjp("x1")(lambda xp, g: g)
remainder.vjp("x2")(lambda xp, g, x1, x2: -g * floor_divide(x1, x2))


@autocasts_to("float32")
@op(
    examples=[
        example(uniform(3, 4, low=0.5, high=2), normal(4)),
        example(normal(3), 3),
        example(values([0.0, 1.0, -2.0]), 2.0),
        example(2.0, normal(3)),
        example(normal(3, dtype=_Z), normal(3, dtype=_Z)),
        example(normal(3, dtype=_Z), 2),
    ]
)
def pow(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """x1 to the power x2, element by element."""
    return xp.pow(x1, x2)


@pow.vjp("x1")
def _(xp: Namespace, g: Array, x1: Array, x2: Array) -> Array:
    if isinstance(x2, (int, float, complex)):
        return g * x2 * xp.pow(x1, x2 - 1) if x2 != 0 else g * 0.0
    safe = xp.where(x2 == 0, xp.ones_like(x2), x2)  # x**0 is flat, also where x is 0
    return g * x2 * xp.pow(x1, safe - 1)


@pow.vjp("x2")
def _(xp: Namespace, g: Array, x1: Array, y: Array) -> Array:
    if isinstance(x1, (int, float, complex)):
        return g * y * xp.log(xp.full_like(y, x1)) if x1 else g * 0.0
    zero = x1 == 0
    return g * y * xp.log(xp.where(zero, xp.ones_like(x1), x1))


@op(examples=_ONE)
def negative(xp: Namespace, x: Array, /) -> Array:
    """-x."""
    return xp.negative(x)


negative.vjp("x")(lambda xp, g: -g)


@op(examples=_ONE)
def positive(xp: Namespace, x: Array, /) -> Array:
    """+x."""
    return xp.positive(x)


positive.vjp("x")(lambda xp, g: g)


@op(examples=[example(normal(3, 4, away_from_zero=0.1)), example(normal(3, dtype=_Z)), example(normal(0))])
def abs(xp: Namespace, x: Array, /) -> Array:
    """Absolute value. Its derivative at 0 is taken as 0."""
    return xp.abs(x)


@abs.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    return g * (xp.conj(sign(x)) if is_complex(x.dtype) else xp.sign(x))


@op(examples=[example(normal(3, 4)), example(values([-1.0, 0.0], differentiable=False)), example(normal(3, dtype=_Z))])
def sign(xp: Namespace, x: Array, /) -> Array:
    """-1, 0 or 1, which is constant between its jumps; of a complex number, x / |x|, and 0 at 0."""
    return xp.sign(x)


@sign.vjp("x")
def _(xp: Namespace, g: Array, x: Array, y: Array) -> Array:
    if not is_complex(x.dtype):
        return xp.zeros_like(g)
    size = xp.abs(x)
    across = g - xp.conj(y) * xp.real(g * y)  # y moves on the unit circle only
    return xp.where(size == 0, xp.zeros_like(g), across / xp.where(size == 0, xp.ones_like(size), size))


@op(differentiable=False, examples=[example(normal(3, 4)), example(values([-0.0, 0.0]))])
def signbit(xp: Namespace, x: Array, /) -> Array:
    """Whether the sign bit is set: for negative numbers, and for -0.0."""
    return xp.signbit(x)


@op(examples=[example(normal(3, 4), normal(4)), example(normal(3), -1.0), example(2.0, normal(3))])
def copysign(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The size of x1 with the sign of x2. It is constant in x2 between its jumps."""
    return xp.copysign(x1, x2)


@copysign.vjp("x1")
def _(xp: Namespace, g: Array, x1: Array, y: Array) -> Array:
    return xp.where(xp.signbit(x1) == xp.signbit(y), g, -g)


copysign.vjp("x2")(lambda xp, g: xp.zeros_like(g))


@op(differentiable=False, examples=[example(normal(3, 4), normal(4))])
def nextafter(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The next floating-point number after x1 in the direction of x2."""
    return xp.nextafter(x1, x2)


@op(
    examples=[
        example(uniform(3, 4, low=0.5, high=2)),
        example(uniform(low=0.5, high=2)),
        example(normal(3, dtype=_Z)),
    ]
)
def sqrt(xp: Namespace, x: Array, /) -> Array:
    """Square root."""
    return xp.sqrt(x)


sqrt.vjp("x")(lambda xp, g, y: g * 0.5 / y)


@op(examples=_ONE)
def square(xp: Namespace, x: Array, /) -> Array:
    """x squared."""
    return xp.square(x)


square.vjp("x")(lambda xp, g, x: g * 2 * x)


@autocasts_to("float32")
@op(
    examples=[
        example(uniform(3, 4, low=0.5, high=2)),
        example(uniform(low=0.5, high=2)),
        example(normal(3, dtype=_Z)),
    ]
)
def reciprocal(xp: Namespace, x: Array, /) -> Array:
    """1 / x."""
    return xp.reciprocal(x)


reciprocal.vjp("x")(lambda xp, g, y: -g * y * y)


@op(examples=[example(normal(3, 4), normal(4)), example(normal(3), 0.5), example(values([[0.0, 3.0]]), normal(1, 2))])
def hypot(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """sqrt(x1 * x1 + x2 * x2), without overflow. Its derivatives at (0, 0) are taken as 0."""
    return xp.hypot(x1, x2)


hypot.vjp("x1")(lambda xp, g, x1, y: g * x1 / xp.where(y == 0, xp.ones_like(y), y))
hypot.vjp("x2")(lambda xp, g, x2, y: g * x2 / xp.where(y == 0, xp.ones_like(y), y))

_EXTREMA = [
    example(normal(3, 4), normal(3, 4)),
    example(normal(3, 4), normal(4)),
    example(normal(3), 0.0),
    example(normal(0), normal()),
]


@op(examples=_EXTREMA)
def maximum(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The larger of two arrays, element by element. Where they are equal, each gets half of the gradient."""
    return xp.maximum(x1, x2)


@op(examples=_EXTREMA)
def minimum(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The smaller of two arrays, element by element. Where they are equal, each gets half of the gradient."""
    return xp.minimum(x1, x2)


def _chosen(xp: Namespace, g: Array, mine: Array, other: Array, y: Array) -> Array:
    """The gradient of one of two, where it was the one chosen; half of it where they tie."""
    share = xp.astype(mine == y, g.dtype) / (1 + xp.astype(mine == other, g.dtype))
    return g * share


for _extremum in (maximum, minimum):
    _extremum.vjp("x1")(lambda xp, g, x1, x2, y: _chosen(xp, g, x1, x2, y))
    _extremum.vjp("x2")(lambda xp, g, x1, x2, y: _chosen(xp, g, x2, x1, y))


@op(
    examples=[
        example(normal(3, 4), -0.5, 0.5),
        example(normal(5), None, 0.1),
        example(normal(5), 0),
        example(normal(3, 4), uniform(4, low=-1, high=0), uniform(3, 1, low=0.5, high=1)),
        example(normal()),
    ]
)
def clip(xp: Namespace, x: Array, min: Array | None = None, max: Array | None = None, /) -> Array:
    """x held between two bounds, each a number, an array or None; `min` is nowhere above `max`.

    The gradient goes to what the result is: to x where it is not held (also where it equals a bound), else to the
    bound that holds it.
    """
    return xp.clip(x, min, max)


clip.vjp("x")(lambda xp, g, x, y: g * xp.astype(x == y, g.dtype))
clip.vjp("min")(lambda xp, g, x, min: g * xp.astype(x < min, g.dtype))
clip.vjp("max")(lambda xp, g, x, max: g * xp.astype(x > max, g.dtype))
