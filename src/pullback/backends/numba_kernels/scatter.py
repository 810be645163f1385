"""Adding by index, compiled: arrays are (outer, places, inner), indices lie in the axis and are not negative."""

from typing import Any

from .compiling import compiled

__all__ = ["add_each", "add_rows"]


@compiled
def add_rows(updates: Any, indices: Any, total: Any) -> None:
    """Each row added to the one that its index names."""
    for o in range(updates.shape[0]):
        for i in range(indices.size):
            here, row = total[o, indices[i]], updates[o, i]
            for c in range(row.size):
                here[c] += row[c]


@compiled
def add_each(updates: Any, indices: Any, total: Any) -> None:
    """Each element added at its own index along the middle axis."""
    for o in range(updates.shape[0]):
        for i in range(updates.shape[1]):
            for c in range(updates.shape[2]):
                total[o, indices[o, i, c], c] += updates[o, i, c]
