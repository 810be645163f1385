"""Decompositions of matrices.

The rules are those of Giles, "Collected matrix derivative results for forward and reverse mode" (2008), for complex
matrices of Wan and Zhang (2019), for QR of Walter and Lehmann (2010).

Eigenvectors and singular vectors are defined up to a sign, complex ones up to a phase, and among equal values up to a
rotation: their gradients are right for what does not depend on that choice. Terms that would be divided by the
difference of two values that are equal but for rounding are left out: for such functions they are 0.
"""

from math import inf
from typing import NamedTuple

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal, positive_definite
from ...autodiff.op import op
from ...backends import Array, Namespace, dtype_name, is_complex
from ..linear_algebra import matmul, matrix_transpose
from ..utility import somewhere
from .matrices import adjoint, check_square, conj, diagonal_matrix, hermitian_part, quotient
from .products import diagonal
from .solving import solve

__all__ = [
    "EigResult", "EighResult", "QRResult", "SVDResult", "cholesky", "eig", "eigh", "eigvals", "eigvalsh", "qr", "svd",
    "svdvals",
]  # fmt: skip


class EighResult(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Array
    eigenvectors: Array


class EigResult(NamedTuple):
    """What `eig` gives."""

    eigenvalues: Array
    eigenvectors: Array


class SVDResult(NamedTuple):
    """What `svd` gives."""

    U: Array
    S: Array
    Vh: Array


class QRResult(NamedTuple):
    """What `qr` gives."""

    Q: Array
    R: Array


def _terms(xp: Namespace, y: tuple[Array, ...]) -> tuple[Array, ...]:
    """What a decomposition adds up, whatever signs and phases it chose: each column times its row or its adjoint."""
    left, right = (y[0], y[2]) if len(y) == 3 else (y[1], adjoint(xp, y[1]))
    values = y[1] if len(y) == 3 else y[0]
    return values, xp.expand_dims(left, axis=-2) * xp.expand_dims(matrix_transpose(right), axis=-3)


def _gaps(xp: Namespace, w: Array, squares: bool = False) -> Array:
    """w_j - w_i, or so of their squares, at row i and column j; inf where they differ by no more than rounding."""
    row, column = w[..., None, :], w[..., :, None]
    gaps = row - column
    precision = 2.0**-23 if dtype_name(w.dtype) in ("float32", "complex64") else 2.0**-52
    noise = precision * xp.sum(xp.abs(w), axis=-1, keepdims=True)
    near = xp.abs(gaps) <= noise[..., None]
    return xp.where(near, xp.full_like(gaps, inf), gaps * (row + column) if squares else gaps)


def _mirrored(xp: Namespace, x: Array) -> Array:
    """The Hermitian matrices with the lower triangles of x, and the real part of its diagonals."""
    below = xp.tril(x, k=-1)
    return below + adjoint(xp, below) + diagonal_matrix(_real(xp, diagonal(x)))


def _real(xp: Namespace, x: Array) -> Array:
    return xp.real(x) if is_complex(x.dtype) else x


def _refuse_what_is_beyond(xp: Namespace, g: Array, name: str, mend: str) -> None:
    if somewhere(g != 0):
        raise ValueError(
            f"the gradient of {name} is not defined for the columns that only complete an orthonormal basis: {mend}"
        )


@autocasts_to("float32")
@op(
    examples=[
        example(positive_definite(3)),
        example(positive_definite(2, 3), upper=True),
        example(positive_definite(3, dtype="complex128")),
        example(positive_definite(2, dtype="complex128"), upper=True),
    ]
)
def cholesky(xp: Namespace, x: Array, /, *, upper: bool = False) -> Array:
    """The triangular factors of positive definite matrices (..., n, n): x = L @ L^H, or U^H @ U with `upper`.

    What is not Hermitian counts as its Hermitian part, and so is the gradient.
    Raises ValueError for other shapes, and the library's own LinAlgError for what is not positive definite.

    >>> import pullback as pb
    >>> pb.linalg.cholesky(pb.tensor([[4.0, 2.0], [2.0, 2.0]]))
    Tensor([[2., 0.],
            [1., 1.]], dtype=float32)
    """
    check_square("cholesky", x)
    return xp.linalg.cholesky(hermitian_part(xp, x), upper=upper)


@cholesky.vjp("x")
def _(xp: Namespace, g: Array, y: Array, *, upper: bool) -> Array:
    lower, g = (adjoint(xp, y), adjoint(xp, g)) if upper else (y, g)
    lh = adjoint(xp, lower)
    half = solve(lh, _mirrored(xp, matmul(lh, conj(xp, g))))
    return 0.5 * conj(xp, solve(lh, adjoint(xp, half)))


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 3), observe=_terms),
        example(normal(2, 3, 3), observe=_terms),
        example(normal(3, 3, dtype="complex128"), observe=_terms),
        example(normal(2, 0, 0), observe=_terms),
    ]
)
def _eigh(xp: Namespace, x: Array, /) -> tuple[Array, Array]:
    check_square("eigh", x)
    w, v = xp.linalg.eigh(hermitian_part(xp, x))
    return w, v


