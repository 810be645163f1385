"""A backend's table of kernels, and how they are entered into it."""

from collections.abc import Callable
from typing import Any, TypeVar

from .declining import declining

__all__ = ["KernelTable"]

F = TypeVar("F", bound=Callable[..., Any])


class KernelTable(dict[str, Callable[..., Any]]):
    """Kernels by the name of an op, of one of its vjps (`"softmax.vjp(x)"`), or of an update (`"adam.in_place"`)."""

    def kernel(self, name: str, declines: bool = False) -> Callable[[F], F]:
        """Enter a function under the name of what it stands for.

        declines: it returns NotImplemented for calls that it leaves to the op's own lines.
        """

        def enter(function: F) -> F:
            self[name] = declining(function) if declines else function
            return function

        return enter
