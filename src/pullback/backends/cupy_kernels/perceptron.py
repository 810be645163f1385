"""Kernels of the layers of perceptrons: an activation, or its vjp, right behind the product that it is taken of."""

from typing import Any

from ..backend import Array
from ..dtypes import is_half
from .columns import positive_bits, relu_vjp_and_sums, sum_of_rows
from .cublaslt import bits_of_row
from .launch import driver
from .linear import affine, are_of_a_map, pulled_to_map, pulled_to_weight, pulled_to_x
from .products import has_epilogues, product_with
from .rows import are_floating, contiguous
from .table import kernel, kernels


@kernel("linear_relu", declines=True)
def _(x: Array, weight: Array, bias: Array | None = None, **metadata: Any) -> Any:
    return affine(x, weight, bias, relu=True)


@kernel("linear_relu.vjp(x,weight,bias)", declines=True)
def _(g: Array, x: Array, weight: Array, bias: Array | None, y: Array, *, pull_x: bool) -> Any:
    if not are_floating(g, x, weight, y):
        return NotImplemented
    gz, of_bias = relu_vjp_and_sums(contiguous(g), contiguous(y), summed=bias is not None)
    of_x = pulled_to_x(gz, weight) if pull_x else None
    return of_x, pulled_to_weight(gz, x), gz if of_bias is None else of_bias


@kernel("feed_forward", declines=True)
def _(
    x: Array,
    weight1: Array,
    bias1: Array | None,
    weight2: Array,
    bias2: Array | None,
    *,
    approximate: str | None,
    frozen: tuple[str, ...] = (),
) -> Any:
    if not are_of_a_map(x, weight1, bias1):
        return NotImplemented
    if approximate is None:
        hidden = kept = affine(x, weight1, bias1, relu=True)
    else:
        hidden, kept = _gelu_of_map(x, weight1, bias1) if _has_gelu(x, approximate) else (None, None)
        if hidden is None:
            kept = affine(x, weight1, bias1)
            hidden = kernels["gelu"](kept, approximate=approximate)
    y = affine(hidden, weight2, bias2)
    return y if y is NotImplemented else (y, hidden, kept)


@kernel("feed_forward.vjp(x,weight1,bias1,weight2,bias2)", declines=True)
def _(
    g: tuple[Array | None, ...],
    x: Array,
    weight1: Array,
    weight2: Array,
    y1: Array,
    y2: Array,
    *,
    approximate: str | None,
    frozen: tuple[str, ...],
) -> Any:
    of_y, of_hidden, of_kept = g
    if of_y is None or of_hidden is not None or of_kept is not None:
        return NotImplemented
    if not are_floating(of_y, x, weight1, weight2, y1, y2):
        return NotImplemented
    of_y = contiguous(of_y)
    of_before, of_bias1 = _pulled_through(of_y, weight2, contiguous(y2), approximate, "bias1" not in frozen)
    of_weight1 = of_weight2 = of_bias2 = None
    if "weight1" not in frozen:
        of_weight1 = pulled_to_weight(of_before, x)
    if "weight2" not in frozen and "bias2" not in frozen:
        of_weight2, of_bias2 = pulled_to_map(of_y, y1)
    elif "weight2" not in frozen:
        of_weight2 = pulled_to_weight(of_y, y1)
    elif "bias2" not in frozen:
        of_bias2 = sum_of_rows(of_y)
    return None if "x" in frozen else pulled_to_x(of_before, weight1), of_weight1, of_bias1, of_weight2, of_bias2


def _has_gelu(x: Array, approximate: str | None) -> bool:
    """Whether cuBLASLt's GELU is ours: it is the one by tanh, and that tanh is one of the few digits of halves."""
    return approximate == "tanh" and is_half(x.dtype) and x.ndim > 1 and has_epilogues()


def _gelu_of_map(x: Array, weight: Array, bias: Array | None) -> tuple[Array | None, Array]:
    """GELU of the affine map, and what it is taken of; without the first, nothing has been done."""
    kept = driver().xp.empty((*x.shape[:-1], weight.shape[0]), x.dtype)
    if bias is None:
        return product_with("GELU_AUX", x, weight.T, None, lambda: kept), kept
    return product_with("GELU_AUX_BIAS", x, weight.T, contiguous(bias), lambda: kept), kept


def _pulled_through(
    g: Array, weight: Array, kept: Array, approximate: str | None, summed: bool
) -> tuple[Array, Array | None]:
    """The gradient g of a map's result, pulled to its input and through the activation before it; and that of a bias.

    kept: what the activation was taken of, or relu's result.
    """
    name, aux = "DGELU", lambda: kept
    if approximate is None:
        name, aux = "DRELU", lambda: positive_bits(kept, bits_of_row(kept.shape[-1]))
    if g.ndim > 1 and (has_epilogues() if approximate is None else _has_gelu(kept, approximate)):
        sums = driver().xp.empty(kept.shape[-1:], kept.dtype) if summed else None
        gz = product_with(f"{name}_BGRAD" if summed else name, g, weight, sums, aux)
        if gz is not None:
            return gz, sums
    of_hidden = pulled_to_x(g, weight)
    if approximate is None:
        return relu_vjp_and_sums(of_hidden, kept, summed)
    gz = kernels["gelu.vjp(x)"](of_hidden, kept, approximate=approximate)
    return gz, sum_of_rows(gz) if summed else None
