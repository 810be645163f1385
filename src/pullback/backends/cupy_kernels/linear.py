"""Kernels of matrix products and of the affine map."""

from typing import Any

from ..backend import Array
from .columns import relu_vjp_and_sums, sum_of_rows
from .products import are_multiplied, product
from .rows import are_floating, contiguous, rows_of
from .table import kernel


@kernel("matmul", declines=True)
def _(x1: Array, x2: Array) -> Any:
    if not are_multiplied(x1, x2) or not _agree(x1, x2):
        return NotImplemented
    y = product(x1[None, :] if x1.ndim == 1 else x1, x2[:, None] if x2.ndim == 1 else x2)
    if x1.ndim == 1:
        y = y[..., 0, :]
    return y[..., 0] if x2.ndim == 1 else y


def _agree(x1: Array, x2: Array) -> bool:
    """Whether shapes can be multiplied: where they cannot, the library itself says why."""
    if not x1.ndim or not x2.ndim or x1.shape[-1] != x2.shape[-2 if x2.ndim > 1 else 0]:
        return False
    first, second = x1.shape[:-2], x2.shape[:-2]
    return all(m == n or m == 1 or n == 1 for m, n in zip(first[::-1], second[::-1], strict=False))


@kernel("matmul.vjp(x1)", declines=True)
def _(g: Array, x1_shape: tuple[int, ...], x2: Array) -> Any:
    if not are_multiplied(g, x2) or x2.ndim == 1 or len(x1_shape) == 1:
        return NotImplemented
    return product(g, x2.swapaxes(-1, -2))


@kernel("matmul.vjp(x2)", declines=True)
def _(g: Array, x1: Array, x2_shape: tuple[int, ...]) -> Any:
    if not are_multiplied(g, x1) or x1.ndim == 1 or len(x2_shape) == 1:
        return NotImplemented
    if len(x2_shape) == 2 and x1.ndim > 2:  # one matrix for a stack: all rows are summed by one product
        x1, g = _rows(x1), _rows(g)
    return product(x1.swapaxes(-1, -2), g)


@kernel("linear", declines=True)
def _(x: Array, weight: Array, bias: Array | None = None) -> Any:
    return _affine(x, weight, bias, relu=False)


@kernel("linear.vjp(x)", declines=True)
def _(g: Array, weight: Array) -> Any:
    return _pulled_to_x(g, weight) if are_multiplied(g, weight) else NotImplemented


@kernel("linear.vjp(weight)", declines=True)
def _(g: Array, x: Array) -> Any:
    return product(_rows(g).T, _rows(x)) if are_multiplied(g, x) else NotImplemented


@kernel("linear.vjp(bias)", declines=True)
def _(g: Array) -> Any:
    return sum_of_rows(contiguous(g)) if are_floating(g) else NotImplemented


@kernel("linear_relu", declines=True)
def _(x: Array, weight: Array, bias: Array | None = None, **metadata: Any) -> Any:
    return _affine(x, weight, bias, relu=True)


@kernel("linear_relu.vjp(x,weight,bias)", declines=True)
def _(g: Array, x: Array, weight: Array, bias: Array | None, y: Array, *, pull_x: bool) -> Any:
    if not are_floating(g, x, weight, y):
        return NotImplemented
    gz, of_bias = relu_vjp_and_sums(contiguous(g), contiguous(y), summed=bias is not None)
    of_x = _pulled_to_x(gz, weight) if pull_x else None
    return of_x, product(_rows(gz).T, _rows(x)), gz if of_bias is None else of_bias


def _affine(x: Array, weight: Array, bias: Array | None, relu: bool) -> Any:
    if not are_floating(x, weight, bias) or x.shape[-1] != weight.shape[1]:
        return NotImplemented
    if bias is not None and bias.shape != weight.shape[:1]:
        return NotImplemented
    bias = None if bias is None else contiguous(bias)
    y = product(x[None, :] if x.ndim == 1 else x, weight.T, bias=bias, relu=relu)
    return y[0] if x.ndim == 1 else y


def _pulled_to_x(g: Array, weight: Array) -> Array:
    return product(g, weight) if g.ndim > 1 else product(g[None, :], weight)[0]


def _rows(x: Array) -> Array:
    """All axes but the last as one."""
    return x if x.ndim == 2 else x.reshape(rows_of(x), x.shape[-1])
