"""Products of vectors, and the diagonals of matrices."""

from typing import Any

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, integers, normal
from ...autodiff.op import op
from ...backends import Array, Namespace, dtype_in
from ..data_types import astype
from ..linear_algebra import matmul, matrix_transpose
from .matrices import spread

__all__ = ["cross", "diagonal", "outer", "trace"]


@op(
    examples=[
        example(normal(3), normal(3)),
        example(normal(2, 3), normal(4, 1, 3)),
        example(normal(3, 4), normal(3, 1), axis=-2),
        example(normal(3, dtype="complex128"), normal(2, 3, dtype="complex128")),
    ]
)
def cross(xp: Namespace, x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Cross product of vectors of three elements along an axis, the other axes broadcast.

    axis: counted from the end of both.
    Raises ValueError where the axis has another length.

    >>> import pullback as pb
    >>> pb.linalg.cross(pb.tensor([1.0, 0, 0]), pb.tensor([0, 1.0, 0]))
    Tensor([0., 0., 1.], dtype=float32)
    """
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(f"cross takes vectors of 3 elements; got {x1.shape} and {x2.shape}, axis={axis}")
    return xp.linalg.cross(x1, x2, axis=axis)


cross.vjp("x1")(lambda xp, g, x2, *, axis: cross(x2, g, axis=axis))
cross.vjp("x2")(lambda xp, g, x1, *, axis: cross(g, x1, axis=axis))


@op(
    examples=[
        example(normal(3), normal(4)),
        example(normal(2, dtype="complex128"), normal(3, dtype="complex128")),
        example(normal(0), normal(3)),
    ]
)
def outer(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Each element of one vector times each of another: (n,) and (m,) give (n, m).

    Raises ValueError for what is no vector.
    """
    if len(x1.shape) != 1 or len(x2.shape) != 1:
        raise ValueError(f"outer takes two vectors, of shapes (n,) and (m,); got {x1.shape} and {x2.shape}")
    return xp.expand_dims(x1, axis=-1) * x2


outer.vjp("x1")(lambda xp, g, x2: matmul(g, x2))
outer.vjp("x2")(lambda xp, g, x1: matmul(matrix_transpose(g), x1))

_DIAGONALS = [
    example(normal(3, 3)),
    example(normal(2, 3, 4), offset=1),
    example(normal(4, 2), offset=-2),
    example(normal(2, 3, dtype="complex128")),
    example(normal(2, 3), offset=5),
    example(normal(0, 3)),
]


@op(examples=_DIAGONALS)
def diagonal(xp: Namespace, x: Array, /, *, offset: int = 0) -> Array:
    """The diagonals of matrices.

    x: (..., m, n). offset: which; positive ones lie above the main one. Returns (..., length of the diagonal).
    """
    return xp.linalg.diagonal(x, offset=offset)


@diagonal.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, offset: int) -> Array:
    return spread(g, tuple(x_shape), offset)


@autocasts_to("float32")
@op(examples=[*_DIAGONALS, example(integers(3, 3, high=9)), example(integers(2, 2, high=9), dtype="int8")])
def _trace(xp: Namespace, x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    return xp.linalg.trace(x, offset=offset, dtype=dtype_in(xp, dtype))


@_trace.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, offset: int) -> Array:
    rows, columns = x_shape[-2:]
    length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    g = xp.broadcast_to(xp.expand_dims(g, axis=-1), (*x_shape[:-2], length))
    return spread(g, tuple(x_shape), offset)


def trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sum of the diagonals of matrices.

    x: (..., m, n). offset: which diagonal; positive ones lie above the main one.
    dtype: what is summed in and given; by default that of x, for small integers the default integer.
    """
    return _trace(x if dtype is None else astype(x, dtype), offset=offset, dtype=dtype)
