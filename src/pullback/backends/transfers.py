"""Values that leave a device for the host: each waits until the device has done all that was queued before it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

__all__ = ["Transfer", "lies_on_host", "note_transfer", "watch_transfers", "watched"]

watched: "list[list[Transfer]]" = []
"""The lists of those who watch now: empty most of the time, which is all that a transfer then looks at."""


class Transfer(NamedTuple):
    """One array that was copied from a device to the host."""

    nbytes: int
    shape: tuple[int, ...]
    dtype: str
    device: str
    where: str
    """The file and line that asked for it, outside of this package."""


def lies_on_host(array: Any) -> bool:
    """Whether an array that has DLPack's protocol is in the host's memory: kDLCPU, as it is called there."""
    return int(array.__dlpack_device__()[0]) == 1


@contextmanager
def watch_transfers() -> Iterator[list[Transfer]]:
    """Inside, each copy from a device to the host is entered in the list this gives; from all threads.

    A copy waits for the device, so a training step does without: its loss is read now and then, its gradients never.
    Arrays that live in the host's memory are read at no cost, and not counted.

    >>> import pullback as pb
    >>> with pb.use("array_api_strict", "device1"), pb.watch_transfers() as transfers:
    ...     loss = (pb.ones(3) * 2).sum()
    ...     before = len(transfers)
    ...     value = loss.item()
    >>> before, len(transfers), transfers[0].nbytes, transfers[0].device
    (0, 1, 4, 'device1')
    """
    seen: list[Transfer] = []
    watched.append(seen)
    try:
        yield seen
    finally:
        watched[:] = [other for other in watched if other is not seen]


def note_transfer(copied: Any, device: str) -> None:
    """Enter a transfer, of which `copied` is the host's array, for those who watch."""
    frame = sys._getframe(1)
    package = __name__.partition(".")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame = frame.f_back
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    transfer = Transfer(copied.nbytes, copied.shape, copied.dtype.name, device, where)
    for seen in watched:
        seen.append(transfer)
