"""Several arrays at once: the gradients of all parameters, which lie apart, taken together by one op."""

from functools import reduce

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace
from ..ops.precision import wide

__all__ = ["scale_all", "sum_of_squares", "unscale_all"]

_SEVERAL = [example(normal(3, 4), normal(5)), example(normal(2))]
_SCALED = [example(normal(), *each.inputs) for each in _SEVERAL]


@op(differentiable=False, examples=_SEVERAL)
def sum_of_squares(xp: Namespace, *arrays: Array) -> Array:
    """The sum of the squares of all elements of all arrays, 0-d; of float16 and bfloat16 in float32.

    arrays: at least one; all of one dtype, in one place. Where one element is not finite, neither is the sum.
    """
    squares = [xp.sum(x * x) for x in (wide(xp, x) for x in arrays)]
    return reduce(lambda a, b: a + b, squares)


@op(differentiable=False, examples=_SCALED)
def scale_all(xp: Namespace, factor: Array, *arrays: Array) -> tuple[Array, ...]:
    """All arrays times one number.

    factor: 0-d, or a Python number. arrays: of one dtype, which the results have too.
    """
    return tuple(x * xp.astype(factor, x.dtype) if hasattr(factor, "dtype") else x * factor for x in arrays)


@op(differentiable=False, examples=_SCALED)
def unscale_all(xp: Namespace, factor: Array, *arrays: Array) -> tuple[Array, ...]:
    """All arrays times one number as `scale_all` gives them, behind what a step has to know of them.

    That comes first: the sum of the squares of the results, as `sum_of_squares` gives it, and whether every element of
    the arrays is finite, 0-d. A backend may find all of it in one pass.
    """
    scaled = scale_all(factor, *arrays)
    finite = reduce(xp.logical_and, [xp.all(xp.isfinite(x)) for x in arrays])
    return sum_of_squares(*scaled), finite, *scaled
