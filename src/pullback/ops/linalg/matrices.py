"""What the rules of linear algebra share: adjoints, diagonals, and quotients that leave out what is 0 / 0."""

from ...backends import Array, Namespace, is_complex
from ..linear_algebra import matrix_transpose
from ..manipulation import reshape
from ..scatter import embed

__all__ = ["adjoint", "check_square", "conj", "diagonal_matrix", "hermitian_part", "quotient", "spread"]


def check_square(name: str, x: Array) -> None:
    """Raises ValueError for what is no stack of square matrices."""
    shape = tuple(x.shape)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{name} expected square matrices, of shape (..., n, n); got the shape {shape}")


def conj(xp: Namespace, x: Array) -> Array:
    """The complex conjugate; a real array as it is."""
    return xp.conj(x) if is_complex(x.dtype) else x


def adjoint(xp: Namespace, x: Array) -> Array:
    """The conjugate transpose of matrices."""
    return matrix_transpose(conj(xp, x))


def hermitian_part(xp: Namespace, x: Array) -> Array:
    """The mean of matrices and their adjoints."""
    return 0.5 * (x + adjoint(xp, x))


def spread(d: Array, shape: tuple[int, ...], offset: int = 0) -> Array:
    """Zeros of `shape`, whose last two axes are matrices, with `d` on their diagonals: the transpose of reading it."""
    *stack, rows, columns = shape
    start = offset if offset >= 0 else -offset * columns
    stop = start + d.shape[-1] * (columns + 1) - columns if d.shape[-1] else start
    return reshape(embed(d, shape=(*stack, rows * columns), key=(..., slice(start, stop, columns + 1))), shape)


def diagonal_matrix(d: Array) -> Array:
    """Square matrices with `d`, of shape (..., n), on their diagonals."""
    return spread(d, (*d.shape, d.shape[-1]))


def quotient(xp: Namespace, x: Array, divisor: Array) -> Array:
    """x / divisor, and 0 where the divisor is 0."""
    zero = divisor == 0
    inverse = xp.where(zero, xp.zeros_like(divisor), 1 / xp.where(zero, xp.ones_like(divisor), divisor))
    return x * inverse
