"""Gates: one half of the input decides how much of the other passes."""

from ...autodiff.examples import example, normal
from ...backends import Array, Namespace
from ..floating import floating_op
from .smooth import sigmoid

__all__ = ["glu"]


@floating_op(examples=[example(normal(3, 4)), example(normal(2, 6, 3), axis=1), example(normal(4, 0), axis=0)])
def glu(xp: Namespace, x: Array, /, *, axis: int = -1) -> Array:
    """The first half of x along an axis, times the sigmoid of the second (Dauphin, Fan, Auli and Grangier, 2017).

    Raises ValueError where the axis has no halves.
    """
    values, gates = _halves(x, axis)
    return values * sigmoid(gates)


@glu.vjp("x")
def _(xp: Namespace, g: Array, x: Array, *, axis: int) -> Array:
    values, gates = _halves(x, axis)
    s = sigmoid(gates)
    return xp.concat([g * s, g * values * (s * (1 - s))], axis=axis)


def _halves(x: Array, axis: int) -> tuple[Array, Array]:
    if x.shape[axis] % 2:
        raise ValueError(f"glu halves the axis {axis}, so it must be of even length; got shape {tuple(x.shape)}")
    before, half = (slice(None),) * (axis % len(x.shape)), x.shape[axis] // 2
    return x[(*before, slice(half), ...)], x[(*before, slice(half, None), ...)]
