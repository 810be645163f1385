"""Kernels of the affine map."""

from typing import Any

from ..host import host as np
from ..numba_kernels import is_worthwhile, products
from .table import kernel

__all__ = ["sum_of_rows", "transposed_product"]


def sum_of_rows(x: Any) -> Any:
    """The sum of x (rows, columns) along the first axis."""
    if not x.size or x.dtype.char not in "fd":
        return np.add.reduce(x, axis=0)
    if is_worthwhile(x.size) and x.flags.c_contiguous:
        return products.sum_of_rows(x)
    return np.matmul(np.ones(len(x), x.dtype), x)  # BLAS sums columns twice as fast as NumPy


def transposed_product(a: Any, b: Any) -> Any:
    """The transpose of a (K, M) times b (K, N)."""
    if products.are_worthwhile(a.shape[1], *b.shape, a, b):
        return products.product(a.T, b)
    return np.matmul(a.T, b)


@kernel("linear")
def _(x: Any, weight: Any, bias: Any = None) -> Any:
    flat = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    if products.are_worthwhile(*flat.shape, weight.shape[0], flat, weight, bias):
        y = products.product(flat, weight.T, bias)
    else:
        y = np.matmul(flat, weight.T)
        if bias is not None:
            y += bias
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], weight.shape[0])


@kernel("linear.vjp(weight)")
def _(g: Any, x: Any) -> Any:
    if g.ndim != 2:
        g, x = g.reshape(-1, g.shape[-1]), x.reshape(-1, x.shape[-1])
    return transposed_product(g, x)


@kernel("linear.vjp(x)")
def _(g: Any, weight: Any) -> Any:
    flat = g if g.ndim <= 2 or not g.size else g.reshape(-1, g.shape[-1])
    if g.ndim > 1 and products.are_worthwhile(*flat.shape, weight.shape[1], flat, weight):
        gx = products.product(flat, weight)
    else:
        gx = np.matmul(flat, weight)
    return gx.reshape(*g.shape[:-1], weight.shape[1])


@kernel("linear.vjp(bias)")
def _(g: Any) -> Any:
    return sum_of_rows(g if g.ndim == 2 else g.reshape(-1, g.shape[-1]))
