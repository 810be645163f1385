"""The batch axis in products of vectors and matrices, and in linear systems."""

from math import prod
from typing import Any

from .array import below
from .rules import Kind, Rule, elementwise, is_mapped, kept_unless_mapped, ndim_of, plain, rule, spread


def _matrix(kind: Kind, x: Any, axis: int) -> Any:
    """A vector as a matrix of one row (axis -2) or of one column (axis -1)."""
    return kind(below.expand_dims(plain(kind, x), axis=axis), is_mapped(kind, x))


@rule("matmul", "linalg.matmul")
@kept_unless_mapped
def _(kind: Kind, f: Rule, x1: Any, x2: Any) -> Any:
    a, b = plain(kind, x1), plain(kind, x2)
    ndim1, ndim2 = ndim_of(x1), ndim_of(x2)
    if not is_mapped(kind, x2) and ndim2 <= 2:
        if ndim1 == 1 or ndim2 == 1:
            return kind(f(a, b))
        rows = f(below.reshape(a, (prod(a.shape[:-1]), a.shape[-1])), b)  # one product, not one for each
        return kind(below.reshape(rows, (*a.shape[:-1], b.shape[-1])))
    if not is_mapped(kind, x1) and ndim1 <= 2 and ndim2 == 1:
        return kind(f(b, a if ndim1 == 1 else below.matrix_transpose(a)))
    if not is_mapped(kind, x1) and ndim1 == 2:
        turned = below.matrix_transpose(b)
        rows = f(below.reshape(turned, (prod(turned.shape[:-1]), turned.shape[-1])), below.matrix_transpose(a))
        return kind(below.matrix_transpose(below.reshape(rows, (*turned.shape[:-1], a.shape[0]))))
    left = _matrix(kind, x1, -2) if ndim1 == 1 else x1
    right = _matrix(kind, x2, -1) if ndim2 == 1 else x2
    ndim = max(ndim_of(left), ndim_of(right))
    y = f(spread(kind, left, ndim), spread(kind, right, ndim))
    added = [-2] * (ndim1 == 1) + [-1] * (ndim2 == 1)
    return kind(below.squeeze(y, axis=tuple(added)) if added else y)


@rule("linalg.solve")
@kept_unless_mapped
def _solve(kind: Kind, f: Rule, x1: Any, x2: Any) -> Any:
    if ndim_of(x2) == 1:
        column = _solve(kind, f, x1, _matrix(kind, x2, -1))
        return kind(below.squeeze(column.value, axis=-1))
    ndim = max(ndim_of(x1), ndim_of(x2))
    return kind(f(spread(kind, x1, ndim), spread(kind, x2, ndim)))


@rule("vecdot", "linalg.vecdot", "linalg.cross")
def _(kind: Kind, f: Rule, x1: Any, x2: Any, *, axis: int = -1) -> Any:
    return elementwise(kind, f, x1, x2, axis=axis if axis < 0 else axis - max(ndim_of(x1), ndim_of(x2)))


@rule("linalg.outer")
def _(kind: Kind, f: Rule, x1: Any, x2: Any) -> Any:
    return kind.namespace.multiply(_matrix(kind, x1, -1), _matrix(kind, x2, -2))
