"""Memory of the stand-in for CuPy, on its devices and pinned, and the pools it comes from."""

import gc
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from stand_in_devices import Devices

POISON = 0xA5
"""What new memory is full of, on the device and in pinned memory."""
NO_LIMIT = (1 << 64) - 1
NO_MEMORY = 2
"""cudaErrorMemoryAllocation; CuPy has no name for it that Python can see."""


class CUDARuntimeError(RuntimeError):
    """runtime.pyx: its status says what it is."""

    def __init__(self, status: int) -> None:
        super().__init__(f"cudaError {status}")
        self.status = status


class OutOfMemoryError(MemoryError):
    """memory.pyx."""


def memory_of(gpus: Devices) -> SimpleNamespace:
    """What `cupy.cuda` has for the memory of some devices."""
    Device, get_current_stream = gpus.cuda.Device, gpus.cuda.get_current_stream

    class Block:
        """BaseMemory: goes back where it came from when nobody refers to it."""

        def __init__(self, size: int, give_back: Callable[[np.ndarray], None], buffer: np.ndarray) -> None:
            self.size, self.device_id = size, gpus.current
            self.buffer = buffer
            buffer[...] = POISON
            weakref.finalize(self, give_back, buffer).atexit = False

    class MemoryPointer:
        def __init__(self, mem: Block) -> None:
            self.mem, self.device_id, self.ptr = mem, mem.device_id, mem.buffer.ctypes.data

        @property
        def device(self) -> Device:
            return Device(self.device_id)

        def copy_from_host_async(self, address: int, size: int, stream: Any = None) -> None:
            stream = get_current_stream() if stream is None else stream
            source = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_uint8 * size).from_address(address))

            def copy() -> None:
                self.mem.buffer[:size] = source

            stream.put(copy)

    def cuda_malloc(size: int) -> np.ndarray:
        if gpus.taken[gpus.current] + size > gpus.total:
            raise CUDARuntimeError(NO_MEMORY)
        gpus.taken[gpus.current] += size
        return np.empty(size, np.uint8)

    class Pool:
        """What both pools are: without the splitting of blocks."""

        def __init__(self) -> None:
            self.idle: list[list[np.ndarray]] = [[] for _ in range(gpus.count)]
            self.used, self.limits = [0] * gpus.count, [0] * gpus.count

        def malloc(self, size: int) -> MemoryPointer:
            here, size = gpus.current, -(-size // 512) * 512
            fitting = [block for block in self.idle[here] if block.size >= size]
            if fitting:
                buffer = min(fitting, key=lambda block: block.size)
                self.idle[here] = [block for block in self.idle[here] if block is not buffer]
            else:
                buffer = self._try_malloc(size)
            self.used[here] += buffer.size
            return MemoryPointer(Block(buffer.size, lambda buffer: self._free(here, buffer), buffer))

        def _try_malloc(self, size: int) -> np.ndarray:
            limit = self.get_limit() or NO_LIMIT
            if self.total_bytes() + size > limit:
                self.tidy()
                self.free_all_blocks()
            if self.total_bytes() + size > limit:
                raise OutOfMemoryError(size, self.total_bytes(), limit)
            try:
                return cuda_malloc(size)
            except CUDARuntimeError:
                self.tidy()
                self.free_all_blocks()
            try:
                return cuda_malloc(size)
            except CUDARuntimeError:
                raise OutOfMemoryError(size, self.total_bytes(), limit) from None

        def _free(self, here: int, buffer: np.ndarray) -> None:
            self.used[here] -= buffer.size
            self.idle[here].append(buffer)

        def free_all_blocks(self) -> None:
            gpus.taken[gpus.current] -= self.free_bytes()
            self.idle[gpus.current] = []

        def used_bytes(self) -> int:
            return self.used[gpus.current]

        def free_bytes(self) -> int:
            return sum(block.size for block in self.idle[gpus.current])

        def total_bytes(self) -> int:
            return self.used_bytes() + self.free_bytes()

        def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
            self.limits[gpus.current] = int(fraction * gpus.total) if fraction else size or 0

        def get_limit(self) -> int:
            return self.limits[gpus.current]

    class MemoryPool(Pool):
        """memory.pyx, with SingleDeviceMemoryPool: Python's garbage goes before memory is refused."""

        def tidy(self) -> None:
            gc.collect()

    class MemoryAsyncPool(Pool):
        """memory.pyx: no limit is said to be one of 2**64 - 1."""

        def tidy(self) -> None:
            get_current_stream().synchronize()

        def get_limit(self) -> int:
            return self.limits[gpus.current] or NO_LIMIT

    class PinnedMemoryPool:
        """pinned_memory.pyx: blocks by size; whoever drops one makes it the next one's."""

        def __init__(self) -> None:
            self.free: dict[int, list[np.ndarray]] = {}

        def free_all_blocks(self) -> None:
            self.free.clear()

    pinned_pool = PinnedMemoryPool()

    class Whole(np.ndarray):
        """Memory: of a type of its own, since NumPy has views of views refer to what is of their type behind them."""

    class Pinned(np.ndarray):
        """What arrays refer to as long as they use the memory."""

    def empty_pinned(shape: Any, dtype: Any = float) -> np.ndarray:
        size = 1 << max(9, (int(np.prod(shape)) * np.dtype(dtype).itemsize - 1).bit_length())
        free = pinned_pool.free.setdefault(size, [])
        if not free and size > gpus.pinned_left:
            raise CUDARuntimeError(NO_MEMORY)
        gpus.pinned_left -= 0 if free else size
        buffer = free.pop() if free else np.empty(size, np.uint8).view(Whole)
        buffer[...] = POISON
        block = buffer.view(Pinned)
        weakref.finalize(block, free.append, buffer).atexit = False
        return np.ndarray(shape, dtype, block)

    default_pool = MemoryPool()
    allocator = [default_pool.malloc]

    def set_allocator(given: Any = None) -> None:
        allocator[0] = given

    return SimpleNamespace(
        MemoryPool=MemoryPool, MemoryAsyncPool=MemoryAsyncPool, MemoryPointer=MemoryPointer,
        alloc=lambda size: allocator[0](size), get_allocator=lambda: allocator[0], set_allocator=set_allocator,
        default_pool=default_pool, pinned_pool=pinned_pool, empty_pinned=empty_pinned,
    )  # fmt: skip
