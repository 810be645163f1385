"""Shrinkage: what is small becomes 0, or smaller."""

from ...autodiff.examples import example, normal
from ...backends import Array, Namespace
from ..floating import floating_op

__all__ = ["hardshrink", "softshrink", "tanhshrink"]

_EXAMPLES = [example(normal(3, 4)), example(normal(3, 4), lambd=0.2), example(normal())]


@floating_op(examples=_EXAMPLES)
def hardshrink(xp: Namespace, x: Array, /, *, lambd: float = 0.5) -> Array:
    """x, but 0 from -lambd to lambd."""
    return xp.where(xp.abs(x) <= lambd, xp.zeros_like(x), x)


@hardshrink.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, lambd: float) -> Array:
    return xp.where(xp.abs(x) <= lambd, xp.zeros_like(g), g)


@floating_op(examples=_EXAMPLES)
def softshrink(xp: Namespace, x: Array, /, *, lambd: float = 0.5) -> Array:
    """x moved towards 0 by lambd, and 0 where it is nearer.

    Raises ValueError when lambd is negative.
    """
    if lambd < 0:
        raise ValueError(f"softshrink moves by lambd, which is 0 or more; got {lambd!r}")
    return x - xp.minimum(xp.maximum(x, -lambd), lambd)


@softshrink.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, lambd: float) -> Array:
    return xp.where(xp.abs(x) <= lambd, xp.zeros_like(g), g)


@floating_op(examples=[example(normal(3, 4)), example(normal())])
def tanhshrink(xp: Namespace, x: Array, /) -> Array:
    """x - tanh(x)."""
    return x - xp.tanh(x)


@tanhshrink.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    t = xp.tanh(x)
    return g * (t * t)
