"""Determinants, and their derivatives at singular matrices too."""

from typing import NamedTuple

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal, values
from ...autodiff.op import op
from ...autodiff.tensor import Tensor
from ...backends import Array, Namespace, is_complex
from ..linear_algebra import matmul, matrix_transpose
from .decompositions import svd
from .matrices import adjoint, check_square, conj, diagonal_matrix
from .products import diagonal
from .solving import inv

__all__ = ["SlogdetResult", "cofactor", "det", "slogdet"]

_SQUARE = [example(normal(3, 3)), example(normal(2, 3, 3)), example(normal(2, 2, dtype="complex128"))]
_SINGULAR = values([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.0, 7.0, 9.0]])
_SINGULAR_TWICE = values([[1.0, 2.0, -1.0], [2.0, 4.0, -2.0], [0.5, 1.0, -0.5]])


@autocasts_to("float32")
@op(examples=[*_SQUARE, example(_SINGULAR), example(_SINGULAR_TWICE), example(normal(1, 1))])
def det(xp: Namespace, x: Array, /) -> Array:
    """The determinants of square matrices: (..., n, n) gives (...).

    Twice differentiable at singular ones too; a third derivative there raises the library's own LinAlgError.
    Raises ValueError for other shapes.

    >>> import pullback as pb
    >>> pb.grad(pb.linalg.det)(pb.tensor([[1.0, 2.0], [2.0, 4.0]]))
    Tensor([[ 4., -2.],
            [-2.,  1.]], dtype=float32)
    """
    check_square("det", x)
    return xp.linalg.det(x)


@det.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    return xp.expand_dims(g, axis=(-2, -1)) * cofactor(x)


@op(examples=_SQUARE)
def cofactor(xp: Namespace, x: Array, /) -> Array:
    """The cofactors of square matrices, the derivative of `det`: where it is not 0, det(x) * inv(x).mT.

    By singular values, so for singular matrices too.
    """
    u, s, vh, phase = _rotations(x)
    here, row = diagonal_matrix(xp.ones_like(s)) > 0, xp.expand_dims(s, axis=-2)
    others = xp.prod(xp.where(here, xp.ones_like(row), row), axis=-1)
    return matmul(conj(xp, u) * xp.expand_dims(phase * others, axis=-2), conj(xp, vh))


@cofactor.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    if isinstance(g, Tensor):  # to be differentiated again: by the inverse, whatever singular values are equal
        whole, c = matrix_transpose(inv(x)), cofactor(x)
        return xp.sum(g * c, axis=(-2, -1), keepdims=True) * whole - matmul(matmul(c, matrix_transpose(g)), whole)
    u, s, vh, phase = _rotations(x)
    h = matmul(matmul(adjoint(xp, u), g), adjoint(xp, vh)) * xp.expand_dims(phase, axis=-1)
    here, row = diagonal_matrix(xp.ones_like(s)) > 0, xp.expand_dims(s, axis=(-3, -2))
    two = xp.logical_or(xp.expand_dims(here, axis=-2), xp.expand_dims(here, axis=-3))
    pairs = xp.prod(xp.where(two, xp.ones_like(row), row), axis=-1)  # of all singular values but two
    pairs = xp.where(here, xp.zeros_like(pairs), pairs)
    own = xp.sum(pairs * xp.expand_dims(diagonal(h), axis=-2), axis=-1)
    inner = diagonal_matrix(own) - matrix_transpose(pairs * h)
    return matmul(matmul(conj(xp, u), inner), conj(xp, vh))


def _rotations(x: Array) -> tuple[Array, Array, Array, Array]:
    """The singular value decomposition, and the determinant of both rotations together, of shape (..., 1)."""
    u, s, vh = svd(x, full_matrices=False)
    return u, s, vh, (det(u) * det(vh))[..., None]


class SlogdetResult(NamedTuple):
    """What `slogdet` gives."""

    sign: Array
    logabsdet: Array


@autocasts_to("float32")
@op(examples=[*_SQUARE, example(normal(2, 3, 3, dtype="complex128"))])
def _slogdet(xp: Namespace, x: Array, /) -> tuple[Array, Array]:
    check_square("slogdet", x)
    sign, logarithm = xp.linalg.slogdet(x)
    return sign, logarithm


@_slogdet.vjp("x")
def _(xp: Namespace, g: tuple[Array, Array], x: Array, y: tuple[Array, Array]) -> Array:
    along = g[1]
    if is_complex(x.dtype):
        along = along + 1j * xp.imag(g[0] * y[0])
    return xp.expand_dims(along, axis=(-2, -1)) * matrix_transpose(inv(x))


def slogdet(x: Array, /) -> SlogdetResult:
    """The sign and the logarithm of the size of the determinants of square matrices: (..., n, n) gives twice (...).

    The determinant is sign * exp(logabsdet); these two neither overflow nor underflow. At a singular matrix the
    logarithm is -inf, and has no derivative: the library's own LinAlgError is raised on the way back.

    >>> import pullback as pb
    >>> pb.linalg.slogdet(pb.tensor([[-1.0, 0.0], [0.0, 1.0]]))
    SlogdetResult(sign=Tensor(-1., dtype=float32), logabsdet=Tensor(0., dtype=float32))
    """
    return SlogdetResult(*_slogdet(x))
