"""Softmax, its logarithm and cross-entropy, compiled: each row stays in the cache until it is done.

All arrays of numbers are (rows, columns), of one dtype; rows from start up to stop are done. A NaN in a row makes all
of the row NaN, also where its maximum passed over it.
"""

from typing import Any

from .compiling import compiled
from .vector_math import exp, greatest, log

__all__ = ["cross_entropy", "cross_entropy_vjp", "log_softmax", "log_softmax_vjp", "softmax", "softmax_vjp"]


@compiled
def softmax(start: int, stop: int, x: Any, y: Any) -> None:
    """Softmax of each row of x, into y."""
    for n in range(start, stop):
        row, out = x[n], y[n]
        top, total = greatest(row), row.dtype.type(0)
        for i in range(row.size):
            e = exp(row[i] - top)
            out[i] = e
            total += e
        scale = row.dtype.type(1) / total
        for i in range(row.size):
            out[i] *= scale


@compiled
def softmax_vjp(start: int, stop: int, g: Any, y: Any, d: Any) -> None:
    """The gradient of x, into d."""
    for n in range(start, stop):
        slopes, row, out = g[n], y[n], d[n]
        total = row.dtype.type(0)
        for i in range(row.size):
            total += slopes[i] * row[i]
        for i in range(row.size):
            out[i] = row[i] * (slopes[i] - total)


@compiled
def log_softmax(start: int, stop: int, x: Any, y: Any) -> None:
    """The logarithm of softmax of each row of x, into y."""
    for n in range(start, stop):
        row, out = x[n], y[n]
        top, total = greatest(row), row.dtype.type(0)
        for i in range(row.size):
            total += exp(row[i] - top)
        shift = log(total)
        for i in range(row.size):
            out[i] = (row[i] - top) - shift


@compiled
def log_softmax_vjp(start: int, stop: int, g: Any, y: Any, d: Any) -> None:
    """The gradient of x, into d."""
    for n in range(start, stop):
        slopes, row, out = g[n], y[n], d[n]
        total = row.dtype.type(0)
        for i in range(row.size):
            total += slopes[i]
        for i in range(row.size):
            out[i] = slopes[i] - exp(row[i]) * total


@compiled
def cross_entropy(start: int, stop: int, logits: Any, target: Any, losses: Any) -> None:
    """logsumexp(logits) - logits[target] of each row, into losses, (rows,)."""
    for n in range(start, stop):
        row = logits[n]
        top, total = greatest(row), row.dtype.type(0)
        for i in range(row.size):
            total += exp(row[i] - top)
        losses[n] = log(total) - (row[target[n]] - top)


@compiled
def cross_entropy_vjp(start: int, stop: int, g: Any, logits: Any, target: Any, d: Any) -> None:
    """The gradient of the logits, into d; g is (rows,)."""
    for n in range(start, stop):
        row, out = logits[n], d[n]
        top, total = greatest(row), row.dtype.type(0)
        for i in range(row.size):
            e = exp(row[i] - top)
            out[i] = e
            total += e
        scale = g[n] / total
        for i in range(row.size):
            out[i] *= scale
        out[target[n]] -= g[n]
