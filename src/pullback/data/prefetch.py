"""Work done ahead of its use, by a thread of its own."""

from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, TypeVar

from ..backends import backend

__all__ = ["prefetch"]

T = TypeVar("T")


def prefetch(items: Iterator[T], depth: int, begin: Callable[[T], Any] = lambda item: item) -> Iterator[Any]:
    """What an iterator gives, computed up to `depth` items ahead of its use.

    begin: called with each item in the caller's own thread, when the caller comes for any and the item is ready: what
        it returns is given instead. So it can queue work for a device that goes on while the caller's does.

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
            backend().activate()  # a CUDA device is current for one thread
            while free.acquire() and not abandoned:
                ready.put(([next(items)], None))
        except StopIteration:
            pass
        except BaseException as raised:
            error = raised
        ready.put(([], error))

    thread = Thread(target=copy_context().run, args=(produce,), name="pullback-prefetch", daemon=True)
    thread.start()
    begun: deque[Any] = deque()
    found: list[T] = []
    error: BaseException | None = None
    ended = False
    try:
        while True:
            while not ended and not (begun and ready.empty()):
                found, error = ready.get()
                begun.extend(map(begin, found))
                ended = not found
            if begun:
                free.release()
                yield begun.popleft()
            elif error is not None:
                raise error
            else:
                return
    finally:
        error = None  # which refers to this frame once it is raised
        abandoned = True
        free.release()
        thread.join()
