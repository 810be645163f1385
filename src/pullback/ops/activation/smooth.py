"""Smooth activations: sigmoid, and what is made of it and of the normal distribution."""

from math import pi, sqrt

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal
from ...backends import Array, Namespace
from ..floating import floating_op
from ..special import erf

__all__ = ["gelu", "logsigmoid", "mish", "sigmoid", "silu", "softplus", "softsign"]

_SMOOTH = [example(normal(3, 4)), example(normal())]


@floating_op(examples=_SMOOTH)
def sigmoid(xp: Namespace, x: Array, /) -> Array:
    """1 / (1 + exp(-x)), written so that exp never overflows."""
    z = xp.exp(-xp.abs(x))
    return xp.where(x < 0, z, xp.ones_like(z)) / (1 + z)


sigmoid.vjp("x")(lambda xp, g, y: g * y * (1 - y))


@floating_op(examples=_SMOOTH)
def silu(xp: Namespace, x: Array, /) -> Array:
    """x * sigmoid(x), also called swish (Elfwing, Uchibe and Doya, 2018)."""
    return x * sigmoid(x)


@silu.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    s = sigmoid(x)
    return g * s * (1 + x * (1 - s))


@floating_op(examples=[example(normal(3, 4)), example(normal(3, 4), approximate="tanh"), example(normal())])
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
def pulled_through_gelu(xp: Namespace, g: Array, x: Array, *, approximate: str) -> Array:
    """The gradient of gelu's input, of that of its result."""
    if approximate == "tanh":
        t = xp.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))
        slope = sqrt(2 / pi) * (1 + 3 * 0.044715 * x * x)
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
    density = xp.exp(-0.5 * x * x) * (1 / sqrt(2 * pi))
    return g * (0.5 * (1 + erf(x * sqrt(0.5))) + x * density)


@autocasts_to("float32")
@floating_op(examples=[example(normal(3, 4)), example(normal(3, 4), beta=2.0, threshold=1.0), example(normal())])
def softplus(xp: Namespace, x: Array, /, *, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta * x)) / beta: a smooth relu. x itself where beta * x is above the threshold."""
    z = beta * x
    smooth = xp.maximum(z, 0) + xp.log1p(xp.exp(-xp.abs(z)))
    return xp.where(z > threshold, x, smooth / beta)


@softplus.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, beta: float, threshold: float) -> Array:
    z = beta * x
    bent = xp.where(z >= threshold, xp.full_like(z, threshold), z)  # from the threshold on the slope is constant
    return xp.where(z > threshold, g, g * sigmoid(bent))


@floating_op(examples=_SMOOTH)
def logsigmoid(xp: Namespace, x: Array, /) -> Array:
    """The logarithm of sigmoid, which stays finite where sigmoid rounds to 0."""
    return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))


logsigmoid.vjp("x")(lambda xp, g, x: g * sigmoid(-x))


@floating_op(examples=_SMOOTH)
def mish(xp: Namespace, x: Array, /) -> Array:
    """x * tanh(softplus(x)) (Misra, 2019)."""
    return x * xp.tanh(softplus(x))


@mish.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    t = xp.tanh(softplus(x))
    return g * (t + x * (1 - t * t) * sigmoid(x))


@floating_op(examples=_SMOOTH)
def softsign(xp: Namespace, x: Array, /) -> Array:
    """x / (1 + |x|) (Turian, Bergstra and Bengio, 2009)."""
    return x / (1 + xp.abs(x))


@softsign.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    size = 1 + xp.abs(x)
    return g / (size * size)
