"""Weights that are computed from others: of learnt norms and directions, and of spectral norm 1."""

from math import prod

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace
from .linalg import vector_norm
from .linear_algebra import matmul, matrix_transpose, vecdot
from .normalization import normalize
from .precision import in_float32

__all__ = ["power_iteration", "spectral_norm", "weight_norm"]


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 2, 2), uniform(3, 1, 1), axis=0),
        example(normal(3, 4), uniform(1, 4), axis=-1),
        example(normal(3, 4), uniform(), axis=None),
    ]
)
@in_float32
def weight_norm(xp: Namespace, direction: Array, magnitude: Array, /, *, axis: int | None = 0) -> Array:
    """Weights of given norms and directions (Salimans and Kingma, 2016).

    direction: any shape. axis: the norm is one for each index along it; None has one norm for all.
    magnitude: the norms, of direction's shape with length 1 along all other axes; with None of no axes.
    """
    ndim = len(direction.shape)
    others = None if axis is None else tuple(a for a in range(ndim) if a != axis % ndim)
    return direction * (magnitude / vector_norm(direction, axis=others, keepdims=axis is not None))


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 4), normal(3), normal(4)),
        example(normal(3, 2, 4), normal(4), normal(6), order=(2, 0, 1)),
    ]
)
@in_float32
def spectral_norm(
    xp: Namespace, weight: Array, u: Array, v: Array, /, *, order: tuple[int, ...] | None = None
) -> Array:
    """A weight over its largest singular value, given the singular vectors u and v (Miyato et al., 2018).

    order: the axes of the weight in the order in which the first makes the rows of a matrix and the others its
        columns; None as they are.
    u: (rows,). v: (columns,). `power_iteration` finds them.
    """
    return weight / vecdot(u, matmul(_matrix(xp, weight, order), v))


@autocasts_to("float32")
@op(
    differentiable=False,
    examples=[
        example(normal(3, 4), normal(3), normal(4)),
        example(normal(3, 2, 4), normal(4), normal(6), order=(2, 0, 1), steps=3),
    ],
)
def power_iteration(
    xp: Namespace,
    weight: Array,
    u: Array,
    v: Array,
    /,
    *,
    order: tuple[int, ...] | None = None,
    steps: int = 1,
    eps: float = 1e-12,
) -> tuple[Array, Array]:
    """Vectors u and v nearer to the weight's first singular vectors, each of length 1; arguments as there."""
    matrix = _matrix(xp, weight, order)
    for _ in range(steps):
        u = normalize(matmul(matrix, v), eps=eps)
        v = normalize(matmul(matrix_transpose(matrix), u), eps=eps)
    return u, v


def _matrix(xp: Namespace, weight: Array, order: tuple[int, ...] | None) -> Array:
    ordered = weight if order is None else xp.permute_dims(weight, order)
    return xp.reshape(ordered, (ordered.shape[0], prod(ordered.shape[1:])))
