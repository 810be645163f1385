"""Kernels of the layers of perceptrons, which call those of what they are made of."""

from typing import Any

from .activation import takes_gelu
from .table import kernel, kernels


@kernel("linear_relu.vjp(x,weight,bias)")
def _(g: Any, x: Any, weight: Any, bias: Any, y: Any, *, pull_x: bool) -> Any:
    g = kernels["relu.vjp(x)"](g, y)
    of_x = kernels["linear.vjp(x)"](g, weight) if pull_x else None
    return of_x, kernels["linear.vjp(weight)"](g, x), g if bias is None else kernels["linear.vjp(bias)"](g)


@kernel("feed_forward", declines=True)
def _(
    x: Any,
    weight1: Any,
    bias1: Any,
    weight2: Any,
    bias2: Any,
    *,
    approximate: str | None,
    frozen: tuple[str, ...] = (),
) -> Any:
    if not _are_taken(x, approximate):
        return NotImplemented
    kept = kernels["linear"](x, weight1, bias1)
    if approximate is None:
        hidden = kept = kernels["relu"](kept)
    else:
        hidden = kernels["gelu"](kept, approximate=approximate)
    return kernels["linear"](hidden, weight2, bias2), hidden, kept


@kernel("feed_forward.vjp(x,weight1,bias1,weight2,bias2)", declines=True)
def _(
    g: Any,
    x: Any,
    weight1: Any,
    weight2: Any,
    y1: Any,
    y2: Any,
    *,
    approximate: str | None,
    frozen: tuple[str, ...],
) -> Any:
    of_y, of_hidden, of_kept = g
    if of_y is None or of_hidden is not None or of_kept is not None or not _are_taken(x, approximate):
        return NotImplemented
    of_hidden = kernels["linear.vjp(x)"](of_y, weight2)
    if approximate is None:
        of_map = kernels["relu.vjp(x)"](of_hidden, y2)
    else:
        of_map = kernels["gelu.vjp(x)"](of_hidden, y2, approximate=approximate)
    of_weight, of_bias = kernels["linear.vjp(weight)"], kernels["linear.vjp(bias)"]
    return (
        None if "x" in frozen else kernels["linear.vjp(x)"](of_map, weight1),
        None if "weight1" in frozen else of_weight(of_map, x),
        None if "bias1" in frozen else of_bias(of_map),
        None if "weight2" in frozen else of_weight(of_y, y1),
        None if "bias2" in frozen else of_bias(of_y),
    )


def _are_taken(x: Any, approximate: str | None) -> bool:
    """Whether the kernels called here take such arrays: asked before a product, which would be taken in vain."""
    return x.dtype.char in "fd" if approximate is None else takes_gelu(x, approximate)
