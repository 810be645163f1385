"""Where CuPy's arrays get their memory, and what is said when there is none."""

import gc
from importlib import import_module
from typing import Any

from .errors import OutOfMemory
from .memory import MemoryStats, bytes_of, in_units

__all__ = ["ALLOCATORS", "NO_MEMORY", "Allocator"]

ALLOCATORS = ("pool", "async")
"""CuPy's own pool, and the driver's, which orders what it gives by streams and shares with other libraries."""

NO_MEMORY = 2
"""The status of CUDA's runtime when it has none left (cudaErrorMemoryAllocation), which CuPy has no public name for."""

_NO_LIMIT = (1 << 64) - 1
"""What the driver's pool calls none."""


class Allocator:
    """Gives every array its memory, from the pool that CuPy had: CuPy calls it with a number of bytes.

    below: what CuPy would call otherwise. A pool of CuPy's knows what is in use; another library's allocator does not.
    """

    def __init__(self, below: Any) -> None:
        self.cupy = import_module("cupy")
        self.below = below
        pool = getattr(below, "__self__", None)
        self.pool = pool if hasattr(pool, "used_bytes") else None
        self.peaks: dict[int, int] = {}

    @classmethod
    def install(cls) -> "Allocator":
        """The one that is in place, or a new one on top of what CuPy has now."""
        cuda = import_module("cupy").cuda
        current = cuda.get_allocator()
        if isinstance(current, cls):
            return current
        made = cls(current)
        cuda.set_allocator(made)
        return made

    def __call__(self, size: int) -> Any:
        """A pointer to so many bytes. Raises OutOfMemory."""
        try:
            found = self.below(size)
        except Exception as error:
            if not self._is_full(error):
                raise
            found = None
        if found is None:
            found = self._at_last(size)
        if self.pool is not None:
            used, device = self.pool.used_bytes(), found.device_id
            if used > self.peaks.get(device, 0):
                self.peaks[device] = used
        return found

    def _is_full(self, error: Exception) -> bool:
        runtime = self.cupy.cuda.runtime
        told = isinstance(error, runtime.CUDARuntimeError) and error.status == NO_MEMORY
        return told or isinstance(error, MemoryError)

    def _at_last(self, size: int) -> Any:
        """Another try, when all that nobody uses is given back."""
        gc.collect()
        self.release()
        try:
            return self.below(size)
        except Exception as error:
            if not self._is_full(error):
                raise
        raise OutOfMemory(self._complaint(size))

    def _complaint(self, size: int) -> str:
        device = self.cupy.cuda.Device()
        stats = self.stats(device)
        limit = "" if stats.limit is None else f", and the limit is {in_units(stats.limit)}"
        higher = "" if stats.limit is None else ", a higher memory_limit in pb.use"
        return (
            f"an array of {in_units(size)} was asked for on cuda:{device.id}, where arrays use {in_units(stats.used)}, "
            f"{in_units(stats.idle)} lies idle between them, {in_units(stats.free)} of {in_units(stats.total)} is free"
            f"{limit}. What helps: smaller batches, with gradients added up over several; pb.checkpoint, which "
            f"computes activations anew instead of keeping them; mixed precision by pb.autocast{higher}"
        )

    def use(self, allocator: str, device: Any) -> None:
        """Take new memory from another pool. Raises ValueError for one that there is not, or not on the device."""
        if allocator not in ALLOCATORS:
            raise ValueError(f"allocator is one of {', '.join(map(repr, ALLOCATORS))}; got {allocator!r}")
        cuda = self.cupy.cuda
        wanted = cuda.MemoryPool if allocator == "pool" else cuda.MemoryAsyncPool
        if isinstance(self.pool, wanted):
            return
        if allocator == "async" and not device.attributes.get("MemoryPoolsSupported"):
            raise ValueError(f"cuda:{device.id} has no stream-ordered allocator; leave allocator='pool'")
        self.release()
        self.pool = self.cupy.get_default_memory_pool() if allocator == "pool" else cuda.MemoryAsyncPool()
        self.below = self.pool.malloc
        self.peaks.clear()

    def limit(self, size: Any, device: Any) -> None:
        """Keep what arrays use and what lies idle on a device below so much, see `bytes_of`; 0 is no limit."""
        if self.pool is None:
            raise ValueError(f"memory comes from {self.below!r}, which takes no limit; pass allocator='pool' too")
        with device:
            self.pool.set_limit(size=bytes_of(size, device.mem_info[1]))

    def stats(self, device: Any, reset_peak: bool = False) -> MemoryStats:
        """What is in use on a device, and what is left."""
        free, total = device.mem_info
        if self.pool is None:
            return MemoryStats(total - free, 0, total - free, None, free, total)
        with device:
            used, idle, limit = self.pool.used_bytes(), self.pool.free_bytes(), self.pool.get_limit()
        peak = max(used, self.peaks.get(device.id, 0))
        if reset_peak:
            self.peaks[device.id] = used
        return MemoryStats(used, idle, peak, None if limit in (0, _NO_LIMIT) else limit, free, total)

    def release(self) -> None:
        """Give back what lies idle, on the devices that have been used."""
        if self.pool is not None:
            for number in {*self.peaks, self.cupy.cuda.Device().id}:
                with self.cupy.cuda.Device(number):
                    self.pool.free_all_blocks()
