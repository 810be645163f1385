"""Functions of single numbers, compiled into one pass over arrays."""

import inspect
from collections.abc import Callable
from typing import Any

from ..host import host as np
from ..memory import empty
from .compiling import compiled, in_parts, inlined

__all__ = ["elementwise"]


def elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays, of one shape and dtype, that calls one of numbers for each element, and gives an array.

    The parameters named g, x and y are the arrays; the others are numbers, which are given by name or have a default,
    and arrive in the arrays' dtype.
    """
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.name in ("g", "x", "y")]
    defaults = {p.name: p.default for p in parameters if p.name not in names}
    loop = _loop(function, len(names))

    def run(*arrays: Any, **metadata: Any) -> Any:
        first = arrays[0]
        numbers = tuple(first.dtype.type(metadata.get(name, default)) for name, default in defaults.items())
        flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
        result = empty(first.shape, first.dtype)
        in_parts(loop, result.size, result.reshape(-1), *flat, numbers, cost=1)
        return result

    return run


def _loop(function: Callable[..., Any], arrays: int) -> Callable[..., None]:
    """The loop over one array, or over two. It begins at 0, or LLVM would make no vectors of it."""
    one = inlined(function)

    def over_one(start: int, stop: int, out: Any, a: Any, numbers: Any) -> None:
        results, of_a = out[start:stop], a[start:stop]
        for i in range(results.size):
            results[i] = one(of_a[i], *numbers)

    def over_two(start: int, stop: int, out: Any, a: Any, b: Any, numbers: Any) -> None:
        results, of_a, of_b = out[start:stop], a[start:stop], b[start:stop]
        for i in range(results.size):
            results[i] = one(of_a[i], of_b[i], *numbers)

    return compiled(over_one if arrays == 1 else over_two)
