"""The standard's linear algebra functions, and the affine map that layers are made of.

Every matrix product of the package is a call of `matmul` here, so that a backend can put one kernel
behind all of them.
"""

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace

__all__ = ["linear", "matmul", "matrix_transpose"]


@op(examples=[example(normal(3, 4)), example(normal(2, 3, 4))])
def matrix_transpose(xp: Namespace, x: Array, /) -> Array:
    """The last two axes exchanged."""
    return xp.matrix_transpose(x)


matrix_transpose.vjp("x")(lambda xp, g: matrix_transpose(g))


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
    if len(x1_shape) == 1:
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


@op(
    examples=[
        example(normal(5, 3), normal(4, 3), normal(4)),
        example(normal(5, 3), normal(4, 3)),
        example(normal(2, 5, 3), normal(4, 3), normal(4)),
        example(normal(3), normal(4, 3), normal(4)),
    ]
)
def linear(xp: Namespace, x: Array, weight: Array, bias: Array | None = None, /) -> Array:
    """The affine map x @ weight.T + bias.

    x: (..., in). weight: (out, in). bias: (out,), or None. Returns (..., out).
    """
    flat = x if len(x.shape) == 2 else xp.reshape(x, (-1, x.shape[-1]))
    y = matmul(flat, matrix_transpose(weight))
    if bias is not None:
        y = y + bias
    return y if len(x.shape) == 2 else xp.reshape(y, (*x.shape[:-1], weight.shape[0]))


linear.vjp("x")(lambda xp, g, weight: matmul(g, weight))
linear.vjp("bias")(lambda xp, g: g)


@linear.vjp("weight")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    rows = xp.reshape(g, (-1, g.shape[-1])), xp.reshape(x, (-1, x.shape[-1]))
    return matmul(matrix_transpose(rows[0]), rows[1])
