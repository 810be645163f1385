"""Host arrays on their way to a device, ahead of their use."""

from typing import TYPE_CHECKING, Any

from .host import host

if TYPE_CHECKING:
    from .backend import Array, Backend

__all__ = ["Staging"]


class Staging:
    """Takes parts of host arrays to a backend's device, in three steps.

    `read` looks at the host's memory alone, and so may run in a thread of its own, ahead of the others. `send` and
    `receive` belong to the thread that computes; between the two other work may be queued, while the copy is made.
    This one has nothing to gain from that, and copies when it sends.
    """

    def __init__(self, backend: "Backend", device: Any = None) -> None:
        self.backend = backend
        self.device = backend.device if device is None else backend.find_device(device)

    def read(self, array: Any, rows: Any) -> Any:
        """The rows of a host array that a slice, or a host array of their numbers, names: in memory to send from."""
        return array[rows, ...] if isinstance(rows, slice) else host.take(array, rows, axis=0)

    def send(self, part: Any) -> Any:
        """Begin to copy what was read."""
        return self.backend.from_host(part, device=self.device)

    def receive(self, sent: Any) -> "Array":
        """The array on the device, for the work that is queued from here on."""
        return sent

    def close(self) -> None:
        """Wait for the copies that were begun."""
