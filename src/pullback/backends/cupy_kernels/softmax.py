"""Kernels of softmax and its logarithm, along the last axis."""

from typing import Any, Final

from ..backend import Array
from ..dtypes import HALVES, dtype_name, is_half
from .factors import wide_dtype
from .launch import Source, driver, type_of, vector_length
from .rows import ROW_TYPES, are_floating, contiguous, is_last, rows_of, threads_for
from .table import kernel

__all__ = ["result_dtype"]

_SAME: Final = [f"{types.partition(',')[0]}, {types}" for types in ROW_TYPES]
_WIDER: Final = [f"{half}, float, {length}" for half in HALVES for length in (1, 4)]
"""Of half precision in float, as `dtype` asks for it. Four floats are 16 bytes."""

_source = Source("softmax", ("softmax", "log_softmax", "softmax_vjp", "log_softmax_vjp"), _SAME + _WIDER)


@kernel("softmax", declines=True)
def _(x: Array, *, axis: int = -1, dtype: Any = None) -> Any:
    return _normalized("softmax", x, axis, dtype)


@kernel("softmax.vjp(x)", declines=True)
def _(g: Array, y: Array, x_dtype: Any, *, axis: int) -> Any:
    return _pulled("softmax_vjp", g, y, x_dtype, axis)


@kernel("log_softmax", declines=True)
def _(x: Array, *, axis: int = -1, dtype: Any = None) -> Any:
    return _normalized("log_softmax", x, axis, dtype)


@kernel("log_softmax.vjp(x)", declines=True)
def _(g: Array, y: Array, x_dtype: Any, *, axis: int) -> Any:
    return _pulled("log_softmax_vjp", g, y, x_dtype, axis)


def result_dtype(x: Array, dtype: Any) -> Any:
    """What a kernel gives of an array of its, told to compute in a dtype or in none; None where it cannot."""
    if dtype is None:
        return x.dtype
    name, wide = dtype_name(dtype), wide_dtype(x)
    return wide if name == dtype_name(wide) else x.dtype if name == dtype_name(x.dtype) else None


def _normalized(function: str, x: Array, axis: int, dtype: Any) -> Any:
    if not is_last(axis, x.ndim) or not are_floating(x) or (given := result_dtype(x, dtype)) is None:
        return NotImplemented
    y = driver().xp.empty(x.shape, given)
    _launch(function, x.dtype, y.dtype, contiguous(x), y)
    return y


def _pulled(function: str, g: Array, y: Array, x_dtype: Any, axis: int) -> Any:
    if not is_last(axis, y.ndim) or not are_floating(g, y):
        return NotImplemented
    narrow = is_half(x_dtype) and type_of(y.dtype) == "float"
    gx = driver().xp.empty(y.shape, x_dtype if narrow else y.dtype)
    _launch(function, gx.dtype, y.dtype, contiguous(g), contiguous(y), gx)
    return gx


def _launch(function: str, of_input: Any, of_output: Any, *arrays: Array) -> None:
    """Run a function on the rows of arrays, in which the op's input and its output have those data types."""
    last = arrays[-1]
    if last.size:
        rows, columns = rows_of(last), last.shape[-1]
        vector = vector_length(columns, *(arrays if arrays[0].dtype == of_output else arrays[::-1]))  # the wider first
        blocks, threads = threads_for(rows, columns, vector)
        types = f"{type_of(of_input)}, {type_of(of_output)}, {vector}"
        _source.launch(function, types, blocks, threads, *arrays, rows, columns)
