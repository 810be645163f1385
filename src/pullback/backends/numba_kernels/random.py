"""Dropout, compiled."""

from typing import Any

from .compiling import compiled

__all__ = ["masked"]


@compiled
def masked(start: int, stop: int, x: Any, mask: Any, scale: Any, shift: Any, other: Any, y: Any) -> None:
    """x * scale + shift where the mask is true, `other` elsewhere."""
    for i in range(start, stop):
        y[i] = x[i] * scale + shift if mask[i] else other
