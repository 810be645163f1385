"""Weights and biases, one for each column of an array, and their gradients."""

from typing import Any

from ..backend import Array
from ..dtypes import is_half
from .launch import Source, driver

__all__ = ["empty_factors", "sum_parts", "wide_dtype", "width_of"]


def wide_dtype(x: Array) -> Any:
    """What is calculated in for an array: float32 for half precision, else its own dtype."""
    return driver().xp.float32 if is_half(x.dtype) else x.dtype


def width_of(x: Array, *factors: Array | None) -> int | None:
    """0 where all are in the dtype of x, 1 where in the one that is calculated in, None where neither."""
    narrow, found = x.dtype, None
    for factor in factors:
        if factor is not None:
            if found is not None and factor.dtype != found:
                return None
            found = factor.dtype
    if found is None or found == narrow:
        return 0
    return 1 if found == wide_dtype(x) else None


def empty_factors(x: Array, shape: tuple[int, ...], weight: Array | None) -> tuple[Array, Array, int]:
    """Where the gradients of a weight and of a bias go, and 1 where these are wide: like the weight, or wide."""
    dtype = wide_dtype(x) if weight is None else weight.dtype
    empty = driver().xp.empty
    return empty(shape, dtype), empty(shape, dtype), int(dtype != x.dtype)


def sum_parts(
    source: Source, types: str, parts: Array, first: Array, second: Array | None, count: int, columns: int, wide: int
) -> None:
    """Write the sums of parts to one array, or to two that lie side by side in each part."""
    width = columns if second is None else 2 * columns
    source.launch("sum_parts", types, -(-width // 32), (32, 32), parts, first, second, count, columns, wide)
