"""Norms of vectors and matrices."""

from math import inf
from typing import Any

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal, values
from ...autodiff.op import op
from ...backends import Array, Namespace
from ..elementwise import abs
from ..precision import in_float32
from ..statistical import Axis, kept
from .decompositions import svdvals
from .matrices import conj, quotient

__all__ = ["matrix_norm", "vector_norm"]


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 4)),
        example(normal(2, 3, 4), axis=-2),
        example(normal(2, 3, 4), axis=(0, -1), keepdims=True),
        *(example(normal(3, 4, away_from_zero=0.1), axis=1, ord=ord) for ord in (0, 1, 3, 2.5, 0.5, -1, -2)),
        *(example(normal(3, 4), axis=0, ord=ord, keepdims=True) for ord in (inf, -inf)),
        *(example(normal(2, 3, dtype="complex128"), axis=1, ord=ord) for ord in (1, 2, 3, inf, -inf)),
        example(values([[0.0, 1.0, -2.0]]), ord=4, axis=-1),
        example(normal()),
    ]
)
@in_float32
def vector_norm(xp: Namespace, x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    """The norm of vectors: the sum of abs(x)**ord, to the power 1 / ord.

    axis: that of the vectors; of several the elements are one vector; None takes all.
    ord: inf and -inf for the largest and the least size, 0 for how many elements are not 0.
    Returns real numbers. The gradient at 0, where a norm has a corner, is taken as 0; elements that tie for the
    largest or the least share it equally.

    >>> import pullback as pb
    >>> pb.linalg.vector_norm(pb.tensor([3.0, 4.0]))
    Tensor(5., dtype=float32)
    """
    return xp.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


@vector_norm.vjp("x")
@in_float32
def _(xp: Namespace, g: Array, x: Array, y: Array, *, axis: Axis, keepdims: bool, ord: float) -> Array:
    g, y = (kept(xp, a, x.shape, axis, keepdims) for a in (g, y))
    if ord == 2:
        return quotient(xp, g, y) * conj(xp, x)
    size = abs(x)
    unit = quotient(xp, conj(xp, x), size)
    if ord == 0:
        return g * 0.0 * unit
    if ord == 1:
        return g * unit
    if ord in (inf, -inf):
        chosen = xp.astype(size == _extreme(xp, ord)(size, axis=axis, keepdims=True), g.dtype)
        return g * chosen / xp.sum(chosen, axis=axis, keepdims=True) * unit
    ratio = xp.where(size == 0, xp.ones_like(size), size) / xp.where(y == 0, xp.ones_like(y), y)
    return g * xp.astype(y != 0, g.dtype) * ratio ** (ord - 1.0) * unit


_MATRICES = [
    example(normal(3, 4)),
    example(normal(2, 3, 3), keepdims=True),
    example(normal(4, 2, dtype="complex128")),
]


@autocasts_to("float32")
@op(
    examples=[
        example(*e.inputs, ord=ord, **e.metadata)
        for e in _MATRICES
        for ord in ("fro", "nuc", 1, -1, 2, -2, inf, -inf, None)
    ]
)
def matrix_norm(xp: Namespace, x: Array, /, *, keepdims: bool = False, ord: float | str | None = "fro") -> Array:
    """The norm of matrices: (..., m, n) gives (...), or (..., 1, 1) with `keepdims`.

    ord: "fro" (or None) for the root of the sum of squares, "nuc" for the sum of the singular values; 2 and -2 for the
        largest and the least of these, 1 and -1 for the largest and the least sum of sizes down a column, inf and -inf
        along a row.
    Returns real numbers. Singular values and sums that tie share the gradient equally.
    Raises ValueError for another `ord`.
    """
    if ord in ("fro", None):
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        s = svdvals(x)
        y = _extreme(xp, ord)(s, axis=-1)
        return xp.expand_dims(y, axis=(-2, -1)) if keepdims else y
    if ord in (1, -1, inf, -inf):
        down = -2 if ord in (1, -1) else -1
        return _extreme(xp, ord)(xp.sum(abs(x), axis=down, keepdims=True), axis=(-2, -1), keepdims=keepdims)
    raise ValueError(f"matrix_norm knows ord 'fro', 'nuc', 1, -1, 2, -2, inf and -inf; got {ord!r}")


def _extreme(xp: Namespace, ord: Any) -> Any:
    return xp.sum if ord == "nuc" else xp.max if ord > 0 else xp.min
