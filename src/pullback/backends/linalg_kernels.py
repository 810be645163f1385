"""NumPy's kernels for linear algebra; for single large matrices by SciPy's LAPACK, in the matrices' own precision.

NumPy's works in double precision whatever it is given, and waits for OpenBLAS's triangular solves, which are many times
slower than its matrix products. SciPy is imported when the first large matrix comes, and is no requirement: without it,
and for stacks, small and complex matrices, and failures of LAPACK, the ops' own lines run.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib import import_module
from threading import local
from typing import Any, Final

from .blas_threads import blas_alone
from .declining import declining
from .dtypes import is_half
from .host import host as np

__all__ = ["kernels"]

WORTHWHILE: Final = 64
"""The least length of a matrix that is worth the calls into LAPACK from here."""
BLOCK: Final = 64
FEW: Final = 16
"""For up to so many columns LAPACK's own triangular solve is the quicker."""
KEPT: Final = 2**24
"""The bytes up to which a matrix is kept beside its factors, for the way back."""
MANY: Final = 512
"""Matrices of less than this length LAPACK decomposes in one thread: several get in each other's way."""


@cache
def _lapack() -> Any:
    try:
        return import_module("scipy.linalg.lapack")
    except ImportError:
        return None


def _in_few_threads(x: Any) -> AbstractContextManager[None]:
    """OpenBLAS in one thread for a matrix of middling length, if threadpoolctl is installed."""
    return (blas_alone() if max(x.shape) < MANY else None) or nullcontext()


def _routine(name: str, *matrices: Any) -> Callable[..., Any] | None:
    """LAPACK's routine for single large real matrices of one data type; None for others."""
    x = matrices[0]
    if (
        min(x.shape, default=0) < WORTHWHILE
        or any(a.ndim != 2 or a.dtype != x.dtype or a.dtype.char not in "fd" for a in matrices)
        or _lapack() is None
    ):
        return None
    found: Callable[..., Any] = getattr(_lapack(), ("s" if x.dtype.char == "f" else "d") + name)
    return found


