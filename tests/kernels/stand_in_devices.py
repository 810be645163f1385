"""Devices, streams and events of the stand-in for CuPy."""

import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class Devices:
    """So many devices of so much memory, and which of them and of their streams is current."""

    def __init__(self, count: int, total: int) -> None:
        self.count, self.total = count, total
        self.taken = [0] * count  # by cudaMalloc
        self.local = threading.local()
        self.pinned_left = 1 << 30
        self.launched: list[tuple[int, Any]] = []
        self.cuda = cuda_of(self)

    @property
    def current(self) -> int:
        """The device of this thread: in a new thread it is the first, as in CUDA's runtime."""
        return getattr(self.local, "device", 0)

    @current.setter
    def current(self, number: int) -> None:
        self.local.device = number

    def streams(self) -> list[list[Any]]:
        """stream.pyx, _ThreadLocal: for each device a stack of streams, of this thread."""
        if not hasattr(self.local, "streams"):
            self.local.streams = [[self.cuda.Stream.null] for _ in range(self.count)]
        return self.local.streams


def cuda_of(gpus: Devices) -> SimpleNamespace:
    """What `cupy.cuda` has for some devices but their memory."""

    class Device:
        """device.pyx: equal to others of its number, and so without a hash."""

        def __init__(self, device: Any = None) -> None:
            self.id = gpus.current if device is None else int(device)

        def __int__(self) -> int:
            return self.id

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Device) and other.id == self.id

        __hash__ = None  # type: ignore[assignment]

        def __enter__(self) -> "Device":
            self._stack().append(gpus.current)
            gpus.current = self.id
            return self

        def __exit__(self, *_: Any) -> None:
            gpus.current = self._stack().pop()

        @staticmethod
        def _stack() -> list[int]:
            if not hasattr(gpus.local, "stack"):
                gpus.local.stack = []
            return gpus.local.stack

        def use(self) -> "Device":
            gpus.current = self.id
            return self

        def synchronize(self) -> None:
            for stream in list(streams):
                stream.synchronize()

        @property
        def mem_info(self) -> tuple[int, int]:
            return gpus.total - gpus.taken[self.id], gpus.total

        @property
        def attributes(self) -> dict[str, int]:
            return {"MemoryPoolsSupported": 1, "MultiProcessorCount": 2}

    streams: weakref.WeakSet[Any] = weakref.WeakSet()

    class Event:
        """stream.pyx: done when the stream it was recorded on has got there."""

        def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
            self.stream: Any = None
            self.place = 0

        def record(self, stream: Any = None) -> None:
            self.stream = get_current_stream() if stream is None else stream
            self.place = self.stream.queued

        @property
        def done(self) -> bool:
            return self.stream is None or self.stream.finished >= self.place

        def synchronize(self) -> None:
            if self.stream is not None:
                self.stream.run_to(self.place)

    class Stream:
        """stream.pyx. A stream that is not blocking runs when somebody waits for it; all others at once."""

        null: Any

        def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
            self.late = non_blocking
            self.device_id = -1 if null else gpus.current
            self.ptr = 0 if null else id(self)
            self.queue: list[Callable[[], None]] = []
            self.queued = self.finished = 0
            streams.add(self)

        def __enter__(self) -> "Stream":
            if self.device_id not in (-1, gpus.current):  # check_stream_device_match
                raise RuntimeError("The device that the stream is created on does not match with the current device")
            gpus.streams()[gpus.current].append(self)
            return self

        def __exit__(self, *_: Any) -> None:
            gpus.streams()[gpus.current].pop()

        def put(self, work: Callable[[], None]) -> None:
            self.queue.append(work)
            self.queued += 1
            if not self.late:
                self.run_to(self.queued)

        def run_to(self, place: int) -> None:
            while self.finished < place:
                self.queue.pop(0)()
                self.finished += 1

        def record(self, event: Any = None) -> Event:
            event = Event() if event is None else event
            event.record(self)
            return event  # type: ignore[no-any-return]

        def wait_event(self, event: Event) -> None:
            place, stream = event.place, event.stream
            self.put(lambda: stream.run_to(place))

        def synchronize(self) -> None:
            self.run_to(self.queued)

    Stream.null = Stream(null=True)

    def get_current_stream(device_id: int = -1) -> Any:
        return gpus.streams()[gpus.current if device_id == -1 else device_id][-1]

    return SimpleNamespace(Device=Device, Event=Event, Stream=Stream, get_current_stream=get_current_stream)
