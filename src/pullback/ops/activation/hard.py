"""Hard activations: straight pieces that stand in for tanh, sigmoid and silu."""

from ...autodiff.examples import example, normal, uniform
from ...backends import Array, Namespace
from ..floating import floating_op

__all__ = ["hardsigmoid", "hardswish", "hardtanh", "relu6"]

_ON_ALL_PIECES = [example(uniform(4, 5, low=-5.0, high=5.0)), example(normal())]


@floating_op(examples=[example(normal(3, 4)), example(normal(3, 4), min_val=-0.5, max_val=0.25), example(normal())])
def hardtanh(xp: Namespace, x: Array, /, *, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """x, kept between min_val and max_val."""
    return xp.minimum(xp.maximum(x, min_val), max_val)


@hardtanh.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, min_val: float, max_val: float) -> Array:
    return xp.where((x > min_val) & (x < max_val), g, xp.zeros_like(g))


def relu6(x: Array, /) -> Array:
    """x, kept between 0 and 6 (Howard et al., 2017)."""
    return hardtanh(x, min_val=0.0, max_val=6.0)


@floating_op(examples=_ON_ALL_PIECES)
def hardsigmoid(xp: Namespace, x: Array, /) -> Array:
    """x / 6 + 1 / 2, kept between 0 and 1."""
    return xp.minimum(xp.maximum(x + 3, 0), 6) / 6


@hardsigmoid.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    return xp.where((x > -3) & (x < 3), g / 6, xp.zeros_like(g))


@floating_op(examples=_ON_ALL_PIECES)
def hardswish(xp: Namespace, x: Array, /) -> Array:
    """x * hardsigmoid(x) (Howard et al., 2019)."""
    return x * (xp.minimum(xp.maximum(x + 3, 0), 6) / 6)


@hardswish.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    return xp.where(x >= 3, g, xp.where(x > -3, g * (x / 3 + 0.5), xp.zeros_like(g)))
