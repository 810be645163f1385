"""Kernels of matrix products and of the affine map."""

from typing import Any

from ..backend import Array
from .columns import sum_of_rows
from .launch import driver
from .products import are_multiplied, has_epilogues, product, product_with
from .rows import are_floating, contiguous, rows_of
from .table import kernel

__all__ = ["affine", "are_of_a_map", "pulled_to_map", "pulled_to_weight", "pulled_to_x"]


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
        x1, g = _as_matrix(x1), _as_matrix(g)
    return product(x1.swapaxes(-1, -2), g)


@kernel("linear", declines=True)
def _(x: Array, weight: Array, bias: Array | None = None) -> Any:
    return affine(x, weight, bias)


@kernel("linear.vjp(x)", declines=True)
def _(g: Array, weight: Array) -> Any:
    return pulled_to_x(g, weight) if are_multiplied(g, weight) else NotImplemented


@kernel("linear.vjp(weight)", declines=True)
def _(g: Array, x: Array) -> Any:
    return pulled_to_weight(g, x) if are_multiplied(g, x) else NotImplemented


@kernel("linear.vjp(bias)", declines=True)
def _(g: Array) -> Any:
    return sum_of_rows(contiguous(g)) if are_floating(g) else NotImplemented


@kernel("linear.vjp(weight,bias)", declines=True)
def _(g: Array, x: Array) -> Any:
    return pulled_to_map(g, x) if are_floating(g, x) else NotImplemented


def affine(x: Array, weight: Array, bias: Array | None, relu: bool = False) -> Any:
    """The kernel of `linear`, with its negative values 0 on demand; NotImplemented where these are of no affine map."""
    if not are_of_a_map(x, weight, bias):
        return NotImplemented
    bias = None if bias is None else contiguous(bias)
    y = product(x[None, :] if x.ndim == 1 else x, weight.T, bias=bias, relu=relu)
    return y[0] if x.ndim == 1 else y


def are_of_a_map(x: Array, weight: Array, bias: Array | None) -> bool:
    """Whether types and shapes fit each other: where they do not, the op's own lines say why."""
    if not are_floating(x, weight, bias) or x.shape[-1] != weight.shape[1]:
        return False
    return bias is None or bool(bias.shape == weight.shape[:1])


def pulled_to_x(g: Array, weight: Array) -> Array:
    """The gradient of an affine map's input, of that of its result, g."""
    return product(g, weight) if g.ndim > 1 else product(g[None, :], weight)[0]


def pulled_to_map(g: Array, x: Array) -> tuple[Array, Array]:
    """The gradients of an affine map's weight and bias; both while g is read once, where cuBLASLt can."""
    g = contiguous(g)
    if has_epilogues():
        sums = driver().xp.empty(g.shape[-1:], g.dtype)
        of_weight = product_with("BGRADB", _as_matrix(g).T, _as_matrix(x), sums)
        if of_weight is not None:
            return of_weight, sums
    return pulled_to_weight(g, x), sum_of_rows(g)


def pulled_to_weight(g: Array, x: Array) -> Array:
    """The gradient of an affine map's weight."""
    return product(_as_matrix(g).T, _as_matrix(x))


def _as_matrix(x: Array) -> Array:
    """All axes but the last as one."""
    return x if x.ndim == 2 else x.reshape(rows_of(x), x.shape[-1])
