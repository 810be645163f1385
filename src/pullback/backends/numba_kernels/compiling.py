"""When functions are compiled, and how their work is parted among threads.

The extra `cpu` installs numba. It is imported, and a kernel compiled, when the first array comes that is large enough
to win that second back. Compiled functions let go of the interpreter's lock, so that plain threads share their work.
"""

import logging
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from . import tiles, vector_math

__all__ = ["WORTHWHILE", "compiled", "in_parts", "inlined", "is_worthwhile"]

F = TypeVar("F", bound=Callable[..., Any])

WORTHWHILE = 50_000
"""From how many elements on compiling pays."""


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


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """A function of arrays and numbers, written in loops, that numba compiles when it is first called.

    It writes to arrays that it is given, and returns nothing. Division by zero gives infinity, as NumPy's does;
    sums may be taken in another order and products fused, which lets loops run in vector registers.
    """

    made: list[Any] = []

    def run(*arguments: Any) -> None:
        if not made:
            with _one_at_a_time:
                if not made:
                    made.append(_machine_code(function))
        made[0](*arguments)

    return run


def inlined(function: F) -> F:
    """Let functions that are given to `compiled` call this one, whose lines are put in the place of the call."""
    _inlined.append(function)
    return function


_inlined: list[Callable[..., Any]] = []
_one_at_a_time = Lock()  # threads that call a function for the first time together compile it once


def _machine_code(function: Callable[..., None]) -> Any:
    from numba import njit
    from numba.extending import register_jitable

    tiles.register()
    vector_math.register()
    while _inlined:
        register_jitable(**_OPTIONS, forceinline=True)(_inlined.pop())
    return njit(**_OPTIONS, nogil=True)(function)


_OPTIONS = {"error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}


@cache
def _workers() -> list[SimpleQueue[Any]]:
    """The tasks of each thread beside the caller's own."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    queues: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(count - 1)]
    for tasks in queues:
        Thread(target=_work, args=(tasks,), name="pullback", daemon=True).start()
    return queues


def _work(tasks: SimpleQueue[Any]) -> None:
    while True:
        _do(*tasks.get())  # no name here holds the arrays of a task that is done


def _do(done: SimpleQueue[Any], function: Callable[..., None], *arguments: Any) -> None:
    try:
        function(*arguments)
    except BaseException as error:
        done.put(error)
    else:
        done.put(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_workers.cache_clear)  # a fork has none of its parent's threads


def in_parts(function: Callable[..., None], length: int, *arguments: Any) -> None:
    """Call `function(start, stop, *arguments)` for parts that make up range(length), one in each thread.

    Returns when all are done; what one of them raises is raised here. To hand the work out takes some 15 µs.
    """
    workers = _workers()
    count = len(workers) + 1
    if not workers or length < count:
        function(0, length, *arguments)
        return
    ends = [length * i // count for i in range(count + 1)]
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    for tasks, start, stop in zip(workers, ends[1:-1], ends[2:], strict=True):
        tasks.put((done, function, start, stop, *arguments))
    errors: list[BaseException | None] = []
    try:
        function(0, ends[1], *arguments)
    except BaseException as error:
        errors.append(error)
    waiting = len(workers)
    while waiting:
        try:
            errors.append(done.get())
            waiting -= 1
        except KeyboardInterrupt as error:  # raised when nobody writes to the arrays any more
            errors.append(error)
    for found in errors:
        if found is not None:
            raise found
