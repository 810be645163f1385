"""How many threads OpenBLAS takes: one, for as long as anybody asks for that."""

from functools import cache
from importlib import import_module
from threading import Lock
from typing import Any

__all__ = ["OneThread", "blas_alone"]


class OneThread:
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
def blas_alone() -> OneThread | None:
    """A block in which OpenBLAS keeps to one thread; None where threadpoolctl is not installed."""
    try:
        found = import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
    return OneThread(found.select(internal_api="openblas").lib_controllers)