@_eigh.vjp("x")
def _(xp: Namespace, g: tuple[Array, Array], y: tuple[Array, Array]) -> Array:
    w, v = y
    vh = adjoint(xp, v)
    p = matmul(vh, conj(xp, g[1]))
    inner = (p - adjoint(xp, p)) / (2 * _gaps(xp, w)) + diagonal_matrix(g[0])
    return conj(xp, matmul(matmul(v, inner), vh))


def eigh(x: Array, /) -> EighResult:
    """Eigenvalues and eigenvectors of Hermitian matrices, (..., n, n): x = V @ diag(w) @ V^H.

    What is not Hermitian counts as its Hermitian part, and so is the gradient.
    Returns real eigenvalues (..., n) in ascending order, and eigenvectors in the columns of (..., n, n).
    Gradients of eigenvectors are defined for what depends neither on their signs or phases nor, where eigenvalues
    are equal, on the choice among theirs.

    >>> import pullback as pb
    >>> pb.linalg.eigh(pb.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    Tensor([1., 2.], dtype=float32)
    """
    return EighResult(*_eigh(x))


@autocasts_to("float32")
@op(examples=[example(normal(3, 3)), example(normal(2, 3, 3, dtype="complex128"))])
def eigvalsh(xp: Namespace, x: Array, /) -> Array:
    """Eigenvalues of Hermitian matrices, (..., n, n), real and ascending: (..., n). See `eigh`."""
    check_square("eigvalsh", x)
    return xp.linalg.eigvalsh(hermitian_part(xp, x))


@eigvalsh.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    v = eigh(x).eigenvectors
    return conj(xp, matmul(v * g[..., None, :], adjoint(xp, v)))


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 3), observe=_terms),
        example(normal(2, 2, 2), observe=_terms),
        example(normal(2, 3, 3, dtype="complex128"), observe=_terms),
    ]
)
def _eig(xp: Namespace, x: Array, /) -> tuple[Array, Array]:
    check_square("eig", x)
    w, v = xp.linalg.eig(x)
    return w, v


@_eig.vjp("x")
def _(xp: Namespace, g: tuple[Array, Array], y: tuple[Array, Array]) -> Array:
    w, v = y
    vt = matrix_transpose(v)
    p = matmul(vt, g[1])
    # The columns of v are of length 1: what would change that is taken out.
    p = p - matmul(vt, conj(xp, v) * xp.real(diagonal(p))[..., None, :])
    inner = p / _gaps(xp, w) + diagonal_matrix(g[0])
    return solve(vt, matmul(inner, vt))


def eig(x: Array, /) -> EigResult:
    """Eigenvalues and eigenvectors of square matrices, (..., n, n): x @ V = V @ diag(w).

    Returns complex eigenvalues (..., n) in no set order, and eigenvectors of length 1 in the columns of (..., n, n).
    Gradients of eigenvectors are defined for what does not depend on their phases. For Hermitian matrices use `eigh`.

    >>> import pullback as pb
    >>> pb.linalg.eig(pb.tensor([[0.0, -1.0], [1.0, 0.0]])).eigenvalues
    Tensor([0.+1.j, 0.-1.j], dtype=complex64)
    """
    return EigResult(*_eig(x))


@autocasts_to("float32")
@op(examples=[example(normal(3, 3)), example(normal(2, 3, 3, dtype="complex128"))])
def eigvals(xp: Namespace, x: Array, /) -> Array:
    """Eigenvalues of square matrices, (..., n, n), complex and in no set order: (..., n). See `eig`."""
    check_square("eigvals", x)
    return xp.linalg.eigvals(x)


@eigvals.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    vt = matrix_transpose(eig(x).eigenvectors)
    return solve(vt, g[..., None] * vt)


@autocasts_to("float32")
@op(
    examples=[
        *(example(normal(*shape), full_matrices=False, observe=_terms) for shape in ((3, 3), (4, 2), (2, 2, 4))),
        *(
            example(normal(*shape, dtype="complex128"), full_matrices=False, observe=_terms)
            for shape in ((3, 3), (2, 4, 2), (2, 4))
        ),
        example(normal(2, 3, 3), full_matrices=True, observe=_terms),
        example(normal(0, 3), full_matrices=False, observe=_terms),
    ]
)
def _svd(xp: Namespace, x: Array, /, *, full_matrices: bool = True) -> tuple[Array, Array, Array]:
    u, s, vh = xp.linalg.svd(x, full_matrices=full_matrices)
    return u, s, vh


