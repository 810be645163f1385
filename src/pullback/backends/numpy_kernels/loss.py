"""Kernels of losses."""

from typing import Any

from ..host import host as np
from ..memory import empty
from ..numba_kernels import softmax as compiled
from ..numba_kernels.compiling import in_parts
from .activation import are_worthwhile, in_dtype
from .table import kernel


@kernel("cross_entropy", declines=True)
def _(
    logits: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    dtype: Any = None,
) -> Any:
    if dtype is not None:
        logits = in_dtype(logits, dtype)
    known = reduction in ("mean", "sum", "none")
    if not (known and _plain_classes(logits, target, weight, ignore_index, label_smoothing)):
        return NotImplemented
    if are_worthwhile(logits):
        flat, classes = _flat(logits, target)
        losses = np.empty(flat.shape[0], flat.dtype)
        in_parts(compiled.cross_entropy, flat.shape[0], flat, classes, losses)
    else:
        shifted, rows = _rows(logits)
        losses = np.log(np.add.reduce(np.exp(shifted), axis=-1))
        losses -= shifted[rows, target.reshape(-1)]
    if reduction == "none":
        return losses.reshape(target.shape)
    total = np.add.reduce(losses)
    return total / losses.dtype.type(losses.size) if reduction == "mean" else total


@kernel("cross_entropy.vjp(logits)", declines=True)
def _(
    g: Any,
    logits: Any,
    target: Any,
    weight: Any,
    *,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
) -> Any:
    if logits.dtype != g.dtype:
        logits = in_dtype(logits, g.dtype)
    if not _plain_classes(logits, target, weight, ignore_index, label_smoothing):
        return NotImplemented
    if reduction == "mean":
        g = g / g.dtype.type(target.size)
    if are_worthwhile(logits):
        flat, classes = _flat(logits, target)
        each = np.ascontiguousarray(np.broadcast_to(g.reshape(-1), flat.shape[:1]))
        d = empty(flat.shape, flat.dtype)
        in_parts(compiled.cross_entropy_vjp, flat.shape[0], each, flat, classes, d)
        return d.reshape(logits.shape)
    e, rows = _rows(logits)
    np.exp(e, out=e)
    e /= np.add.reduce(e, axis=-1, keepdims=True)
    e[rows, target.reshape(-1)] -= 1
    e *= g.reshape(-1, 1) if reduction == "none" else g
    return e.reshape(logits.shape)


def _plain_classes(logits: Any, target: Any, weight: Any, ignore_index: int, label_smoothing: float) -> bool:
    """Whether the targets are classes, all of them valid, and nothing is weighted, smoothed or ignored."""
    if logits is None:
        return False
    classes = logits.shape[-1] if logits.ndim else 0
    return bool(
        weight is None
        and logits.dtype.char in "fd"
        and label_smoothing == 0
        and not 0 <= ignore_index < classes
        and target.shape == logits.shape[:-1]
        and target.size > 0
        and target.dtype.kind in "iu"
        and np.minimum.reduce(target, axis=None) >= 0
        and np.maximum.reduce(target, axis=None) < classes
    )


def _flat(logits: Any, target: Any) -> tuple[Any, Any]:
    """The logits as rows, and the class of each, as the compiled functions take them."""
    return np.ascontiguousarray(logits).reshape(-1, logits.shape[-1]), np.asarray(target.reshape(-1), np.int64)


def _rows(logits: Any) -> tuple[Any, Any]:
    """The logits as rows less their maxima, and the rows' numbers."""
    flat = logits.reshape(-1, logits.shape[-1])
    return flat - np.maximum.reduce(flat, axis=-1, keepdims=True), np.arange(flat.shape[0])
