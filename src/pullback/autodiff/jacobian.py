"""Jacobians and Hessians: the pullback of every unit vector, in one batched walk."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from ..backends import backend_of, is_complex
from .tensor import Tensor
from .transforms import grad, linearize
from .tree import tree_map
from .vmap import vmap

__all__ = ["hessian", "jacobian"]


def jacobian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The function that gives the matrix of all first derivatives of `function`.

    Its result has the shape of the value (one Tensor) followed by that of the argument, for each array in it.
    Of a complex value it is the complex derivative of a holomorphic function.

    >>> import numpy
    >>> jacobian(lambda x: x * x)(numpy.asarray([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @wraps(function)
    def differentiated(*args: Any, **options: Any) -> Any:
        y, pullback = linearize(function, args, argnums, options, retain=True)
        array = y.array if isinstance(y, Tensor) else y
        owner, size = backend_of(array), (y.size if isinstance(y, Tensor) else Tensor(y).size)
        units = owner.namespace.eye(size, dtype=array.dtype, device=owner.device_of(array))
        units = owner.namespace.reshape(units, (size, *array.shape))
        rows = vmap(pullback)(Tensor(units) if isinstance(y, Tensor) else units)
        xp = Tensor.namespace

        def shaped(row: Any) -> Any:
            row = xp.conj(row) if is_complex(array.dtype) else row
            return xp.reshape(row, (*array.shape, *row.shape[1:]))

        return tree_map(shaped, rows)

    return differentiated


def hessian(function: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The function that gives the matrix of all second derivatives of a function whose value is one number.

    >>> import numpy
    >>> hessian(lambda x: x[0] * x[0] * x[1])(numpy.asarray([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(function, argnums), argnums)
