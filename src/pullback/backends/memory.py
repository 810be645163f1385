"""Memory of large arrays that are done with, kept for the next ones.

A training step needs the same arrays as the step before. What is given back to the operating system in between has to
be asked for again, and is handed out page by page, each filled with zeros first: up to a quarter of a step's time.
"""

import os
from math import prod
from threading import RLock
from typing import Any, NamedTuple

from .host import host as np

__all__ = [
    "Memory", "MemoryStats", "bytes_of", "empty", "empty_like", "host_memory_stats", "in_units", "is_owned",
    "release_memory",
]  # fmt: skip

LARGE = 1 << 16
"""From how many bytes on memory is kept; smaller pieces the C library has at hand."""
SPARE = 1 << 23
"""How many bytes are kept beyond what has been in use at a time: on its way back a step needs other sizes."""
ALIGNED = 64
"""Arrays begin at a multiple of so many bytes: a line of the cache, and the longest vector of any processor."""


class Memory:
    """Blocks that nobody uses, by size: not many more, with those in use, than have once been in use at a time."""

    def __init__(self) -> None:
        self.lock = RLock()  # a block may be given back while one is taken: when Python collects garbage just then
        self.kept: dict[int, list[Any]] = {}
        self.used = self.idle = self.most = self.peak = 0

    def take(self, size: int) -> Any:
        """A block of at least so many bytes: one that is kept, of up to half as much again, or a new one."""
        with self.lock:
            blocks = self.kept.get(size) or self.fitting(size)
            if blocks:
                block = blocks.pop()
                self.idle -= block.size
                self.used += block.size
                self.peak = max(self.peak, self.used)
                return block
            self.shrink(max(self.most, self.used + size) + SPARE - self.used - size)
            try:
                block = self.allocate(size)
            except MemoryError:
                self.shrink(0)
                block = self.allocate(size)
            self.used += size
            self.most = max(self.most, self.used)
            self.peak = max(self.peak, self.used)
            return block

    def fitting(self, size: int) -> list[Any]:
        """The blocks of a size that is larger than this one, by up to half, if some are kept."""
        kept = list(self.kept.items())
        return next((blocks for larger, blocks in kept if blocks and size < larger <= size + size // 2), [])

    @staticmethod
    def allocate(size: int) -> Any:
        """New memory."""
        whole = _Whole(size + ALIGNED, np.uint8)
        start = -whole.ctypes.data % ALIGNED
        return whole[start : start + size]

    def give_back(self, block: Any) -> None:
        """Keep a block that nobody uses any more."""
        size = block.size
        with self.lock:
            self.used -= size
            self.idle += size
            blocks = self.kept.get(size)
            if blocks is None:
                blocks = self.kept[size] = []
            blocks.append(block)

    def shrink(self, most: int) -> None:
        """Let go of what is kept, the sizes that were first there first, until it is no more than this."""
        with self.lock:
            for size in list(self.kept):
                while self.idle > most and self.kept[size]:
                    self.kept[size].pop()
                    self.idle -= size
                if not self.kept[size]:
                    del self.kept[size]


_memory = Memory()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: setattr(_memory, "lock", RLock()))  # somebody may have held it


class _Whole(np.ndarray):
    """Memory. It has a type of its own since NumPy has views of views refer to what is of the same type behind them."""


class _InUse(np.ndarray):
    """What arrays refer to as the owner of their memory: it is kept when the last of them is gone.

    Only the one that `empty` made has a memory to give it back to, and no view or copy of that.
    """

    memory: Memory | None = None

    def __del__(self) -> None:
        if self.memory is not None:
            self.memory.give_back(self.base)


def is_owned(x: Any) -> bool:
    """Whether an array is one that `empty` made, and no view of it."""
    return type(getattr(x, "base", None)) is _InUse


def empty(shape: Any, dtype: Any) -> Any:
    """An array of this shape and dtype whose elements are whatever was there before."""
    dtype = np.dtype(dtype)
    size = dtype.itemsize * prod(map(int, shape))
    if size < LARGE:
        return np.empty(shape, dtype)
    step = 1 << (size.bit_length() - 4)
    size = -(-size // step) * step  # one of eight sizes between two powers of two, so that like arrays share them
    block = _memory.take(size).view(_InUse)
    block.memory = _memory
    return np.ndarray(shape, dtype, block)


def empty_like(x: Any) -> Any:
    """An array of the shape and dtype of x, whose axes lie in memory in the same order."""
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    back = sorted(range(x.ndim), key=order.__getitem__)
    return empty([x.shape[axis] for axis in order], x.dtype).transpose(back)


def release_memory() -> None:
    """Give the memory that is kept for the arrays of the next step back to the operating system."""
    _memory.shrink(0)
    _memory.most = _memory.used


class MemoryStats(NamedTuple):
    """The memory of a device, in bytes; None for what is not known, and for no limit.

    used: by arrays. idle: kept for the next ones. peak: the most that was used at a time.
    limit: of used and idle together. free, total: what is left to everybody, and what the device has.
    """

    used: int
    idle: int
    peak: int
    limit: int | None
    free: int | None
    total: int | None

    def __str__(self) -> str:
        free = f"{in_units(self.free)} of {in_units(self.total)} free"
        return (
            f"{in_units(self.used)} used by arrays (at most {in_units(self.peak)}), {in_units(self.idle)} idle, "
            f"{free}, {'no limit' if self.limit is None else f'limit {in_units(self.limit)}'}"
        )


def host_memory_stats(reset_peak: bool = False) -> MemoryStats:
    """Of the host: in use and idle is what large arrays take that were made here; others are not counted."""
    found = MemoryStats(_memory.used, _memory.idle, _memory.peak, None, *_host_memory())
    if reset_peak:
        _memory.peak = _memory.used
    return found


def _host_memory() -> tuple[int | None, int | None]:
    """What the operating system says is left to new programs, and what there is."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            told = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines)}
        return told["MemAvailable"], told["MemTotal"]
    except (OSError, KeyError, ValueError, IndexError):
        return None, None


_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_WRITTEN = {unit.lower(): size for unit, size in _UNITS.items()} | {
    f"{letter}b": 1000**power for power, letter in enumerate("kmgt", start=1)
}


def in_units(size: int | None) -> str:
    """A number of bytes as people say it: "1.5 GiB"."""
    if size is None:
        return "unknown"
    unit, step = next(((u, n) for u, n in reversed(_UNITS.items()) if size >= n), ("B", 1))
    return f"{size} B" if step == 1 else f"{size / step:.1f} {unit}"


def bytes_of(size: Any, total: int) -> int:
    """A size as it was written: bytes, "20GiB", or the share of the total that a float up to 1 says.

    Raises ValueError for anything else, and for less than nothing.

    >>> bytes_of("1.5KiB", 0), bytes_of(0.25, 1000), bytes_of(10, 0)
    (1536, 250, 10)
    """
    if isinstance(size, str):
        number = size.strip().rstrip("BKMGTibkmgt").strip()
        unit = size.strip()[len(number) :].strip().lower() or "b"
        if number.replace(".", "", 1).isdigit() and unit in _WRITTEN:
            return int(float(number) * _WRITTEN[unit])
    elif isinstance(size, float) and 0 < size <= 1:
        return int(size * total)
    elif hasattr(size, "__index__") and not isinstance(size, bool) and int(size) >= 0:
        return int(size)
    raise ValueError(f"a size of memory is bytes, a share such as 0.8, or written like '20GiB'; got {size!r}")
