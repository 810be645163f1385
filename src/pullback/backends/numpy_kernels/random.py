"""Kernels of random numbers."""

from typing import Any

from ..host import host as np
from .table import kernel


@kernel("random_bits")
def _(like: Any, *, seed: int, offset: int, size: int) -> Any:
    return np.random.Philox(key=seed, counter=offset).random_raw(size).view(np.int64)
