"""Kernels of activation functions."""

from typing import Any

from ..host import host as np
from .table import kernel


@kernel("relu")
def _(x: Any) -> Any:
    return np.maximum(x, 0)


@kernel("relu.vjp(x)")
def _(g: Any, y: Any) -> Any:
    return g * (y > 0)


@kernel("softmax")
def _(x: Any, *, axis: int = -1) -> Any:
    e = np.exp(x - np.maximum.reduce(x, axis=axis, keepdims=True))
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    return e


@kernel("softmax.vjp(x)")
def _(g: Any, y: Any, *, axis: int) -> Any:
    gy = g * y
    gy -= y * np.add.reduce(gy, axis=axis, keepdims=True)
    return gy


@kernel("log_softmax")
def _(x: Any, *, axis: int = -1) -> Any:
    shifted = x - np.maximum.reduce(x, axis=axis, keepdims=True)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))
    return shifted


@kernel("log_softmax.vjp(x)")
def _(g: Any, y: Any, *, axis: int) -> Any:
    p = np.exp(y)
    p *= np.add.reduce(g, axis=axis, keepdims=True)
    return np.subtract(g, p, out=p)
