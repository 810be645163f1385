"""Sums of exponentials, and products with logarithms, in logarithms."""

from math import inf

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal, uniform, values
from ...autodiff.op import op
from ...backends import Array, Namespace
from ..precision import in_float32
from ..statistical import Axis, axes_of, kept

__all__ = ["logsumexp", "xlogy"]


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 4)),
        example(normal(2, 3, 4), axis=-2),
        example(normal(2, 3, 4), axis=(0, 2), keepdims=True),
        example(normal(3, 4), axis=1, keepdims=True),
        example(normal()),
        example(normal(0, 3), axis=1),
        example(values([], differentiable=False)),
        example(values([[1.0, -inf, 2.0], [1000.0, 999.0, 0.0]]), axis=1),
        example(values([[-inf, -inf], [inf, 1.0]], differentiable=False), axis=1),
    ]
)
@in_float32
def logsumexp(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) over the axes, which neither overflows nor rounds to -inf; -inf where there is nothing to sum.

    x: real floating. axis: one, several or, by default, all.
    Its gradient is softmax; where the result is infinite, it is 0.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> round(special.logsumexp(pb.tensor([1000.0, 1000.0])).item(), 2)
    1000.69
    """
    if any(x.shape[a] == 0 for a in axes_of(x.shape, axis)):
        return xp.sum(x, axis=axis, keepdims=keepdims) - inf
    most = xp.max(x, axis=axis, keepdims=True)
    shift = xp.where(xp.isinf(most), xp.zeros_like(most), most)
    # What is above the shift is infinite, and counts as 1 for the sum: the result is infinite by `most`.
    total = xp.sum(xp.exp(xp.minimum(x - shift, 0.0)), axis=axis, keepdims=keepdims)
    most = most if keepdims else xp.reshape(most, total.shape)
    return most + xp.log(xp.maximum(total, 1.0))


@logsumexp.vjp("x")
def _(xp: Namespace, g: Array, x: Array, y: Array, *, axis: Axis, keepdims: bool) -> Array:
    y = kept(xp, y, x.shape, axis, keepdims)
    infinite = xp.isinf(y)
    share = xp.exp(xp.where(infinite, -inf, x - xp.where(infinite, xp.zeros_like(y), y)))
    return kept(xp, g, x.shape, axis, keepdims) * share


@op(
    examples=[
        example(normal(3, 4), uniform(3, 4, low=0.5, high=2)),
        example(normal(3, 1), uniform(4, low=0.5, high=2)),
        example(normal(), uniform(low=0.5, high=2)),
        example(values([0.0, 0.0, -2.0]), uniform(3, low=0.5, high=2)),
        example(values([0.0, 0.0, 1.0], differentiable=False), values([0.0, -1.0, 2.0], differentiable=False)),
        example(2.0, uniform(3, low=0.5, high=2)),
        example(normal(3), 3.0),
        example(0, uniform(3, low=0.5, high=2)),
    ]
)
def xlogy(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """x1 * log(x2), and 0 where x1 is 0, whatever x2 is (unless it is NaN).

    x1, x2: real floating, broadcast together; one of the two may be a number.
    Where x1 is 0, the gradient of x2 is 0, and so is that of x1 if x2 is not positive, where log(x2) would be none.

    >>> import pullback as pb
    >>> from pullback.ops import special
    >>> special.xlogy(pb.tensor(0.0), pb.tensor(0.0)).item()
    0.0
    """
    x1, x2 = _arrays(xp, x1, x2)
    silent = xp.logical_and(x1 == 0, x2 == x2)
    return x1 * xp.log(xp.where(silent, xp.ones_like(x2), x2))


@xlogy.vjp("x1")
def _(xp: Namespace, g: Array, x1: Array, x2: Array) -> Array:
    x1, x2 = _arrays(xp, x1, x2)
    return g * xp.log(xp.where(xp.logical_and(x1 == 0, x2 <= 0), xp.ones_like(x2), x2))


@xlogy.vjp("x2")
def _(xp: Namespace, g: Array, x1: Array, x2: Array) -> Array:
    x1, x2 = _arrays(xp, x1, x2)
    return g * x1 / xp.where(xp.logical_and(x1 == 0, x2 == 0), xp.ones_like(x2), x2)


def _arrays(xp: Namespace, x1: Array, x2: Array) -> tuple[Array, Array]:
    """Both as arrays, where one is a number."""
    if isinstance(x1, (int, float)):
        return xp.full_like(x2, x1), x2
    return x1, xp.full_like(x1, x2) if isinstance(x2, (int, float)) else x2
