"""Kernels of the normalizations along the last axes: layer norm and root mean square norm."""

from collections.abc import Sequence
from math import prod
from typing import Any, Final

from ..backend import Array
from .factors import empty_factors, sum_parts, wide_dtype, width_of
from .launch import Source, driver, type_of, vector_length
from .rows import ROW_TYPES, are_floating, contiguous, threads_for
from .table import kernel

_sources = {
    name: Source("layer_norm", (name, f"{name}_vjp", "sum_parts"), ROW_TYPES) for name in ("layer_norm", "rms_norm")
}
"""Apart, so that each is compiled only where it is used."""

_WARP: Final = 32
_BLOCK: Final = 256
_TOGETHER: Final = {1: 2, 2: 1, 4: 1, 8: 1}
"""How many times as many threads a multiprocessor has registers for on the way back, by the length of packs."""
_KEPT: Final = {1: 8, 2: 8, 4: 8, 8: 4}
"""How many packs of a row a thread keeps on the way back, by their length; as `most_kept` in layer_norm.cu."""
_EPS: Final = {"float": 2.0**-23, "double": 2.0**-52, "float16": 2.0**-23, "bfloat16": 2.0**-23}


@kernel("layer_norm", declines=True)
def _(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, normalized_shape: Any, eps: float = 1e-5
) -> Any:
    return _forward("layer_norm", x, weight, bias, normalized_shape, eps)


@kernel("layer_norm.vjp(x,weight,bias)", declines=True)
def _(g: Array, x: Array, weight: Array | None, *, normalized_shape: Any, eps: float) -> Any:
    return _backward("layer_norm", g, x, weight, normalized_shape, eps)


@kernel("rms_norm", declines=True)
def _(x: Array, weight: Array | None = None, *, normalized_shape: Any, eps: float | None = None) -> Any:
    return _forward("rms_norm", x, weight, None, normalized_shape, eps)


@kernel("rms_norm.vjp(x,weight)", declines=True)
def _(g: Array, x: Array, weight: Array | None, *, normalized_shape: Any, eps: float | None) -> Any:
    found = _backward("rms_norm", g, x, weight, normalized_shape, eps)
    return found if found is NotImplemented else found[:2]


def _forward(
    name: str, x: Array, weight: Array | None, bias: Array | None, normalized_shape: Any, eps: float | None
) -> Any:
    shape, wide = _last_lengths(x, normalized_shape), width_of(x, weight, bias)
    if not shape or wide is None or any(a is not None and a.shape != shape for a in (weight, bias)):
        return NotImplemented
    x = contiguous(x)
    y = driver().xp.empty(x.shape, x.dtype)
    columns, kind = prod(shape), type_of(x.dtype)
    rows, vector = x.size // columns, vector_length(columns, x, y)
    blocks, threads = threads_for(rows, columns, vector)
    factors = (None if a is None else contiguous(a) for a in (weight, bias))
    least = _EPS[kind] if eps is None else float(eps)
    _sources[name].launch(name, f"{kind}, {vector}", blocks, threads, x, *factors, y, rows, columns, wide, least)
    return y


def _backward(name: str, g: Array, x: Array, weight: Array | None, normalized_shape: Any, eps: float | None) -> Any:
    shape = _last_lengths(x, normalized_shape)
    if not shape or g.dtype != x.dtype or width_of(x, weight) is None:
        return NotImplemented
    g, x, weight = contiguous(g), contiguous(x), None if weight is None else contiguous(weight)
    gx = driver().xp.empty(x.shape, x.dtype)
    of_weight, of_bias, wide = empty_factors(x, shape, weight)
    columns, kind = prod(shape), type_of(x.dtype)
    rows, vector = x.size // columns, vector_length(columns, g, x, gx)
    blocks, threads = _threads_back(rows, columns, vector)
    is_centred = name == "layer_norm"
    parts = driver().xp.empty((blocks, 1 + is_centred, columns), wide_dtype(x))
    types, least = f"{kind}, {vector}", _EPS[kind] if eps is None else float(eps)
    source, arrays = _sources[name], (g, x, weight, gx, parts)
    source.launch(f"{name}_vjp", types, blocks, threads, *arrays, rows, columns, wide, least)
    sum_parts(source, types, parts, of_weight, of_bias if is_centred else None, blocks, columns, wide)
    return gx, of_weight, of_bias


def _last_lengths(x: Array, normalized_shape: Any) -> tuple[int, ...]:
    """The lengths of the last axes; none where they are not those of x, or x is not for the kernels."""
    shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (int(normalized_shape),)
    return shape if x.size and shape and x.shape[-len(shape) :] == shape and are_floating(x) else ()


def _threads_back(rows: int, columns: int, vector: int) -> tuple[int, tuple[int, int]]:
    """How many blocks, and their threads: a warp for each row, or for long ones a block; each takes many of them."""
    wanted = -(-columns // (vector * _KEPT[vector]))
    together = _BLOCK // _WARP if wanted <= _WARP else 1
    across = min(_BLOCK, _WARP << (-(-wanted // _WARP) - 1).bit_length())
    most = driver().processors * _TOGETHER[vector] * (_BLOCK // (across * together))
    return min(-(-rows // together), most), (across, together)
