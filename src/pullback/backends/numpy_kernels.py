"""NumPy's kernels: faster versions of forwards and vjps, by name."""

from collections.abc import Callable
from typing import Any

__all__ = ["kernels"]

kernels: dict[str, Callable[..., Any]] = {}