@_svd.vjp("x")
def _(xp: Namespace, g: tuple[Array, ...], y: tuple[Array, ...], *, full_matrices: bool) -> Array:
    (gu, gs, gvh), (u, s, vh) = (conj(xp, g[0]), g[1], conj(xp, g[2])), y
    m, k, n = u.shape[-2], s.shape[-1], vh.shape[-1]
    if full_matrices and m != n:
        for beyond in (gu[..., :, k:], gvh[..., k:, :]):
            _refuse_what_is_beyond(xp, beyond, "svd", "use full_matrices=False")
        gu, u, gvh, vh = gu[..., :, :k], u[..., :, :k], gvh[..., :k, :], vh[..., :k, :]
    row, column = s[..., None, :], s[..., :, None]
    p, q = matmul(adjoint(xp, u), gu), matmul(vh, adjoint(xp, gvh))
    inner = ((p - adjoint(xp, p)) * row + column * (q - adjoint(xp, q))) / _gaps(xp, s, squares=True)
    if is_complex(u.dtype):
        inner = inner + 1j * diagonal_matrix(quotient(xp, xp.imag(diagonal(p)), s))
    inner = inner + diagonal_matrix(gs)
    if m > k:
        total = matmul(matmul(u, inner - quotient(xp, p, row)) + quotient(xp, gu, row), vh)
    elif n > k:
        total = matmul(u, matmul(inner - quotient(xp, adjoint(xp, q), column), vh) + quotient(xp, gvh, column))
    else:
        total = matmul(matmul(u, inner), vh)
    return conj(xp, total)


def svd(x: Array, /, *, full_matrices: bool = True) -> SVDResult:
    """Singular values and vectors of matrices, (..., m, n): x = U @ diag(S) @ Vh.

    full_matrices: complete U to (..., m, m) and Vh to (..., n, n); otherwise they have k = min(m, n) columns and rows.
    Returns U, real S (..., k) in descending order, and Vh.
    Gradients of singular vectors are defined for what depends neither on their signs or phases nor, where singular
    values are equal, on the choice among theirs. Raises ValueError on the way back where a gradient reaches the
    vectors that only complete a basis.

    >>> import pullback as pb
    >>> pb.linalg.svd(pb.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    Tensor([2., 1.], dtype=float32)
    """
    return SVDResult(*_svd(x, full_matrices=full_matrices))


@autocasts_to("float32")
@op(examples=[example(normal(3, 3)), example(normal(2, 2, 4)), example(normal(4, 3, dtype="complex128"))])
def svdvals(xp: Namespace, x: Array, /) -> Array:
    """Singular values of matrices, (..., m, n), real and descending: (..., min(m, n)). See `svd`."""
    return xp.linalg.svdvals(x)


@svdvals.vjp("x")
def _(xp: Namespace, g: Array, x: Array) -> Array:
    u, _, vh = svd(x, full_matrices=False)
    return conj(xp, matmul(u * g[..., None, :], vh))


@autocasts_to("float32")
@op(
    examples=[
        *(example(normal(*shape)) for shape in ((3, 3), (4, 2), (2, 2, 4))),
        *(example(normal(*shape, dtype="complex128")) for shape in ((3, 3), (2, 4, 2), (2, 4))),
        example(normal(2, 3, 3), mode="complete"),
        example(normal(2, 3), mode="complete"),
    ]
)
def _qr(xp: Namespace, x: Array, /, *, mode: str = "reduced") -> tuple[Array, Array]:
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr knows the modes 'reduced' and 'complete'; got {mode!r}")
    q, r = xp.linalg.qr(x, mode=mode)
    return q, r


@_qr.vjp("x")
def _(xp: Namespace, g: tuple[Array, Array], y: tuple[Array, Array], *, mode: str) -> Array:
    (gq, gr), (q, r) = (conj(xp, g[0]), conj(xp, g[1])), y
    m, n = q.shape[-2], r.shape[-1]
    if mode == "complete" and m > n:
        _refuse_what_is_beyond(xp, gq[..., :, n:], "qr", 'use mode="reduced"')
        gq, q, gr, r = gq[..., :, :n], q[..., :, :n], gr[..., :n, :], r[..., :n, :]
    ends = []
    if n > m:  # x is [a, b] and r is [s, q^H @ b], where q and s are those of a
        rest = gr[..., :, m:]
        ends.append(matmul(q, rest))
        gq = gq + matmul(q, matmul(r[..., :, m:], adjoint(xp, rest)))
        gr, r = gr[..., :, :m], r[..., :, :m]
    inner = _mirrored(xp, matmul(r, adjoint(xp, gr)) - matmul(adjoint(xp, gq), q))
    start = adjoint(xp, solve(r, adjoint(xp, matmul(q, inner) + gq)))
    return conj(xp, xp.concat([start, *ends], axis=-1))


def qr(x: Array, /, *, mode: str = "reduced") -> QRResult:
    """An orthonormal and a triangular factor of matrices, (..., m, n): x = Q @ R.

    mode: "reduced" gives Q (..., m, k) and R (..., k, n) with k = min(m, n); "complete" (..., m, m) and (..., m, n).
    Differentiable where the first k columns are linearly independent. Raises ValueError for another mode, and on the
    way back where a gradient reaches the columns of Q that only complete a basis.

    >>> import pullback as pb
    >>> pb.linalg.qr(pb.tensor([[3.0, 1.0], [4.0, 2.0]])).R.shape
    (2, 2)
    """
    return QRResult(*_qr(x, mode=mode))
