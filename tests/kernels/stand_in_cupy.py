"""A stand-in for CuPy, over NumPy's arrays, on which the backend's own Python runs where there is no GPU.

It has the devices, streams, events, pools and refusals of CuPy 14, as its sources have them; what stands behind a
comment such as `memory.pyx` is there. Kernels run at once, on the stream that is current. Copies from pinned memory run
late: when a stream that waits for them gets there, and not before.
"""

import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pullback.backends import cupy as backend_module
from pullback.backends import cupy_kernels, switch
from pullback.backends.cupy_kernels import launch

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


class Gpus:
    """So many devices of so much memory, and what the module `cupy` says of them."""

    def __init__(self, count: int, total: int) -> None:
        self.count, self.total = count, total
        self.taken = [0] * count  # by cudaMalloc
        self.local = threading.local()
        self.pinned_left = 1 << 30
        self.launched: list[tuple[int, Any]] = []
        self.modules = _modules(self)

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
            self.local.streams = [[self.modules["cupy"].cuda.Stream.null] for _ in range(self.count)]
        return self.local.streams


def _modules(gpus: Gpus) -> dict[str, ModuleType]:
    cupy, cuda, runtime = ModuleType("cupy"), ModuleType("cupy.cuda"), ModuleType("cupy.cuda.runtime")
    device_module, cupyx = ModuleType("cupy.cuda.device"), ModuleType("cupyx")

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

    class ndarray:
        """core.pyx. It refuses NumPy, and works on no other device than the current one."""

        __array_priority__ = 100
        __array_ufunc__ = None

        def __init__(self, values: np.ndarray, data: MemoryPointer, base: Any = None) -> None:
            self.values, self.data, self.base = values, data, base

        @property
        def flags(self) -> Any:
            flags = self.values.flags
            return SimpleNamespace(
                owndata=self.base is None, c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous
            )

        def __array__(self, dtype: Any = None) -> Any:
            raise TypeError("Implicit conversion to a NumPy array is not allowed.")

        def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
            get_current_stream().synchronize()
            return self.values.copy(order)

        @property
        def device(self) -> Device:
            return self.data.device

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") or name in ("ctypes", "tobytes", "tolist"):
                raise AttributeError(name)
            if callable(getattr(self.values, name)):
                return partial(launched(lambda x, *given, **options: getattr(x, name)(*given, **options)), self)
            return wrapped(getattr(self.values, name), self)

        def __getitem__(self, key: Any) -> Any:
            return launched(lambda x, key: x[key])(self, key)

        def __setitem__(self, key: Any, value: Any) -> None:
            def write(x: Any, key: Any, value: Any) -> None:
                x[key] = value

            launched(write, writes=True)(self, key, value)

        def __len__(self) -> int:
            return len(self.values)

        def __bool__(self) -> bool:
            return bool(self.get())

        def __int__(self) -> int:
            return int(self.get())

        def __float__(self) -> float:
            return float(self.get())

        def __complex__(self) -> complex:
            return complex(self.get())

        def item(self) -> Any:
            return self.get().item()

    def operator(name: str) -> Callable[..., Any]:
        def apply(self: Any, *others: Any) -> Any:
            for other in others:
                if not isinstance(other, (ndarray, bool, int, float, complex, np.generic)):
                    return NotImplemented
            writes = name.startswith("__i") and name != "__invert__"
            return launched(lambda x, *rest: getattr(x, name)(*rest), writes)(self, *others)

        return apply

    for name in (
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"),
    ):
        for kind in ("", "r", "i"):
            setattr(ndarray, f"__{kind}{name}__", operator(f"__{kind}{name}__"))
    for name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs", "invert"):
        setattr(ndarray, f"__{name}__", operator(f"__{name}__"))
    ndarray.__hash__ = None  # type: ignore[assignment]
    ndarray.__module__ = "cupy"

    def found_in(given: Any) -> Iterator[Any]:
        for x in given:
            if isinstance(x, ndarray):
                yield x
            elif isinstance(x, (tuple, list)):
                yield from found_in(x)

    def unwrapped(x: Any) -> Any:
        if isinstance(x, (tuple, list)):
            return type(x)(map(unwrapped, x)) if type(x) in (tuple, list) else x
        return x.values if isinstance(x, ndarray) else x

    def wrapped(y: Any, *inputs: Any) -> Any:
        if isinstance(y, tuple) and any(isinstance(part, np.ndarray) for part in y):
            parts = [wrapped(part, *inputs) for part in y]
            return type(y)(*parts) if hasattr(y, "_fields") else tuple(parts)
        if isinstance(y, list):
            return [wrapped(part, *inputs) for part in y]
        if not isinstance(y, (np.ndarray, np.generic)):
            return y
        for x in inputs:  # a view
            if isinstance(y, np.ndarray) and np.may_share_memory(y, x.values):
                return ndarray(y, x.data, x)
        return new(np.asarray(y))

    def new(y: np.ndarray) -> ndarray:
        pointer = cuda.alloc(y.nbytes)
        values: np.ndarray = np.ndarray(y.shape, y.dtype, pointer.mem.buffer)
        values[...] = y
        return ndarray(values, pointer)

    def launched(function: Callable[..., Any], writes: bool = False) -> Callable[..., Any]:
        """What a function of NumPy's is on the device: _kernel.pyx, _check_peer_access and _preprocess_arg."""

        def run(*given: Any, **options: Any) -> Any:
            arrays = list(found_in([*given, *options.values()]))
            for x in given:
                if arrays and isinstance(x, np.ndarray):
                    raise TypeError("Unsupported type <class 'numpy.ndarray'>")
            y = function(*map(unwrapped, given), **{key: unwrapped(x) for key, x in options.items()})
            if not writes and isinstance(y, np.ndarray) and any(np.may_share_memory(y, x.values) for x in arrays):
                return wrapped(y, *arrays)  # a view, for which nothing is launched
            for x in arrays:
                if x.device.id != gpus.current:
                    raise ValueError(
                        f"The device where the array resides ({x.device.id}) is different from the current device "
                        f"({gpus.current}). Peer access is unavailable between these devices."
                    )
            gpus.launched.append((gpus.current, get_current_stream()))
            return given[0] if writes else wrapped(y, *arrays)

        return run

    def array(obj: Any, dtype: Any = None, copy: bool | None = True, **_: Any) -> Any:
        """core.pyx, _array_from_cupy_ndarray: an array of another device is copied to the current one."""
        if not isinstance(obj, ndarray):
            return new(np.asarray(unwrapped(obj), dtype))
        dtype = obj.dtype if dtype is None else np.dtype(dtype)
        if obj.device.id == gpus.current and not copy and dtype == obj.dtype:
            return obj
        return new(obj.values.astype(dtype))

    def fill(room: ModuleType, source: Any) -> None:
        for name in dir(source):
            value = getattr(source, name)
            if name.startswith("_") or isinstance(value, ModuleType):
                continue
            plain = isinstance(value, type) or not callable(value) or name in UNTOUCHED
            setattr(room, name, value if plain else launched(value))

    fill(cupy, np)
    for name in ("linalg", "fft"):
        room = ModuleType(f"cupy.{name}")
        fill(room, getattr(np, name))
        setattr(cupy, name, room)
    cupy.__dict__.update(
        ndarray=ndarray, array=array, cuda=cuda, __version__="14.2.0",
        asarray=lambda obj, dtype=None, **options: array(obj, dtype, copy=None),
        empty=lambda shape, dtype=float: new(np.zeros(shape, dtype)) if 0 in np.shape(shape) else blank(shape, dtype),
        get_default_memory_pool=lambda: default_pool,
        get_default_pinned_memory_pool=lambda: pinned_pool,
    )  # fmt: skip

    def blank(shape: Any, dtype: Any) -> ndarray:
        dtype = np.dtype(dtype)
        pointer = cuda.alloc(int(np.prod(shape)) * dtype.itemsize)
        return ndarray(np.ndarray(shape, dtype, pointer.mem.buffer), pointer)

    default_pool = MemoryPool()
    allocator = [default_pool.malloc]

    def set_allocator(given: Any = None) -> None:
        allocator[0] = given

    cuda.__dict__.update(
        Device=Device, Event=Event, Stream=Stream, get_current_stream=get_current_stream, runtime=runtime,
        MemoryPool=MemoryPool, MemoryAsyncPool=MemoryAsyncPool, MemoryPointer=MemoryPointer,
        alloc=lambda size: allocator[0](size), get_allocator=lambda: allocator[0], set_allocator=set_allocator,
        is_available=lambda: gpus.count > 0, device=device_module,
    )  # fmt: skip
    device_module.__dict__.update(Device=Device)
    runtime.__dict__.update(
        CUDARuntimeError=CUDARuntimeError, getDeviceCount=lambda: gpus.count,
        driverGetVersion=lambda: 13010, runtimeGetVersion=lambda: 13020, memGetInfo=lambda: Device().mem_info,
        getDeviceProperties=lambda number: {"name": b"Stand-in GPU", "major": 9, "minor": 0},
    )  # fmt: skip
    cupyx.__dict__.update(empty_pinned=empty_pinned)
    rooms = [cupy, cuda, runtime, device_module, cupyx, cupy.linalg, cupy.fft]
    return {room.__name__: room for room in rooms}


UNTOUCHED = ("result_type", "can_cast", "isdtype", "issubdtype", "dtype", "finfo", "iinfo", "promote_types", "errstate")


@contextmanager
def stand_in_cupy(count: int = 1, total: int = 1 << 24) -> Iterator[Gpus]:
    """Inside, `import cupy` gives a new stand-in, and the backend of that name is made of it."""
    gpus = Gpus(count, total)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in sys.modules if name.startswith("array_api_compat.cupy")]:
            patch.delitem(sys.modules, name)
        for name in [name for name in sys.modules if name.partition(".")[0] in ("cupy", "cupyx")]:
            patch.delitem(sys.modules, name)
        for name, module in gpus.modules.items():
            patch.setitem(sys.modules, name, module)
        patch.delitem(switch._opened, "cupy", raising=False)
        patch.setattr(cupy_kernels, "kernels", {})  # which want a compiler
        patch.setattr(launch, "_driver", launch.CupyDriver())
        patch.setattr(backend_module.CupyBackend, "problem", classmethod(lambda cls: None))
        try:
            yield gpus
        finally:
            for name in [name for name in sys.modules if name.startswith("array_api_compat.cupy")]:
                del sys.modules[name]
            switch._opened.pop("cupy", None)
