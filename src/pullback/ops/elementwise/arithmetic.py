"""The standard's elementwise functions."""

from ..autodiff.examples import boolean, example, integers, normal, uniform, values
from ..autodiff.op import op
from ..backends import Array, Namespace

__all__ = [
    "abs", "add", "ceil", "clip", "cos", "divide", "equal", "exp", "expm1", "floor", "greater", "greater_equal",
    "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log1p", "logical_and", "logical_not", "logical_or",
    "logical_xor", "maximum", "minimum", "multiply", "negative", "not_equal", "positive", "pow", "reciprocal",
    "round", "sign", "sin", "sqrt", "square", "subtract", "tan", "tanh",
]  # fmt: skip

_BROADCAST = [
    example(normal(3, 4), normal(3, 4)),
    example(normal(3, 1, 4), normal(2, 1)),
    example(normal(), normal(3)),
    example(normal(2, 3), 2.0),
    example(normal(0, 3), normal(3)),
]
_ORDERED = [example(normal(3, 4), normal(3, 4)), example(integers(2, 3, high=3), integers(3, high=3))]
_TRUTH = [example(boolean(3, 4), boolean(4)), example(boolean(), boolean(2))]


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


@op(examples=[example(normal(3, 4), uniform(4, low=0.5, high=2)), example(1.0, uniform(3, low=0.5, high=2))])
def divide(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Quotient of two arrays, element by element."""
    return xp.divide(x1, x2)


divide.vjp("x1")(lambda xp, g, x2: g / x2)
divide.vjp("x2")(lambda xp, g, x2, y: -g * y / x2)


@op(
    examples=[
        example(uniform(3, 4, low=0.5, high=2), normal(4)),
        example(normal(3), 3),
        example(values([0.0, 1.0, -2.0]), 2.0),
        example(2.0, normal(3)),
    ]
)
def pow(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """x1 to the power x2, element by element."""
    return xp.pow(x1, x2)


@pow.vjp("x1")
def _(xp: Namespace, g: Array, x1: Array, x2: Array) -> Array:
    if isinstance(x2, (int, float)):
        return g * x2 * xp.pow(x1, x2 - 1) if x2 != 0 else g * 0.0
    safe = xp.where(x2 == 0, xp.ones_like(x2), x2)  # x**0 is flat, also where x is 0
    return g * x2 * xp.pow(x1, safe - 1)


@pow.vjp("x2")
def _(xp: Namespace, g: Array, x1: Array, y: Array) -> Array:
    if isinstance(x1, (int, float)):
        return g * y * xp.log(xp.full_like(y, x1)) if x1 else g * 0.0
    zero = x1 == 0
    return g * y * xp.log(xp.where(zero, xp.ones_like(x1), x1))


@op(examples=[example(normal(3, 4)), example(normal())])
def negative(xp: Namespace, x: Array, /) -> Array:
    """-x."""
    return xp.negative(x)


negative.vjp("x")(lambda xp, g: -g)


@op(examples=[example(normal(3, 4)), example(normal())])
def positive(xp: Namespace, x: Array, /) -> Array:
    """+x."""
    return xp.positive(x)


positive.vjp("x")(lambda xp, g: g)


@op(examples=[example(normal(3, 4, away_from_zero=0.1))])
def abs(xp: Namespace, x: Array, /) -> Array:
    """Absolute value. Its derivative at 0 is taken as 0."""
    return xp.abs(x)


abs.vjp("x")(lambda xp, g, x: g * xp.sign(x))


@op(examples=[example(normal(3, 4)), example(normal(0))])
def exp(xp: Namespace, x: Array, /) -> Array:
    """e to the power x."""
    return xp.exp(x)


exp.vjp("x")(lambda xp, g, y: g * y)


@op(examples=[example(normal(3, 4)), example(normal())])
def expm1(xp: Namespace, x: Array, /) -> Array:
    """e to the power x, less 1; accurate near 0."""
    return xp.expm1(x)


expm1.vjp("x")(lambda xp, g, y: g * (y + 1))


@op(examples=[example(uniform(3, 4, low=0.5, high=2)), example(uniform(low=0.5, high=2))])
def log(xp: Namespace, x: Array, /) -> Array:
    """Natural logarithm."""
    return xp.log(x)


log.vjp("x")(lambda xp, g, x: g / x)


@op(examples=[example(uniform(3, 4, low=-0.5, high=2))])
def log1p(xp: Namespace, x: Array, /) -> Array:
    """Natural logarithm of 1 + x; accurate near 0."""
    return xp.log1p(x)


log1p.vjp("x")(lambda xp, g, x: g / (1 + x))


@op(examples=[example(uniform(3, 4, low=0.5, high=2)), example(uniform(low=0.5, high=2))])
def sqrt(xp: Namespace, x: Array, /) -> Array:
    """Square root."""
    return xp.sqrt(x)


sqrt.vjp("x")(lambda xp, g, y: g * 0.5 / y)


@op(examples=[example(normal(3, 4)), example(normal())])
def square(xp: Namespace, x: Array, /) -> Array:
    """x squared."""
    return xp.square(x)


square.vjp("x")(lambda xp, g, x: g * 2 * x)


@op(examples=[example(uniform(3, 4, low=0.5, high=2)), example(uniform(low=0.5, high=2))])
def reciprocal(xp: Namespace, x: Array, /) -> Array:
    """1 / x."""
    return xp.reciprocal(x)


reciprocal.vjp("x")(lambda xp, g, y: -g * y * y)


@op(examples=[example(normal(3, 4)), example(normal())])
def sin(xp: Namespace, x: Array, /) -> Array:
    """Sine of an angle in radians."""
    return xp.sin(x)


sin.vjp("x")(lambda xp, g, x: g * xp.cos(x))


@op(examples=[example(normal(3, 4)), example(normal())])
def cos(xp: Namespace, x: Array, /) -> Array:
    """Cosine of an angle in radians."""
    return xp.cos(x)


cos.vjp("x")(lambda xp, g, x: -g * xp.sin(x))


@op(examples=[example(uniform(3, 4, low=-1, high=1))])
def tan(xp: Namespace, x: Array, /) -> Array:
    """Tangent of an angle in radians."""
    return xp.tan(x)


tan.vjp("x")(lambda xp, g, y: g * (1 + y * y))


@op(examples=[example(normal(3, 4)), example(normal())])
def tanh(xp: Namespace, x: Array, /) -> Array:
    """Hyperbolic tangent."""
    return xp.tanh(x)


tanh.vjp("x")(lambda xp, g, y: g * (1 - y * y))


@op(examples=[example(normal(3, 4), normal(3, 4)), example(normal(3, 4), normal(4)), example(normal(3), 0.0)])
def maximum(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The larger of two arrays, element by element. Where they are equal, each gets half of the gradient."""
    return xp.maximum(x1, x2)


@op(examples=[example(normal(3, 4), normal(3, 4)), example(normal(3, 4), normal(4)), example(normal(3), 0.0)])
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
        example(normal(3, 4), min=-0.5, max=0.5),
        example(normal(5), max=0.1),
        example(normal(5), min=0),
    ]
)
def clip(xp: Namespace, x: Array, /, min: float | None = None, max: float | None = None) -> Array:
    """x held between two numbers; no gradient flows where it is held."""
    return xp.clip(x, min, max)


