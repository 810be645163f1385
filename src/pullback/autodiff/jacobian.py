"""Jacobians and Hessians: the pullback of every unit vector, in one batched walk."""

from collections.abc import Callable, Sequence
from functools import wraps
from math import prod
from typing import Any

from ..backends import backend_of, is_complex
from .tensor import Tensor, array_of
from .transforms import grad, linearize
from .tree import flatten, tree_map
from .vmap import vmap

__all__ = ["hessian", "jacobian"]


def jacobian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The function that gives the matrix of all first derivatives of `function`.

    Its result is nested as the value is, and in it as the arguments are: for each array of the value and each of the
    arguments, one of the shape of the first followed by that of the second.
    Of a complex value it is the derivative by a real argument, or the complex one of a holomorphic function.

    >>> import numpy
    >>> jacobian(lambda x: x * x)(numpy.asarray([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @wraps(function)
    def differentiated(*args: Any, **options: Any) -> Any:
        value, pullback = linearize(function, args, argnums, options, retain=True)
        parts, rebuild = flatten(value)
        zeros = [Tensor.namespace.zeros_like(y.detach() if isinstance(y, Tensor) else y) for y in parts]

        def rows(number: int, y: Any) -> Any:
            return _rows(lambda g: pullback(rebuild([*zeros[:number], g, *zeros[number + 1 :]])), y)

        return rebuild([rows(number, y) for number, y in enumerate(parts)])

    return differentiated


def _rows(pullback: Callable[[Any], Any], y: Any) -> Any:
    """The pullback of each unit vector of one array of the value, in the shape of that array."""
    xp, array = Tensor.namespace, array_of(y)
    owner, shape, size = backend_of(array), tuple(array.shape), prod(array.shape)
    units = owner.namespace.eye(size, dtype=array.dtype, device=owner.device_of(array))
    units = owner.namespace.reshape(units, (size, *shape))

    def pulled(units: Any) -> Any:
        if not size:  # no rows, of the shape that they would have
            none = owner.namespace.zeros(shape, dtype=array.dtype, device=owner.device_of(array))
            return tree_map(lambda g: g[None, ...][:0, ...], pullback(Tensor(none) if isinstance(y, Tensor) else none))
        return vmap(pullback)(Tensor(units) if isinstance(y, Tensor) else units)

    rows = pulled(units)
    if is_complex(array.dtype):
        turned = rows if _all_complex(rows) else pulled(units * 1j)  # a real argument sees the real part of each walk
        rows = tree_map(lambda g, i: xp.conj(g) if is_complex(g.dtype) else g + xp.multiply(i, 1j), rows, turned)
    return tree_map(lambda g: xp.reshape(g, (*shape, *g.shape[1:])), rows)


def _all_complex(tree: Any) -> bool:
    return all(is_complex(g.dtype) for g in flatten(tree)[0])


def hessian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The function that gives the matrix of all second derivatives of a function whose value is one number.

    Nested as the arguments are, twice: for each two arrays among them one of the shapes of both.

    >>> import numpy
    >>> hessian(lambda x: x[0] * x[0] * x[1])(numpy.asarray([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(function, argnums), argnums)
