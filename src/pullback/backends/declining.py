"""Kernels that leave some calls to the op's own lines."""

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["declining", "or_else"]

F = TypeVar("F", bound=Callable[..., Any])


def declining(kernel: F) -> F:
    """Mark a kernel that returns NotImplemented for the calls that it declines."""
    kernel.declines = True  # type: ignore[attr-defined]
    return kernel


def or_else(kernel: Callable[..., Any], reference: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel, and the op's own lines for the calls that it declines, if it is marked as one that does."""
    if not getattr(kernel, "declines", False):
        return kernel

    def either(*arrays: Any, **metadata: Any) -> Any:
        result = kernel(*arrays, **metadata)
        return reference(*arrays, **metadata) if result is NotImplemented else result

    return either