class Factors:
    """The factors L and U of a matrix, and the inverses of the blocks on their diagonals.

    With these, a triangular solve is nothing but products of matrices.
    """

    def __init__(self, lu: Any, pivots: Any) -> None:
        self.lu, self.pivots = lu, pivots  # of the transpose: for LAPACK, the rows of NumPy's matrices are columns
        self.matrix: Any = None
        self.blocks: dict[bool, list[Any]] = {}

    def solve(self, b: Any, transposed: bool) -> Any:
        """The solution y of x @ y = b, or of x.T @ y = b; b has two axes."""
        if b.shape[1] <= FEW:
            y = _routine("getrs", self.lu)(self.lu, self.pivots, b, trans=not transposed)[0]  # type: ignore[misc]
            return np.ascontiguousarray(y)
        with _in_few_threads(self.lu):
            return self._solve(b, transposed)

    def _solve(self, b: Any, transposed: bool) -> Any:
        order = self._order()
        if transposed:
            y = b[order]
            self._substitute(self.lu, y, lower=True, down=True)
            self._substitute(self.lu, y, lower=False, down=False)
            return y
        y = np.array(b, order="C")
        self._substitute(self.lu.T, y, lower=False, down=True)
        self._substitute(self.lu.T, y, lower=True, down=False)
        whole = np.empty_like(y)
        whole[order] = y
        return whole

    def _substitute(self, t: Any, y: Any, *, lower: bool, down: bool) -> None:
        """Solve with a triangle of t in place: L or its transpose with `lower`, else U or its."""
        inverses = self._inverses(lower)
        starts = range(0, len(y), BLOCK)
        for i in starts if down else reversed(starts):
            rows, done = slice(i, i + BLOCK), slice(0, i) if down else slice(i + BLOCK, None)
            rest = y[rows] - t[rows, done] @ y[done] if len(y[done]) else y[rows]
            inverse = inverses[i // BLOCK]
            np.matmul(inverse if down == lower else inverse.T, rest, out=y[rows])

    def _inverses(self, lower: bool) -> list[Any]:
        if lower not in self.blocks:
            invert: Any = _routine("trtri", self.lu)
            cut = np.tril if lower else np.triu
            starts = range(0, len(self.lu), BLOCK)
            blocks = (self.lu[i : i + BLOCK, i : i + BLOCK] for i in starts)
            found = [cut(invert(block, lower=lower, unitdiag=lower)[0]) for block in blocks]
            for block in found if lower else ():
                np.fill_diagonal(block, 1)
            self.blocks[lower] = found
        return self.blocks[lower]

    def _order(self) -> Any:
        """The pivots, a list of exchanges, as one permutation."""
        order = list(range(len(self.pivots)))
        for i, j in enumerate(self.pivots.tolist()):
            order[i], order[j] = order[j], order[i]
        return order


_last = local()  # the way back solves with the matrix that the way there was the last to solve with


def _factors(x: Any, *others: Any) -> Factors | None:
    """The factors of a matrix, those at hand if they are of the same elements; None where it takes NumPy."""
    factorize = _routine("getrf", x, *others)
    if factorize is None or x.shape[0] != x.shape[1] or any(len(a) != len(x) for a in others):
        return None
    kept: Factors | None = getattr(_last, "factors", None)
    if kept is not None and kept.lu.dtype == x.dtype and np.array_equal(kept.matrix, x):
        return kept
    with _in_few_threads(x):
        lu, pivots, info = factorize(x.T)
    if info:
        return None
    factors = Factors(lu, pivots)
    if x.nbytes <= KEPT:
        factors.matrix = x.copy()
        _last.factors = factors
    return factors


def solve(x1: Any, x2: Any) -> Any:
    """x1 @ y = x2."""
    b = x2[:, None] if x2.ndim == 1 else x2
    factors = _factors(x1, b)
    if factors is None:
        return NotImplemented
    y = factors.solve(b, transposed=False)
    return y[:, 0] if x2.ndim == 1 else y


def solve_vjp(g: Any, x1: Any, x2_shape: tuple[int, ...], y: Any) -> Any:
    """The gradients of both; the factors are those of the forward."""
    if len(x2_shape) > 2:
        return NotImplemented
    g, y = (g[:, None], y[:, None]) if len(x2_shape) == 1 else (g, y)
    factors = _factors(x1, g)
    if factors is None:
        return NotImplemented
    g2 = factors.solve(g, transposed=True)
    g1 = np.matmul(g2, y.T)
    return np.negative(g1, out=g1), g2.reshape(x2_shape)


def svd(x: Any, *, full_matrices: bool = True) -> Any:
    """By divide and conquer; of the transpose, which is what the matrix looks like to LAPACK."""
    decompose = _routine("gesdd", x)
    if decompose is None:
        return NotImplemented
    with _in_few_threads(x):
        u, s, vh, info = decompose(x.T, full_matrices=full_matrices)
    return NotImplemented if info else (vh.T, s, u.T)


def eigh(x: Any) -> Any:
    """By divide and conquer."""
    decompose = _routine("syevd", x)
    if decompose is None or x.shape[0] != x.shape[1]:
        return NotImplemented
    h = x + x.T
    h *= 0.5
    with _in_few_threads(x):
        w, v, info = decompose(h.T, lower=1, overwrite_a=1)
    return NotImplemented if info else (w, v)


def vecdot(x1: Any, x2: Any, *, axis: int = -1) -> Any:
    """NumPy's own, where the lengths agree, and of what it sums to full precision."""
    product: Any = np.vecdot
    usual = x1.shape[axis] == x2.shape[axis] and not is_half(x1.dtype) and not is_half(x2.dtype)
    return product(x1, x2, axis=axis) if usual else NotImplemented


def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """NumPy's own, for the norms that the op knows."""
    known = ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    return np.linalg.matrix_norm(x, keepdims=keepdims, ord=ord) if known else NotImplemented


kernels: Final[dict[str, Callable[..., Any]]] = {
    "solve": declining(solve),
    "solve.vjp(x1,x2)": declining(solve_vjp),
    "svd": declining(svd),
    "eigh": declining(eigh),
    "vecdot": declining(vecdot),
    "matrix_norm": declining(matrix_norm),
}
"""By the names of the ops; each returns NotImplemented for what it leaves to their own lines."""
