"""Work done ahead of its use, by a thread of its own."""

from collections.abc import Iterator
from contextvars import copy_context
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")


def prefetch(items: Iterator[T], depth: int) -> Iterator[T]:
    """What an iterator gives, computed up to `depth` items ahead of its use.

    The iterator runs in a background thread, in a copy of the caller's context, so that the current backend
    holds there too. What it raises is raised here. The thread ends with the iteration, also when that is
    abandoned midway.

    >>> list(prefetch(iter(range(4)), depth=2))
    [0, 1, 2, 3]
    """
    ready: SimpleQueue[tuple[list[T], BaseException | None]] = SimpleQueue()
    free = Semaphore(depth)
    abandoned = False

    def produce() -> None:
        error: BaseException | None = None
        try:
            while free.acquire() and not abandoned:
                ready.put(([next(items)], None))
        except StopIteration:
            pass
        except BaseException as raised:
            error = raised
        ready.put(([], error))

    thread = Thread(target=copy_context().run, args=(produce,), name="pullback-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            found, error = ready.get()
            if error is not None:
                raise error
            if not found:
                return
            free.release()
            yield found[0]
    finally:
        abandoned = True
        free.release()
        thread.join()
