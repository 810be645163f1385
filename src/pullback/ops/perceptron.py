"""The layer of a perceptron, an affine map and its activation, as one op.

It is what `relu(linear(...))` gives; but a backend can add the bias and rectify while the product is still at hand, and
on the way back go through the gradient once for all three inputs.
"""

from math import prod
from typing import Any

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..autodiff.tensor import Tensor
from ..backends import Array, Namespace
from .activation import relu
from .linear_algebra import linear, matmul, matrix_transpose
from .manipulation import reshape

__all__ = ["linear_relu"]


@autocasts_to("low")
@op(
    examples=[
        example(normal(5, 3), normal(4, 3), normal(4)),
        example(normal(5, 3), normal(4, 3)),
        example(normal(2, 5, 3), normal(4, 3), normal(4)),
        example(normal(3), normal(4, 3), normal(4)),
    ]
)
def _linear_relu(xp: Namespace, x: Array, weight: Array, bias: Array | None = None, /, *, pull_x: bool = True) -> Array:
    """What `linear_relu` gives. pull_x: False where x needs no gradient, which then is not computed."""
    return relu(linear(x, weight, bias))


@_linear_relu.vjp("x", "weight", "bias")
def _(
    xp: Namespace, g: Array, x: Array, weight: Array, bias: Array | None, y: Array, *, pull_x: bool
) -> tuple[Array | None, Array, Array]:
    g = xp.where(y > 0, g, xp.zeros_like(g))
    rows, x_rows = (reshape(a, (prod(a.shape[:-1]), a.shape[-1])) for a in (g, x))
    return matmul(g, weight) if pull_x else None, matmul(matrix_transpose(rows), x_rows), g


def linear_relu(x: Array, weight: Array, bias: Array | None = None) -> Any:
    """x @ weight.T + bias where that is positive, else 0: a layer of a perceptron.

    x: (..., in). weight: (out, in). bias: (out,), or None. Returns (..., out).

    >>> import pullback as pb
    >>> linear_relu(pb.asarray([[1.0, 2.0]]), pb.asarray([[1.0, 1.0], [1.0, -1.0]]))
    Tensor([[3., 0.]], dtype=float32)
    """
    return _linear_relu(x, weight, bias, pull_x=not isinstance(x, Tensor) or x.requires_grad)
