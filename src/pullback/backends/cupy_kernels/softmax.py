"""Kernels of softmax and its logarithm, along the last axis."""

from typing import Any

from ..backend import Array
from .launch import Source, driver, type_of, vector_length
from .rows import ROW_TYPES, contiguous, is_floating, is_last, rows_of, threads_for
from .table import kernel

_source = Source("softmax", ("softmax", "log_softmax", "softmax_vjp", "log_softmax_vjp"), ROW_TYPES)


@kernel("softmax", declines=True)
def _(x: Array, *, axis: int = -1) -> Any:
    return _along_rows("softmax", axis, x)


@kernel("softmax.vjp(x)", declines=True)
def _(g: Array, y: Array, *, axis: int) -> Any:
    return _along_rows("softmax_vjp", axis, g, y)


@kernel("log_softmax", declines=True)
def _(x: Array, *, axis: int = -1) -> Any:
    return _along_rows("log_softmax", axis, x)


@kernel("log_softmax.vjp(x)", declines=True)
def _(g: Array, y: Array, *, axis: int) -> Any:
    return _along_rows("log_softmax_vjp", axis, g, y)


def _along_rows(function: str, axis: int, *arrays: Array) -> Any:
    first = arrays[0]
    if not is_last(axis, first.ndim) or not is_floating(*arrays):
        return NotImplemented
    given = list(map(contiguous, arrays))
    result = driver().xp.empty(first.shape, first.dtype)
    rows, columns = rows_of(first), first.shape[-1]
    if result.size:
        vector = vector_length(columns, *given, result)
        blocks, threads = threads_for(rows, columns, vector)
        _source.launch(function, f"{type_of(first.dtype)}, {vector}", blocks, threads, *given, result, rows, columns)
    return result
