"""Host arrays on their way to a CUDA device, by memory that the device itself reads while it computes."""

from collections import deque
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .cupy_memory import NO_MEMORY
from .host import host
from .staging import Staging

if TYPE_CHECKING:
    from .backend import Array
    from .cupy import CupyBackend

__all__ = ["PinnedStaging"]


class PinnedStaging(Staging):
    """Copies on a stream of its own, out of pinned memory, which CuPy's pool hands out again and again.

    Three orders have to hold. The array lies in memory of the stream that computes, whose queued work may still be
    using it for what was there before: the copy waits for that. The work that takes the array waits for the copy. And
    the pinned memory is kept until the copy has been made, since the pool would give it to the next.
    """

    def __init__(self, backend: "CupyBackend", device: Any = None) -> None:
        super().__init__(backend, device)
        self.cupy = import_module("cupy")
        with self.device:
            self.stream = self.cupy.cuda.Stream(non_blocking=True)
        self.pending: deque[tuple[Any, Any]] = deque()

    def read(self, array: Any, rows: Any) -> Any:
        """As for every backend, into pinned memory, where there is some left."""
        count = len(range(*rows.indices(len(array)))) if isinstance(rows, slice) else len(rows)
        part = self._pinned((count, *array.shape[1:]), array.dtype)
        if part is None:
            return super().read(array, rows)
        if isinstance(rows, slice):
            host.copyto(part, array[rows, ...])
        else:
            host.take(array, rows, axis=0, out=part, mode="wrap")  # the mode that writes to `out` with no copy between
        return part

    def _pinned(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array of pinned memory; None where there is no more, or no use for it."""
        if 0 in shape or not dtype.isnative:
            return None
        try:
            with self.device:
                return import_module("cupyx").empty_pinned(shape, dtype)
        except self.cupy.cuda.runtime.CUDARuntimeError as error:
            if error.status != NO_MEMORY:
                raise
            return None

    def send(self, part: Any) -> Any:
        """Queue the copy behind all work that may still use the memory the array gets."""
        cuda = self.cupy.cuda
        part = host.asarray(part, order="C", dtype=part.dtype.newbyteorder("="))
        with self.device:
            array = self.cupy.empty(part.shape, part.dtype)
            free, copied = cuda.Event(disable_timing=True), cuda.Event(disable_timing=True)
            free.record(cuda.get_current_stream())
            self.stream.wait_event(free)
            array.data.copy_from_host_async(part.ctypes.data, part.nbytes, self.stream)
            copied.record(self.stream)
        while self.pending and self.pending[0][0].done:
            self.pending.popleft()
        self.pending.append((copied, part))
        return array, copied

    def receive(self, sent: Any) -> "Array":
        """The array, for which the current stream waits from here on."""
        array, copied = sent
        with self.device:
            self.cupy.cuda.get_current_stream().wait_event(copied)
        return array

    def close(self) -> None:
        """Wait for the copies that were begun: who gives up a batch gives its memory to others at once."""
        self.stream.synchronize()
        self.pending.clear()
