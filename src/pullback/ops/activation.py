"""Activation functions. Their derivatives at a kink are those of the left side: relu'(0) = 0."""

from math import pi, sqrt

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace
from .special import erf

__all__ = ["elu", "gelu", "leaky_relu", "log_softmax", "relu", "sigmoid", "silu", "softmax", "softplus"]

_SMOOTH = [example(normal(3, 4)), example(normal())]
_KINKED = normal(3, 4, away_from_zero=0.1)


@op(examples=[example(_KINKED), example(normal(away_from_zero=0.1))])
def relu(xp: Namespace, x: Array, /) -> Array:
    """x where it is positive, else 0."""
    return xp.maximum(x, 0)


relu.vjp("x")(lambda xp, g, y: g * xp.astype(y > 0, g.dtype))


@op(examples=[example(_KINKED), example(_KINKED, negative_slope=0.3), example(normal(away_from_zero=0.1))])
def leaky_relu(xp: Namespace, x: Array, /, *, negative_slope: float = 0.01) -> Array:
    """x where it is positive, else `negative_slope` times x (Maas, Hannun and Ng, 2013)."""
    return xp.where(x > 0, x, x * negative_slope)


@leaky_relu.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, negative_slope: float) -> Array:
    return xp.where(x > 0, g, g * negative_slope)


@op(examples=[example(_KINKED), example(_KINKED, alpha=0.5), example(normal(away_from_zero=0.1))])
def elu(xp: Namespace, x: Array, /, *, alpha: float = 1.0) -> Array:
    """x where it is positive, else alpha * (exp(x) - 1) (Clevert, Unterthiner and Hochreiter, 2016)."""
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


@elu.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, alpha: float) -> Array:
    return xp.where(x > 0, g, g * alpha * xp.exp(xp.minimum(x, 0)))


@op(examples=_SMOOTH)
def sigmoid(xp: Namespace, x: Array, /) -> Array:
    """1 / (1 + exp(-x)), written so that exp never overflows."""
    z = xp.exp(-xp.abs(x))
    return xp.where(x < 0, z, xp.ones_like(z)) / (1 + z)


sigmoid.vjp("x")(lambda xp, g, y: g * y * (1 - y))


@op(examples=_SMOOTH)
def silu(xp: Namespace, x: Array, /) -> Array:
    """x * sigmoid(x), also called swish (Elfwing, Uchibe and Doya, 2018)."""
    return x * sigmoid(x)


@silu.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    s = sigmoid(x)
    return g * s * (1 + x * (1 - s))


@op(examples=[example(normal(3, 4)), example(normal(3, 4), approximate="tanh"), example(normal())])
def gelu(xp: Namespace, x: Array, /, *, approximate: str = "none") -> Array:
    """x times the normal distribution's probability below x (Hendrycks and Gimpel, 2016).

    approximate: `"none"` is exact, `"tanh"` the paper's approximation.
    """
    if approximate == "tanh":
        return 0.5 * x * (1 + xp.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)))
    if approximate != "none":
        raise ValueError(f"approximate is 'none' or 'tanh'; got {approximate!r}")
    return 0.5 * x * (1 + erf(x * sqrt(0.5)))


@gelu.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, approximate: str) -> Array:
    if approximate == "tanh":
        t = xp.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))
        slope = sqrt(2 / pi) * (1 + 3 * 0.044715 * x * x)
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
    density = xp.exp(-0.5 * x * x) * (1 / sqrt(2 * pi))
    return g * (0.5 * (1 + erf(x * sqrt(0.5))) + x * density)


@op(examples=[example(normal(3, 4)), example(normal(3, 4), beta=2.0, threshold=1.0), example(normal())])
def softplus(xp: Namespace, x: Array, /, *, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta * x)) / beta: a smooth relu. x itself where beta * x is above the threshold."""
    z = beta * x
    smooth = xp.maximum(z, 0) + xp.log1p(xp.exp(-xp.abs(z)))
    return xp.where(z > threshold, x, smooth / beta)


@softplus.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, beta: float, threshold: float) -> Array:
    return xp.where(beta * x > threshold, g, g * sigmoid(beta * x))


@op(examples=[example(normal(3, 4)), example(normal(2, 3, 4), axis=1)])
def softmax(xp: Namespace, x: Array, /, *, axis: int = -1) -> Array:
    """Positive values that sum to 1 along an axis, in the ratios of exp(x)."""
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


@softmax.vjp("x")
def _(xp: Namespace, g: Array, y: Array, *, axis: int) -> Array:
    gy = g * y
    return gy - y * xp.sum(gy, axis=axis, keepdims=True)


@op(examples=[example(normal(3, 4)), example(normal(2, 3, 4), axis=1)])
def log_softmax(xp: Namespace, x: Array, /, *, axis: int = -1) -> Array:
    """The logarithm of softmax, which stays finite where softmax rounds to 0."""
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


@log_softmax.vjp("x")
def _(xp: Namespace, g: Array, y: Array, *, axis: int) -> Array:
    return g - xp.exp(y) * xp.sum(g, axis=axis, keepdims=True)
