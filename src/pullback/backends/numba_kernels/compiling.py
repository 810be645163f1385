"""When functions are compiled, and how their work is parted among threads.

The extra `cpu` installs numba. It is imported, and a kernel compiled, when the first array comes that is large enough
to win that second back. Compiled functions let go of the interpreter's lock, so that plain threads share their work.
"""

import logging
from collections.abc import Callable
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import Any, TypeVar

from . import tiles, vector_math
from .addresses import by_address
from .threads import PARTS, launcher, pool

__all__ = [
    "LEAST", "MULTIPLICATIONS", "WORTHWHILE", "at_once", "called", "compiled", "compiled_exactly", "in_parts",
    "inlined", "is_float", "is_worthwhile",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])

WORTHWHILE = 1 << 15
"""From how many elements on compiling pays."""
MULTIPLICATIONS = 8
"""How many of a matrix product's multiplications take as long as to read or write a number."""
LEAST = 1 << 13
"""How many numbers a part of some work reads or writes at least, to be worth handing out."""


@cache
def _is_installed() -> bool:
    if find_spec("numba") is None:
        return False
    try:
        import_module("numba")
    except Exception as error:  # one that does not go with this NumPy, say: all works without it
        logging.getLogger("pullback").warning("numba is installed and not used: %s", error)
        return False
    return True


def is_worthwhile(size: int) -> bool:
    """Whether arrays of so many elements are for compiled functions."""
    return size >= WORTHWHILE and _is_installed()


def is_float(kind: Any) -> bool:
    """Whether a dtype is one that compiled functions compute in: float32 or float64, in the processor's byte order."""
    return bool(kind.char in "fd" and kind.isnative)


class Compiled:
    """A function that numba compiles when it is first called, or first called in parts."""

    def __init__(self, function: Callable[..., None], exact: bool) -> None:
        self.function, self.exact = function, exact
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any) -> None:
        self.code(*arguments)

    @cached_property
    def code(self) -> Any:
        with _one_at_a_time:
            return self.__dict__.get("code") or _machine_code(self.function, self.exact)

    @cached_property
    def launch(self) -> Any:
        with _one_at_a_time:
            return self.__dict__.get("launch") or launcher(_machine_code(self.function, self.exact, **_UNWRAPPED))


def compiled(function: Callable[..., None]) -> Compiled:
    """A function of arrays and numbers, written in loops, that numba compiles when it is first called.

    It writes to arrays that it is given, and returns nothing. Division by zero gives infinity, as NumPy's does;
    sums may be taken in another order and products fused, which lets loops run in vector registers.
    """
    return Compiled(function, exact=False)


def compiled_exactly(function: Callable[..., None]) -> Compiled:
    """The same, but with every operation in its order and rounded, so that results are NumPy's to the bit."""
    return Compiled(function, exact=True)


def inlined(function: F) -> F:
    """Let functions that are given to `compiled` call this one, whose lines are put in the place of the call."""
    _inlined.append(function)
    return function


def called(function: Callable[..., None]) -> Callable[..., None]:
    """Let functions that are given to `compiled` call this one, which is compiled once for all of them."""
    with _one_at_a_time:
        return by_address(_machine_code(function, exact=False, **_UNWRAPPED))


_inlined: list[Callable[..., Any]] = []
_one_at_a_time = Lock()  # threads that call a function for the first time together make its compiled form once


def _machine_code(function: Callable[..., None], exact: bool, **options: bool) -> Any:
    from numba import njit
    from numba.extending import register_jitable

    tiles.register()
    vector_math.register()
    while _inlined:
        register_jitable(**_OPTIONS, forceinline=True)(_inlined[-1])
        _inlined.pop()
    return njit(**(_EXACT if exact else _OPTIONS), **options, nogil=True)(function)


# NumPy's way of dividing: by zero gives infinity. Checking for it would keep loops from being vectorised.
_EXACT = {"error_model": "numpy"}
_UNWRAPPED = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # called by compiled functions only
_OPTIONS = {**_EXACT, "fastmath": {"reassoc", "contract", "nsz", "arcp"}}


def at_once(size: int, limit: int) -> int:
    """Into how many parts work is cut that each need memory of `size`: of `limit` in all, or one for a thread."""
    threads = pool().threads
    return max(threads, min(threads * PARTS, limit // max(size, 1)))


def in_parts(function: Callable[..., None], length: int, *arguments: Any, cost: int = LEAST) -> None:
    """Call `function(start, stop, *arguments)` for parts that make up range(length), in threads where that pays.

    Which parts there are and who does them differs: no part may depend on another. Returns when all are done. What a
    function of Python's raises is raised here; a compiled one fails only where there is no memory left.

    cost: of one of `length`, in numbers that are read or written: a part has `LEAST` at least.
    """
    threads = pool()
    parts = min(length, threads.threads * PARTS, length * cost // LEAST) if threads.threads > 1 else 1
    if isinstance(function, Compiled):
        threads.run(function.launch, parts, length, *arguments)
    elif parts < 2 or threads.is_inside():
        function(0, length, *arguments)
    else:
        threads.call(lambda start, stop: function(start, stop, *arguments), length)
