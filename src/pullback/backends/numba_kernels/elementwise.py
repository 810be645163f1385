"""Functions of single numbers, compiled into one pass over arrays."""

import inspect
from collections.abc import Callable
from typing import Any

from ..host import host as np
from .compiling import compiled, in_parts, inlined

__all__ = ["elementwise"]

_PARTED = 1 << 18
"""From how many elements on threads win more than handing out the work costs."""


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
        numbers = [first.dtype.type(metadata.get(name, default)) for name, default in defaults.items()]
        flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
        result = np.empty(first.shape, first.dtype)
        out = result.reshape(-1)
        if out.size < _PARTED:
            loop(out, *flat, *numbers)
        else:
            in_parts(lambda start, stop: loop(out[start:stop], *(a[start:stop] for a in flat), *numbers), out.size)
        return result

    return run


def _loop(function: Callable[..., Any], arrays: int) -> Callable[..., None]:
    """The loop over one array, or over two."""
    one = inlined(function)

    def over_one(out: Any, a: Any, *numbers: Any) -> None:
        for i in range(out.size):
            out[i] = one(a[i], *numbers)

    def over_two(out: Any, a: Any, b: Any, *numbers: Any) -> None:
        for i in range(out.size):
            out[i] = one(a[i], b[i], *numbers)

    return compiled(over_one if arrays == 1 else over_two)
