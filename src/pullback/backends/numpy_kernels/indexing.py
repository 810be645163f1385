"""Kernels of reading and adding by index."""

from typing import Any

from ..host import host as np
from .table import kernel


@kernel("gather")
def _(x: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    given = iter(arrays)
    return x[tuple([next(given) if isinstance(k, str) else k for k in key])]


@kernel("pick")
def _(x: Any, *indices: Any) -> Any:
    return x[indices]


@kernel("scatter_add")
def _(updates: Any, indices: Any, *, size: int, axis: int = 0) -> Any:
    shape = list(updates.shape)
    shape[axis] = size
    whole = np.zeros(shape, dtype=updates.dtype)
    np.add.at(np.moveaxis(whole, axis, 0), indices, np.moveaxis(updates, axis, 0))
    return whole
