"""Kernels of losses: cross-entropy between logits and classes."""

from typing import Any, Final

from ..backend import Array
from ..dtypes import HALVES
from .factors import wide_dtype
from .launch import FLOATING, Source, driver, type_of
from .rows import are_floating, contiguous, rows_of, threads_for
from .softmax import result_dtype
from .table import kernel

_TYPES: Final = [*(f"{name}, {name}" for name in FLOATING), *(f"{half}, float" for half in HALVES)]
"""Of the logits, and of the losses."""

_source = Source("loss", ("cross_entropy", "count_targets", "add_up", "cross_entropy_vjp"), _TYPES)

_BLOCK: Final = 256
_ADDED: Final = 1 << 14
"""Up to how many numbers one block adds up by itself."""
_MOST: Final = 1024
"""Among how many blocks more of them are parted, and how many threads the one has that adds up what these leave."""


@kernel("cross_entropy", declines=True)
def _(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    dtype: Any = None,
) -> Any:
    if reduction not in ("mean", "sum", "none") or not _are_classes(logits, target, weight, label_smoothing):
        return NotImplemented
    of_losses = result_dtype(logits, dtype)
    if of_losses is None:
        return NotImplemented
    logits, target, weight, narrow = _given(logits, target, weight)
    empty, rows, columns = driver().xp.empty, rows_of(logits), logits.shape[-1]
    result, is_reduced = empty(target.shape if reduction == "none" else (), of_losses), reduction != "none"
    kind = _types(logits, result)
    losses = empty(target.shape, wide_dtype(logits)) if is_reduced else result
    counts = empty(target.shape, losses.dtype) if is_reduced else None
    blocks, threads = _threads(rows, columns, logits)
    numbers = rows, columns, narrow, int(ignore_index), float(label_smoothing)
    _source.launch("cross_entropy", kind, blocks, threads, logits, target, weight, losses, counts, *numbers)
    if counts is not None:
        _add_up(kind, losses, counts, result, None, reduction == "mean")
    return result


@kernel("cross_entropy.vjp(logits)", declines=True)
def _(
    g: Array,
    logits: Array,
    target: Array,
    weight: Array | None,
    *,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
) -> Any:
    if not _are_classes(logits, target, weight, label_smoothing) or g.dtype not in (logits.dtype, wide_dtype(logits)):
        return NotImplemented
    logits, target, weight, narrow = _given(logits, target, weight)
    xp, kind, rows, columns = driver().xp, _types(logits, g), rows_of(logits), logits.shape[-1]
    wide, total, all_weights = wide_dtype(logits), None, None
    facts = rows, columns, narrow, int(ignore_index)
    if reduction == "mean":
        counts, total = xp.empty(target.shape, wide), xp.empty((), wide)
        _source.launch("count_targets", kind, -(-rows // _BLOCK), _BLOCK, target, weight, counts, *facts)
        _add_up(kind, None, counts, None, total, False)
    if weight is not None and label_smoothing:
        all_weights = xp.sum(weight, axis=0, keepdims=True, dtype=wide)
    gx = xp.empty(logits.shape, logits.dtype)
    blocks, threads = _threads(rows, columns, logits)
    arrays = contiguous(g), logits, target, weight, total, all_weights, gx
    numbers = *facts, int(reduction == "none"), float(label_smoothing)
    _source.launch("cross_entropy_vjp", kind, blocks, threads, *arrays, *numbers)
    return gx


def _are_classes(logits: Array, target: Array, weight: Array | None, label_smoothing: float) -> bool:
    """Whether the targets are classes, which go with the logits as weights do, and there are some."""
    return (
        logits.ndim > 0
        and logits.size > 0
        and target.shape == logits.shape[:-1]
        and target.dtype.kind in "iu"
        and are_floating(logits)
        and (weight is None or weight.shape == logits.shape[-1:])
        and 0 <= label_smoothing <= 1
    )


def _types(logits: Array, losses: Array) -> str:
    """What the source is compiled for; losses: they, or their gradient."""
    return f"{type_of(logits.dtype)}, {type_of(losses.dtype)}"


def _given(logits: Array, target: Array, weight: Array | None) -> tuple[Array, Array, Array | None, int]:
    """The arrays as the kernels take them, and 1 where targets are int32 instead of int64."""
    narrow = target.dtype.name == "int32"
    target = target if narrow or target.dtype.name == "int64" else target.astype("int64")
    weight = None if weight is None else contiguous(weight.astype(wide_dtype(logits), copy=False))
    return contiguous(logits), contiguous(target), weight, int(narrow)


def _threads(rows: int, columns: int, logits: Array) -> tuple[int, tuple[int, int]]:
    return threads_for(rows, columns, 16 // logits.dtype.itemsize)


def _add_up(
    kind: str, losses: Array | None, counts: Array, result: Array | None, total: Array | None, is_mean: bool
) -> None:
    """Write the sum of the losses, or their mean, to `result`, and that of the counts to `total`."""
    size, step = counts.size, 1
    if size > _ADDED:
        blocks = min(_MOST, -(-size // _MOST))
        parts = driver().xp.empty((blocks, 2), counts.dtype)
        _source.launch("add_up", kind, blocks, _BLOCK, losses, counts, parts, None, None, size, step, 0)
        losses, counts, size, step = parts if losses is not None else None, parts[0, 1:], blocks, 2
    arrays = losses, counts, None, result, total
    _source.launch("add_up", kind, 1, _MOST, *arrays, size, step, int(is_mean))
