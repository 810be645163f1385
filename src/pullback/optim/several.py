"""Several arrays at once: the gradients of all parameters, which lie apart, taken together by one op."""

from functools import reduce

from ..autodiff.examples import example, normal, values
from ..autodiff.op import op
from ..backends import Array, Namespace
from ..ops.precision import wide

__all__ = ["all_finite", "scale_all", "sum_of_squares"]

_SEVERAL = [example(normal(3, 4), normal(5)), example(normal(2))]


@op(differentiable=False, examples=_SEVERAL)
def sum_of_squares(xp: Namespace, *arrays: Array) -> Array:
    """The sum of the squares of all elements of all arrays, 0-d; of float16 and bfloat16 in float32.

    arrays: at least one; all of one dtype, in one place. Where one element is not finite, neither is the sum.
    """
    squares = [xp.sum(x * x) for x in (wide(xp, x) for x in arrays)]
    return reduce(lambda a, b: a + b, squares)


@op(differentiable=False, examples=[*_SEVERAL, example(values([1.0, float("inf")]), normal(2))])
def all_finite(xp: Namespace, *arrays: Array) -> Array:
    """Whether every element of all arrays, which are of one dtype and in one place, is finite, 0-d."""
    return reduce(xp.logical_and, [xp.all(xp.isfinite(x)) for x in arrays])


@op(differentiable=False, examples=[example(normal(), *e.inputs) for e in _SEVERAL])
def scale_all(xp: Namespace, factor: Array, *arrays: Array) -> tuple[Array, ...]:
    """All arrays times one number.

    factor: 0-d, or a Python number. arrays: of one dtype, which the results have too.
    """
    return tuple(x * xp.astype(factor, x.dtype) if hasattr(factor, "dtype") else x * factor for x in arrays)
