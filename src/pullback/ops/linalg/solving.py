"""Systems of linear equations: solutions, inverses and powers."""

from typing import Any

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal, values
from ...autodiff.op import op
from ...autodiff.tensor import array_of
from ...backends import Array, Namespace
from ..linear_algebra import matmul, matrix_transpose
from .matrices import adjoint, check_square, conj

__all__ = ["inv", "matrix_power", "matrix_rank", "pinv", "solve"]

_SQUARE = [example(normal(3, 3)), example(normal(2, 3, 3)), example(normal(2, 2, dtype="complex128"))]


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 3), normal(3)),
        example(normal(2, 3, 3), normal(3)),
        example(normal(3, 3), normal(2, 3, 4)),
        example(normal(2, 1, 3, 3), normal(4, 3, 2)),
        example(normal(3, 3, dtype="complex128"), normal(3, 2, dtype="complex128")),
        example(normal(3, 3, 3), normal(3, 3)),
    ]
)
def solve(xp: Namespace, x1: Array, x2: Array, /) -> Array:
    """The solution x of x1 @ x = x2.

    x1: (..., n, n), invertible. x2: (n,), one vector for all of x1, or (..., n, k), stacks of columns.
    Raises ValueError where x1 is not square, and the library's own LinAlgError where it is singular.

    >>> import pullback as pb
    >>> pb.linalg.solve(pb.tensor([[2.0, 0.0], [0.0, 4.0]]), pb.tensor([2.0, 2.0]))
    Tensor([1. , 0.5], dtype=float32)
    """
    check_square("solve", x1)
    return xp.linalg.solve(x1, x2)


@solve.vjp("x1", "x2")
def _(xp: Namespace, g: Array, x1: Array, x2_shape: tuple[int, ...], y: Array) -> tuple[Array, Array]:
    if len(x2_shape) == 1:
        g = solve(matrix_transpose(x1), xp.expand_dims(g, axis=-1))
        return -g * xp.expand_dims(y, axis=-2), g[..., 0]
    g = solve(matrix_transpose(x1), g)
    return -matmul(g, matrix_transpose(y)), g


@autocasts_to("float32")
@op(examples=_SQUARE)
def inv(xp: Namespace, x: Array, /) -> Array:
    """The inverses of square matrices, (..., n, n). For inv(a) @ b, `solve` is quicker and more precise.

    Raises ValueError for other shapes, and the library's own LinAlgError for a singular matrix.
    """
    check_square("inv", x)
    return xp.linalg.inv(x)


@inv.vjp("x")
def _(xp: Namespace, g: Array, y: Array) -> Array:
    transposed = matrix_transpose(y)
    return -matmul(matmul(transposed, g), transposed)


@autocasts_to("float32")
@op(examples=[*(example(e.inputs[0], n) for e in _SQUARE for n in (3, -2)), example(normal(2, 2), 0)])
def matrix_power(xp: Namespace, x: Array, n: int, /) -> Array:
    """Square matrices, (..., m, m), to a whole power: of their inverses below 0, the identity for 0."""
    check_square("matrix_power", x)
    return xp.linalg.matrix_power(x, n)


@matrix_power.vjp("x")
def _(xp: Namespace, g: Array, x: Array, n: int) -> Array:
    # A power of [[a, g], [0, a]] has the sum of a**i @ g @ a**j over i + j = n - 1 in its upper right corner.
    m, a = x.shape[-1], matrix_transpose(x)
    above, below = xp.concat([a, g], axis=-1), xp.concat([xp.zeros_like(a), a], axis=-1)
    return matrix_power(xp.concat([above, below], axis=-2), n)[..., :m, m:]


@autocasts_to("float32")
@op(
    examples=[
        example(normal(4, 2)),
        example(normal(2, 3, 3)),
        example(normal(2, 4), rtol=1e-3),
        example(normal(3, 2, dtype="complex128")),
        example(normal(2, 3, dtype="complex128")),
    ]
)
def pinv(xp: Namespace, x: Array, /, *, rtol: Any = None) -> Array:
    """The pseudo-inverses of matrices (Moore and Penrose): (..., m, n) gives (..., n, m).

    rtol: singular values up to `rtol` times the largest count as 0; a number, or an array of one for each
        matrix. By default max(m, n) times the precision of the data type.
    The derivative is taken among matrices of one rank (Golub and Pereyra, 1973).
    """
    return xp.linalg.pinv(x, rtol=array_of(rtol))


@pinv.vjp("x")
def _(xp: Namespace, g: Array, x: Array, y: Array) -> Array:
    wide = x.shape[-2] < x.shape[-1]  # the small products are n by n for the transposes then
    if wide:
        g, x, y = matrix_transpose(g), matrix_transpose(x), matrix_transpose(y)
    h, yh = matrix_transpose(g), adjoint(xp, y)
    k = matmul(y, h)
    total = matmul(h - matmul(x, k), matmul(y, yh)) + matmul(yh, k - matmul(k, matmul(y, x)))
    total = conj(xp, total) - matrix_transpose(matmul(k, y))
    return matrix_transpose(total) if wide else total


@autocasts_to("float32")
@op(differentiable=False, examples=[example(normal(3, 4)), example(values([[1.0, 2.0], [2.0, 4.0]]), rtol=1e-6)])
def matrix_rank(xp: Namespace, x: Array, /, *, rtol: Any = None) -> Array:
    """How many singular values of matrices, (..., m, n), are not 0: integers, of shape (...).

    rtol: those up to `rtol` times the largest count as 0; a number, or an array of one for each matrix.
        By default max(m, n) times the precision of the data type.
    """
    s, rtol = xp.linalg.svdvals(x), array_of(rtol)
    if rtol is None:
        rtol = max(x.shape[-2:]) * float(xp.finfo(s.dtype).eps)
    elif not isinstance(rtol, (int, float)):
        rtol = xp.expand_dims(rtol, axis=-1)
    return xp.sum(xp.astype(s > s[..., : min(1, s.shape[-1])] * rtol, xp.int64), axis=-1)
