"""Work of many blocks shared among threads, each of which takes its matrix products alone.

OpenBLAS parts each product among threads of its own. For products of a few hundred rows that costs more than it brings,
and what stands between them runs in one thread. Where threadpoolctl is installed, the blocks are parted instead.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from threading import Lock
from typing import Any

from ..numba_kernels.compiling import in_parts

__all__ = ["blas_alone", "in_blocks"]

WORTHWHILE = 2_000_000
"""From how many multiplications on threads pay."""


class Alone:
    """Holds OpenBLAS to one thread, as long as any of the program's own threads is inside."""

    def __init__(self, libraries: list[Any]) -> None:
        self.libraries = libraries
        self.lock = Lock()
        self.inside = 0
        self.before: list[int] = []

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before = [library.get_num_threads() for library in self.libraries]
                for library in self.libraries:
                    library.set_num_threads(1)
            self.inside += 1

    def __exit__(self, *_: Any) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                for library, count in zip(self.libraries, self.before, strict=True):
                    library.set_num_threads(count)


@cache
def blas_alone() -> Alone | None:
    """A block in which OpenBLAS keeps to one thread; None where threadpoolctl is not installed."""
    try:
        found = import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
    return Alone(found.select(internal_api="openblas").lib_controllers)


def in_blocks(function: Callable[[int, int], None], length: int, multiplications: int) -> None:
    """Call `function(start, stop)` for parts that make up range(length), one in each thread where that pays."""
    alone = blas_alone() if multiplications >= WORTHWHILE and length > 1 else None
    if alone is None:
        function(0, length)
        return
    with alone:
        in_parts(function, length)
