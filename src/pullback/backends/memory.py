"""Memory of large arrays that are done with, kept for the next ones.

A training step needs the same arrays as the step before. What is given back to the operating system in between has to
be asked for again, and is handed out page by page, each filled with zeros first: up to a quarter of a step's time.
"""

import os
from math import prod
from threading import RLock
from typing import Any

from .host import host as np

__all__ = ["Memory", "empty", "empty_like", "is_owned", "release_memory"]

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
        self.used = self.idle = self.most = 0

    def take(self, size: int) -> Any:
        """A block of at least so many bytes: one that is kept, of up to half as much again, or a new one."""
        with self.lock:
            blocks = self.kept.get(size) or self.fitting(size)
            if blocks:
                block = blocks.pop()
                self.idle -= block.size
                self.used += block.size
                return block
            self.shrink(max(self.most, self.used + size) + SPARE - self.used - size)
            try:
                block = self.allocate(size)
            except MemoryError:
                self.shrink(0)
                block = self.allocate(size)
            self.used += size
            self.most = max(self.most, self.used)
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
