"""Kernels of SciPy, and of CuPy's counterpart of it: the special functions in one pass over memory.

SciPy is imported when the first array comes, and is no requirement: without it the ops' own lines run. Only
functions that are faster than those lines are here; SciPy's polygamma and xlogy are not.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from .declining import declining

__all__ = ["kernels_of"]

# The names of the ops, and of the functions.
_FUNCTIONS = {
    "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "lgamma": "gammaln", "digamma": "digamma",
    "i0e": "i0e", "i1e": "i1e",
}  # fmt: skip


def kernels_of(module: str, /) -> dict[str, Callable[..., Any]]:
    """The kernels that a module has, by the names of the ops. It is not imported yet.

    module: `"scipy.special"`, or one with the same functions for another library's arrays.
    """

    @cache
    def functions() -> Any:
        try:
            return import_module(module)
        except ImportError:
            return None

    def kernel(name: str) -> Callable[[Any], Any]:
        @declining
        def run(x: Any) -> Any:
            if x.dtype.char not in "efd" or functions() is None:
                return NotImplemented
            y = getattr(functions(), name)(x)
            return y if y.dtype == x.dtype else y.astype(x.dtype)  # of float16 it makes float32

        return run

    return {op: kernel(name) for op, name in _FUNCTIONS.items()}
