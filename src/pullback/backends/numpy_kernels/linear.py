"""Kernels of the affine map."""

from math import prod
from typing import Any

from ..host import host as np
from .table import kernel


@kernel("linear")
def _(x: Any, weight: Any, bias: Any = None) -> Any:
    y = np.matmul(_rows(x), weight.T)
    if bias is not None:
        y = np.add(y, bias, out=y if y.dtype == bias.dtype else None)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], weight.shape[0])


@kernel("linear.vjp(weight)")
def _(g: Any, x: Any) -> Any:
    return np.matmul(_rows(g).T, _rows(x))


def _rows(x: Any) -> Any:
    return x if x.ndim == 2 else x.reshape(prod(x.shape[:-1]), x.shape[-1])


@kernel("linear.vjp(x)")
def _(g: Any, weight: Any) -> Any:
    if g.ndim <= 2 or not g.size:
        return np.matmul(g, weight)
    return np.matmul(g.reshape(-1, g.shape[-1]), weight).reshape(*g.shape[:-1], weight.shape[1])


@kernel("linear.vjp(bias)")
def _(g: Any) -> Any:
    if g.ndim < 2 or not g.size or g.dtype.char not in "fd":
        return np.add.reduce(g, axis=tuple(range(g.ndim - 1)))
    flat = g if g.ndim == 2 else g.reshape(-1, g.shape[-1])
    return np.matmul(np.ones(flat.shape[0], g.dtype), flat)  # BLAS sums columns twice as fast as NumPy
