"""Activation functions and their vjps, of single numbers: what is compiled, by the names of the ops.

`type(x)(c)` is a constant in the precision of x; written as it is, c would be float64 and make all else so.
"""

from collections.abc import Callable
from typing import Any

from .elementwise import elementwise
from .vector_math import erf, exp, expm1, sigmoid, softplus, tanh

__all__ = ["gelu_tanh", "gelu_tanh_vjp", "kernels", "sum_of_two"]

kernels: dict[str, Callable[..., Any]] = {}
"""Functions of arrays of one shape and dtype, float32 or float64, by the name of an op or of a vjp."""


def _enter(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        kernels[name] = elementwise(function)
        return function

    return enter


@_enter("relu")
def _(x: Any) -> Any:
    return type(x)(0) if x <= 0 else x  # NaN stays NaN


@_enter("relu.vjp(x)")
def _(g: Any, y: Any) -> Any:
    return g if y > 0 else type(g)(0)


@_enter("leaky_relu")
def _(x: Any, negative_slope: Any = 0.01) -> Any:
    return x if x > 0 else x * negative_slope


@_enter("leaky_relu.vjp(x)")
def _(g: Any, x: Any, negative_slope: Any) -> Any:
    return g if x > 0 else g * negative_slope


@_enter("elu")
def _(x: Any, alpha: Any = 1.0) -> Any:
    return x if x > 0 else alpha * expm1(x)


@_enter("elu.vjp(x)")
def _(g: Any, x: Any, alpha: Any) -> Any:
    return g if x > 0 else g * alpha * exp(x)


@_enter("selu")
def _(x: Any) -> Any:
    number = type(x)
    return x * number(1.0507009873554805) if x > 0 else number(1.7580993408473766) * expm1(x)


@_enter("selu.vjp(x)")
def _(g: Any, x: Any) -> Any:
    number = type(x)
    return g * number(1.0507009873554805) if x > 0 else g * number(1.7580993408473766) * exp(x)


@_enter("hardtanh")
def _(x: Any, min_val: Any = -1.0, max_val: Any = 1.0) -> Any:
    return min_val if x < min_val else max_val if x > max_val else x


@_enter("hardtanh.vjp(x)")
def _(g: Any, x: Any, min_val: Any, max_val: Any) -> Any:
    return g if (x > min_val) & (x < max_val) else type(g)(0)


@_enter("hardsigmoid")
def _(x: Any) -> Any:
    number = type(x)
    z = x + number(3)
    return (number(0) if z < 0 else number(6) if z > 6 else z) / number(6)


@_enter("hardsigmoid.vjp(x)")
def _(g: Any, x: Any) -> Any:
    return g / type(g)(6) if (x > -3) & (x < 3) else type(g)(0)


@_enter("hardswish")
def _(x: Any) -> Any:
    number = type(x)
    z = x + number(3)
    return x * ((number(0) if z < 0 else number(6) if z > 6 else z) / number(6))


@_enter("hardswish.vjp(x)")
def _(g: Any, x: Any) -> Any:
    number = type(x)
    return g if x >= 3 else g * (x / number(3) + number(0.5)) if x > -3 else number(0)


kernels["sigmoid"] = elementwise(sigmoid)


@_enter("sigmoid.vjp(x)")
def _(g: Any, y: Any) -> Any:
    return g * y * (type(y)(1) - y)


@_enter("tanh.vjp(x)")
def _(g: Any, y: Any) -> Any:
    return g * (type(y)(1) - y * y)


@_enter("logsigmoid")
def _(x: Any) -> Any:
    return -softplus(-x)


@_enter("logsigmoid.vjp(x)")
def _(g: Any, x: Any) -> Any:
    return g * sigmoid(-x)


@_enter("softplus")
def _(x: Any, beta: Any = 1.0, threshold: Any = 20.0) -> Any:
    z = beta * x
    return x if z > threshold else softplus(z) / beta


@_enter("softplus.vjp(x)")
def _(g: Any, x: Any, beta: Any, threshold: Any) -> Any:
    z = beta * x
    return g if z > threshold else g * sigmoid(z)


@_enter("softsign")
def _(x: Any) -> Any:
    return x / (type(x)(1) + abs(x))


@_enter("softsign.vjp(x)")
def _(g: Any, x: Any) -> Any:
    size = type(x)(1) + abs(x)
    return g / (size * size)


@_enter("silu")
def _(x: Any) -> Any:
    return x * sigmoid(x)


@_enter("silu.vjp(x)")
def _(g: Any, x: Any) -> Any:
    one, s = type(x)(1), sigmoid(x)
    return g * (s * (one + x * (one - s)))


@_enter("mish")
def _(x: Any) -> Any:
    number, z = type(x), exp(-abs(x))  # tanh(softplus(x)) in powers of exp(-|x|), which does not overflow
    above = z * (z + number(2)) if x < 0 else number(1) + number(2) * z
    return x * (above / (above + number(2) * (number(1) if x < 0 else z * z)))


@_enter("mish.vjp(x)")
def _(g: Any, x: Any) -> Any:
    number, z = type(x), exp(-abs(x))
    above = z * (z + number(2)) if x < 0 else number(1) + number(2) * z
    t = above / (above + number(2) * (number(1) if x < 0 else z * z))
    s = (z if x < 0 else number(1)) / (number(1) + z)
    return g * (t + x * (number(1) - t * t) * s)


@_enter("gelu")
def _(x: Any) -> Any:
    number = type(x)
    return number(0.5) * x * (number(1) + erf(x * number(0.7071067811865476)))


@_enter("gelu.vjp(x)")
def _(g: Any, x: Any) -> Any:
    number = type(x)
    below = number(0.5) * (number(1) + erf(x * number(0.7071067811865476)))
    return g * (below + x * (exp(number(-0.5) * x * x) * number(0.3989422804014327)))


@elementwise
def gelu_tanh(x: Any) -> Any:
    """gelu with `approximate="tanh"`."""
    number = type(x)
    t = tanh(number(0.7978845608028654) * (x + number(0.044715) * x * x * x))
    return number(0.5) * x * (number(1) + t)


@elementwise
def gelu_tanh_vjp(g: Any, x: Any) -> Any:
    """The vjp of it."""
    number = type(x)
    t = tanh(number(0.7978845608028654) * (x + number(0.044715) * x * x * x))
    slope = number(0.7978845608028654) + number(0.10703222440890037) * x * x
    return g * (number(0.5) * (number(1) + t) + number(0.5) * x * (number(1) - t * t) * slope)


@elementwise
def sum_of_two(x: Any, y: Any) -> Any:
    """x + y."""
    return x + y
