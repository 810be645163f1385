"""Kernels of the standard's own functions."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ..bfloat16 import matmul
from ..dtypes import dtype_name
from ..host import host as np
from ..numba_kernels.activation import sum_of_two
from .activation import are_worthwhile
from .table import AN_ARRAY, kernel, kernels

kernels |= {
    name: partial(getattr(np, name), **AN_ARRAY)
    for name in (
        *("add", "subtract", "multiply", "divide", "negative", "exp", "log", "sqrt", "tanh", "square", "abs"),
        *("maximum", "minimum", "sign", "sin", "cos", "floor", "equal", "less", "greater"),
    )
} | {"matmul": matmul, "unique_values": np.unique_values, "divide.vjp(x1)": np.divide}


_sum_of_any = kernels["add"]


@kernel("add")
def _(x1: Any, x2: Any) -> Any:
    # What residual connections add, threads have just written: each adds what is still in its cache.
    if (
        type(x1) is type(x2) is np.ndarray
        and are_worthwhile(x1, x2)
        and x1.flags.c_contiguous
        and x2.flags.c_contiguous
    ):
        return sum_of_two(x1, x2)
    return _sum_of_any(x1, x2)


@kernel("multiply.vjp(x1)")
@kernel("multiply.vjp(x2)")
def _(g: Any, other: Any) -> Any:
    # An array of no axes gives its scalar, and two scalars multiply many times faster.
    return g * (other[()] if isinstance(other, np.ndarray) else other)


def _like(make: Callable[..., Any]) -> Callable[..., Any]:
    def make_like(x: Any, *, dtype: Any = None, device: Any = None) -> Any:
        return make(x, dtype=dtype if dtype is None else dtype_name(dtype), device=device)

    return make_like


kernels |= {f"{name}_like": _like(getattr(np, f"{name}_like")) for name in ("empty", "ones", "zeros")}


@kernel("reshape")
def _(x: Any, *, shape: Any, copy: bool | None = None) -> Any:
    return x.reshape(shape) if copy is None else np.reshape(x, shape, copy=copy)


@kernel("permute_dims")
def _(x: Any, *, axes: Any) -> Any:
    return x.transpose(axes)


@kernel("squeeze", declines=True)
def _(x: Any, *, axis: Any) -> Any:
    return x.squeeze(axis) if isinstance(axis, int) else NotImplemented


@kernel("slice")
def _(x: Any, *, key: Any) -> Any:
    return x[key]


@kernel("clip", declines=True)
def _(x: Any, least: Any = None, most: Any = None) -> Any:
    if x.dtype.kind != "f" or type(least) is not float or type(most) is not float:
        return NotImplemented  # what the standard says of other bounds is the namespace's to know
    return np.minimum(np.maximum(x, least, **AN_ARRAY), most, **AN_ARRAY)


@kernel("repeat")
def _(x: Any, repeats: Any, *, axis: int) -> Any:
    return x.repeat(repeats, axis)


@kernel("count_nonzero")
def _(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return np.asarray(np.count_nonzero(x, axis=axis, keepdims=keepdims))


@kernel("matrix_transpose")
def _(x: Any) -> Any:
    return x.mT
