"""Kernels of the affine map."""

from functools import lru_cache
from math import prod
from typing import Any

from ..bfloat16 import rounded_once
from ..host import host as np
from ..numba_kernels import is_float, is_worthwhile, products
from .table import kernel, kernels

__all__ = ["sum_of_rows", "transposed_product"]


@rounded_once
def sum_of_rows(x: Any) -> Any:
    """The sum of x (rows, columns) along the first axis."""
    if not x.size or not is_float(x.dtype):
        return np.add.reduce(x, axis=0)
    if is_worthwhile(x.size) and x.flags.c_contiguous:
        return products.sum_of_rows(x)
    return _ones(len(x), x.dtype).dot(x)  # BLAS sums columns twice as fast as NumPy


@lru_cache(maxsize=16)
def _ones(length: int, dtype: Any) -> Any:
    return np.ones(length, dtype)


def transposed_product(a: Any, b: Any) -> Any:
    """The transpose of a (K, M) times b (K, N)."""
    if b.size * a.shape[1] >= products.FEWEST and products.are_worthwhile(a.shape[1], *b.shape, a, b):
        return products.product(a.T, b)
    return np.matmul(a.T, b)


@kernel("linear")
@rounded_once
def _(x: Any, weight: Any, bias: Any = None) -> Any:
    rows, columns = x if x.ndim == 2 else _rows(x), weight.shape[0]
    if x.size * columns >= products.FEWEST and products.are_worthwhile(*rows.shape, columns, rows, weight, bias):
        y = products.product(rows, weight.T, bias)
    else:
        y = np.matmul(rows, weight.T)
        if bias is not None:
            y = np.add(y, bias, out=y if y.dtype == bias.dtype else None)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], columns)


@kernel("linear.vjp(weight)")
@rounded_once
def _(g: Any, x: Any) -> Any:
    return transposed_product(g, x) if x.ndim == 2 else transposed_product(_rows(g), _rows(x))


def _rows(x: Any) -> Any:
    """All axes but the last as one."""
    return x.reshape(prod(x.shape[:-1]), x.shape[-1])


@kernel("linear.vjp(x)")
@rounded_once
def _(g: Any, weight: Any) -> Any:
    rows, columns = g if g.ndim == 2 else _rows(g), weight.shape[1]
    if g.size * columns >= products.FEWEST and products.are_worthwhile(*rows.shape, columns, rows, weight):
        gx = products.product(rows, weight)
    else:
        gx = np.matmul(rows, weight)
    return gx if g.ndim == 2 else gx.reshape(*g.shape[:-1], columns)


@kernel("linear.vjp(bias)")
def _(g: Any) -> Any:
    return sum_of_rows(g if g.ndim == 2 else _rows(g))


@kernel("linear.vjp(weight,bias)")
def _(g: Any, x: Any) -> Any:
    return kernels["linear.vjp(weight)"](g, x), kernels["linear.vjp(bias)"](g)