clip.vjp("x")(lambda xp, g, x, y: g * xp.astype(x == y, g.dtype))


@op(differentiable=False, examples=[example(normal(3, 4)), example(values([-1.0, 0.0, 2.0]))])
def sign(xp: Namespace, x: Array, /) -> Array:
    """-1, 0 or 1."""
    return xp.sign(x)


@op(differentiable=False, examples=[example(normal(3, 4))])
def floor(xp: Namespace, x: Array, /) -> Array:
    """The greatest whole number not above x."""
    return xp.floor(x)


@op(differentiable=False, examples=[example(normal(3, 4))])
def ceil(xp: Namespace, x: Array, /) -> Array:
    """The least whole number not below x."""
    return xp.ceil(x)


@op(differentiable=False, examples=[example(normal(3, 4))])
def round(xp: Namespace, x: Array, /) -> Array:
    """The nearest whole number; halves go to the even one."""
    return xp.round(x)


@op(differentiable=False, examples=[example(values([1.0, float("nan"), float("inf")]))])
def isfinite(xp: Namespace, x: Array, /) -> Array:
    """Whether each element is neither infinite nor NaN."""
    return xp.isfinite(x)


@op(differentiable=False, examples=[example(values([1.0, float("nan"), float("inf")]))])
def isinf(xp: Namespace, x: Array, /) -> Array:
    """Whether each element is infinite."""
    return xp.isinf(x)


@op(differentiable=False, examples=[example(values([1.0, float("nan"), float("inf")]))])
def isnan(xp: Namespace, x: Array, /) -> Array:
    """Whether each element is NaN."""
    return xp.isnan(x)


@op(differentiable=False, examples=_ORDERED)
def equal(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 == x2, element by element."""
    return xp.equal(x1, x2)


@op(differentiable=False, examples=_ORDERED)
def not_equal(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 != x2, element by element."""
    return xp.not_equal(x1, x2)


@op(differentiable=False, examples=_ORDERED)
def less(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 < x2, element by element."""
    return xp.less(x1, x2)


@op(differentiable=False, examples=_ORDERED)
def less_equal(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 <= x2, element by element."""
    return xp.less_equal(x1, x2)


@op(differentiable=False, examples=_ORDERED)
def greater(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 > x2, element by element."""
    return xp.greater(x1, x2)


@op(differentiable=False, examples=_ORDERED)
def greater_equal(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether x1 >= x2, element by element."""
    return xp.greater_equal(x1, x2)


@op(differentiable=False, examples=_TRUTH)
def logical_and(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether both are true."""
    return xp.logical_and(x1, x2)


@op(differentiable=False, examples=_TRUTH)
def logical_or(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether one or both are true."""
    return xp.logical_or(x1, x2)


@op(differentiable=False, examples=_TRUTH)
def logical_xor(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Whether exactly one is true."""
    return xp.logical_xor(x1, x2)


@op(differentiable=False, examples=[example(boolean(3, 4))])
def logical_not(xp: Namespace, x: Array, /) -> Array:
    """Whether it is false."""
    return xp.logical_not(x)
