"""The parts of complex numbers.

These are no holomorphic functions. In a vjp the gradient g of the output pairs with a change dy of it as Re(g * dy);
the engine conjugates at both ends of the walk, so that users see the direction of steepest ascent.
"""

from ...autodiff.examples import example, normal
from ...autodiff.op import op
from ...backends import Array, Namespace, is_complex

__all__ = ["conj", "imag", "real"]

_EXAMPLES = [example(normal(3, 4, dtype="complex128")), example(normal(dtype="complex128")), example(normal(3))]


@op(examples=_EXAMPLES)
def conj(xp: Namespace, x: Array, /) -> Array:
    """Complex conjugate: the imaginary part negated."""
    return xp.conj(x) if is_complex(x.dtype) else xp.positive(x)


conj.vjp("x")(lambda xp, g: conj(g))


@op(examples=_EXAMPLES)
def real(xp: Namespace, x: Array, /) -> Array:
    """Real part."""
    return xp.real(x) if is_complex(x.dtype) else xp.positive(x)


real.vjp("x")(lambda xp, g: g)


@op(examples=_EXAMPLES[:-1])
def imag(xp: Namespace, x: Array, /) -> Array:
    """Imaginary part."""
    return xp.imag(x)


imag.vjp("x")(lambda xp, g: g * -1j)
