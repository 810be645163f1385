"""What float16 and bfloat16 have neither the range nor the digits for, squares and long sums, is done in float32."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from ..autodiff.parameters import parameters_of
from ..autodiff.tree import tree_map
from ..backends import Namespace, is_half

__all__ = ["in_float32", "wide"]

F = TypeVar("F", bound=Callable[..., Any])


def in_float32(function: F) -> F:
    """Have the lines of an op, or of a vjp, see float32 where its first array is float16 or bfloat16.

    What an op gives, the first of several, is of that array's dtype again; the others are statistics, and stay. So do
    the gradients of a vjp: the engine casts them after it has summed them to their inputs' shapes.
    """
    is_vjp = "g" in parameters_of(function)[0]

    @wraps(function)
    def run(xp: Namespace, *arrays: Any, **metadata: Any) -> Any:
        first = arrays[0] if not isinstance(arrays[0], tuple) else arrays[1] if arrays[0][0] is None else arrays[0][0]
        if not is_half(getattr(first, "dtype", "")):
            return function(xp, *arrays, **metadata)
        y = function(xp, *tree_map(lambda x: wide(xp, x), arrays), **metadata)
        if is_vjp:
            return y
        if isinstance(y, tuple):
            return xp.astype(y[0], first.dtype), *y[1:]
        return xp.astype(y, first.dtype)

    return cast(F, run)


def wide(xp: Namespace, x: Any) -> Any:
    """An array of float16 or bfloat16 as float32; anything else as it is."""
    return xp.astype(x, xp.float32) if hasattr(x, "dtype") and is_half(x.dtype) else x
