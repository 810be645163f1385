"""When functions are compiled, and how their work is parted among threads.

The extra `cpu` installs numba. It is imported, and a kernel compiled, when the first array comes that is large enough
to win that second back. Compiled functions let go of the interpreter's lock, so that plain threads share their work.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from typing import Any

__all__ = ["WORTHWHILE", "compiled", "in_parts", "is_worthwhile"]

WORTHWHILE = 50_000
"""From how many elements on compiling pays."""


@cache
def _is_installed() -> bool:
    return find_spec("numba") is not None


def is_worthwhile(size: int) -> bool:
    """Whether arrays of so many elements are for compiled functions."""
    return size >= WORTHWHILE and _is_installed()


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """A function of arrays and numbers, written in loops, that numba compiles when it is first called.

    It writes to arrays that it is given, and returns nothing. Division by zero gives infinity, as NumPy's does;
    sums may be taken in another order and products fused, which lets loops run in vector registers.
    """

    @cache
    def machine_code() -> Any:
        from numba import njit

        return njit(error_model="numpy", nogil=True, fastmath={"reassoc", "contract", "nsz", "arcp"})(function)

    def run(*arguments: Any) -> None:
        machine_code()(*arguments)

    return run


@cache
def _workers() -> tuple[ThreadPoolExecutor | None, int]:
    """The threads beside the caller's own, and how many there are with it."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return (ThreadPoolExecutor(count - 1, "pullback") if count > 1 else None), count


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_workers.cache_clear)  # a fork has none of its parent's threads


def in_parts(function: Callable[..., None], length: int, *arguments: Any) -> None:
    """Call `function(start, stop, *arguments)` for parts that make up range(length), one in each thread."""
    pool, count = _workers()
    if pool is None or length < count:
        function(0, length, *arguments)
        return
    ends = [length * i // count for i in range(count + 1)]
    others = [pool.submit(function, start, stop, *arguments) for start, stop in zip(ends[1:], ends[2:], strict=False)]
    function(0, ends[1], *arguments)
    for other in others:
        other.result()
