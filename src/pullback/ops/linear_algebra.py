"""The standard's linear algebra functions, and the affine map that layers are made of.

Every matrix product of the package is a call of `matmul` here, so that a backend can put one kernel
behind all of them.
"""

from collections.abc import Sequence
from math import prod

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, integers, normal
from ..autodiff.op import op
from ..backends import Array, Namespace, is_complex
from .precision import in_float32

__all__ = ["linear", "matmul", "matrix_transpose", "tensordot", "vecdot"]


@op(examples=[example(normal(3, 4)), example(normal(2, 3, 4))])
def matrix_transpose(xp: Namespace, x: Array, /) -> Array:
    """The last two axes exchanged."""
    return xp.matrix_transpose(x)


matrix_transpose.vjp("x")(lambda xp, g: matrix_transpose(g))


@autocasts_to("low")
@op(
    examples=[
        example(normal(3, 4), normal(4, 2)),
        example(normal(5, 3, 4), normal(4, 2)),
        example(normal(5, 1, 3, 4), normal(2, 4, 2)),
        example(normal(4), normal(4, 2)),
        example(normal(2, 3, 4), normal(4)),
        example(normal(4), normal(4)),
        example(normal(0, 4), normal(4, 2)),
    ]
)
def matmul(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """Matrix product of the last two axes, the others broadcast; an array of one axis is a row or a column."""
    return xp.matmul(x1, x2)


@matmul.vjp("x1")
def _(xp: Namespace, g: Array, x1_shape: tuple[int, ...], x2: Array) -> Array:
    if len(x2.shape) == 1:
        return xp.expand_dims(g, axis=-1) * x2
    if len(x1_shape) == 1 and len(x2.shape) > 2:
        return matmul(x2, xp.expand_dims(g, axis=-1))[..., 0]
    return matmul(g, matrix_transpose(x2))


@matmul.vjp("x2")
def _(xp: Namespace, g: Array, x1: Array, x2_shape: tuple[int, ...]) -> Array:
    if len(x1.shape) == 1:
        column = g if len(x2_shape) == 1 else xp.expand_dims(g, axis=-2)
        return xp.reshape(x1, (-1, *[1] * (len(x2_shape) > 1))) * column
    if len(x2_shape) == 1:
        return matmul(matrix_transpose(x1), xp.expand_dims(g, axis=-1))[..., 0]
    return matmul(matrix_transpose(x1), g)


@autocasts_to("low")
@op(
    examples=[
        example(normal(5, 3), normal(4, 3), normal(4)),
        example(normal(5, 3), normal(4, 3)),
        example(normal(2, 5, 3), normal(4, 3), normal(4)),
        example(normal(3), normal(4, 3), normal(4)),
        example(normal(2, 5, 0), normal(4, 0), normal(4)),
        example(normal(2, 5, 3), normal(0, 3), normal(0)),
    ]
)
def linear(xp: Namespace, x: Array, weight: Array, bias: Array | None = None, /) -> Array:
    """The affine map x @ weight.T + bias.

    x: (..., in). weight: (out, in). bias: (out,), or None. Returns (..., out).
    """
    y = matmul(_rows(xp, x), matrix_transpose(weight))
    if bias is not None:
        y = y + bias
    return y if len(x.shape) == 2 else xp.reshape(y, (*x.shape[:-1], weight.shape[0]))


linear.vjp("x")(lambda xp, g, weight: matmul(g, weight))
linear.vjp("bias")(lambda xp, g: g)


@linear.vjp("weight")
def pulled_to_weight(xp: Namespace, g: Array, x: Array) -> Array:
    """The gradient of an affine map's weight, of that of its result and its input."""
    return matmul(matrix_transpose(_rows(xp, g)), _rows(xp, x))


@linear.vjp("weight", "bias")  # a product that reads g can sum its rows
def _(xp: Namespace, g: Array, x: Array) -> tuple[Array, Array]:
    return pulled_to_weight(xp, g, x), g


def _rows(xp: Namespace, x: Array) -> Array:
    """An array as a matrix: all axes but the last as one."""
    return x if len(x.shape) == 2 else xp.reshape(x, (prod(x.shape[:-1]), x.shape[-1]))


@op(
    examples=[
        example(normal(2, 3, 4), normal(3, 4, 2)),
        example(normal(2, 3), normal(4), axes=0),
        example(normal(2, 3, 4), normal(4, 5, 2), axes=((0, -1), (2, 0))),
        example(normal(3, 2, dtype="complex128"), normal(2, 3, dtype="complex128"), axes=1),
        example(normal(3), normal(3), axes=1),
        example(integers(2, 3, high=5), integers(3, high=5), axes=1),
    ]
)
def tensordot(xp: Namespace, x1: Array, x2: Array, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """Products summed over axes of one array and as many of the other: the matrix product of more axes.

    axes: how many, the last of x1 with the first of x2 in order; or the axes of x1 and those of x2.
    Returns the other axes of x1, then those of x2.
    Raises ValueError where the axes have different lengths.
    """
    n1, n2 = len(x1.shape), len(x2.shape)
    if isinstance(axes, int):
        first, second = list(range(n1 - axes, n1)), list(range(axes))
    else:
        first, second = [a % n1 for a in axes[0]], [a % n2 for a in axes[1]]
    lengths = [x1.shape[a] for a in first]
    if min(first, default=0) < 0 or lengths != [x2.shape[a] for a in second[:n2]]:
        raise ValueError(f"tensordot sums over axes of equal lengths; got {x1.shape} and {x2.shape}, axes={axes}")
    rows = [a for a in range(n1) if a not in first]
    columns = [a for a in range(n2) if a not in second]
    shape = [x1.shape[a] for a in rows] + [x2.shape[a] for a in columns]
    count = prod(lengths)
    left = xp.reshape(xp.permute_dims(x1, (*rows, *first)), (prod(shape[: len(rows)]), count))
    right = xp.reshape(xp.permute_dims(x2, (*second, *columns)), (count, prod(shape[len(rows) :])))
    return xp.reshape(matmul(left, right), tuple(shape))


@autocasts_to("low")
@op(
    examples=[
        example(normal(3, 4), normal(3, 4)),
        example(normal(4, 3), normal(2, 4, 1), axis=-2),
        example(normal(3, dtype="complex128"), normal(2, 3, dtype="complex128")),
        example(integers(2, 3, high=5), integers(3, high=5)),
    ]
)
@in_float32
def vecdot(xp: Namespace, x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Dot product of vectors along an axis, the other axes broadcast; complex x1 is conjugated.

    axis: counted from the end of both.
    Raises ValueError where the vectors have different lengths.
    """
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot takes vectors of one length; got {x1.shape} and {x2.shape}, axis={axis}")
    terms = (xp.conj(x1) if is_complex(x1.dtype) else x1) * x2
    return xp.sum(terms, axis=axis, dtype=terms.dtype)


@vecdot.vjp("x1")
def _(xp: Namespace, g: Array, x2: Array, *, axis: int) -> Array:
    return xp.conj(xp.expand_dims(g, axis=axis) * x2)


@vecdot.vjp("x2")
def _(xp: Namespace, g: Array, x1: Array, *, axis: int) -> Array:
    return xp.expand_dims(g, axis=axis) * xp.conj(x1)
