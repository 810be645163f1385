"""The table of NumPy's kernels, and how they are entered into it."""

from collections.abc import Callable
from typing import Any, TypeVar

from ..declining import declining
from ..host import host as np

__all__ = ["AN_ARRAY", "kernel", "kernels"]

F = TypeVar("F", bound=Callable[..., Any])

# With `out=...` a ufunc gives an array also where it would give a scalar; NumPy has it since 2.3.
AN_ARRAY: dict[str, Any] = {"out": ...} if np.lib.NumpyVersion(np.__version__) >= "2.3.0" else {}

kernels: dict[str, Callable[..., Any]] = {}
"""Every kernel, by the name of an op, of one of its vjps (`"softmax.vjp(x)"`), or of an update (`"adam.in_place"`)."""


def kernel(name: str, declines: bool = False) -> Callable[[F], F]:
    """Enter a function in the table under the name of an op, or of one of its vjps.

    declines: it returns NotImplemented for calls that it leaves to the op's own lines.
    """

    def enter(function: F) -> F:
        kernels[name] = declining(function) if declines else function
        return function

    return enter
