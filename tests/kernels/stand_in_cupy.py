"""A stand-in for CuPy, over NumPy's arrays, on which the backend's own Python runs where there is no GPU.

It has the devices, streams, events, pools and refusals of CuPy 14, as its sources have them; what stands behind a
comment such as `memory.pyx` is there. Kernels run at once, on the stream that is current. Copies from pinned memory run
late: when a stream that waits for them gets there, and not before.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from stand_in_arrays import arrays_of
from stand_in_devices import Devices
from stand_in_memory import CUDARuntimeError, memory_of
from stand_in_strict import as_strict_has_it, strict_namespace

from pullback.backends import cupy as backend_module
from pullback.backends import cupy_kernels, switch
from pullback.backends.cupy_kernels import launch

UNTOUCHED = ("result_type", "can_cast", "isdtype", "issubdtype", "dtype", "finfo", "iinfo", "promote_types", "errstate")
"""NumPy's functions that are about no array's values."""


class Gpus(Devices):
    """Devices, and the modules that stand in for CuPy's on them."""

    def __init__(self, count: int, total: int, strict: bool = False) -> None:
        super().__init__(count, total)
        self.modules = _modules(self, strict)


def _modules(gpus: Devices, strict: bool) -> dict[str, ModuleType]:
    cupy, cuda, runtime = ModuleType("cupy"), ModuleType("cupy.cuda"), ModuleType("cupy.cuda.runtime")
    device_module, cupyx = ModuleType("cupy.cuda.device"), ModuleType("cupyx")
    memory = memory_of(gpus)
    arrays = arrays_of(gpus, memory, as_strict_has_it) if strict else arrays_of(gpus, memory)

    def fill(room: ModuleType, source: Any) -> None:
        for name in dir(source):
            value = getattr(source, name)
            if name.startswith("_") or isinstance(value, ModuleType):
                continue
            plain = isinstance(value, type) or not callable(value) or name in UNTOUCHED
            setattr(room, name, value if plain else arrays.launched(value))

    fill(cupy, np)
    for name in ("linalg", "fft"):
        room = ModuleType(f"cupy.{name}")
        fill(room, getattr(np, name))
        setattr(cupy, name, room)
    cupy.__dict__.update(
        ndarray=arrays.ndarray, array=arrays.array, asarray=arrays.asarray, empty=arrays.empty,
        cuda=cuda, __version__="14.2.0",
        get_default_memory_pool=lambda: memory.default_pool,
        get_default_pinned_memory_pool=lambda: memory.pinned_pool,
    )  # fmt: skip
    cuda.__dict__.update(
        **vars(gpus.cuda), runtime=runtime, device=device_module,
        MemoryPool=memory.MemoryPool, MemoryAsyncPool=memory.MemoryAsyncPool, MemoryPointer=memory.MemoryPointer,
        alloc=memory.alloc, get_allocator=memory.get_allocator, set_allocator=memory.set_allocator,
        is_available=lambda: gpus.count > 0,
    )  # fmt: skip
    device_module.__dict__.update(Device=gpus.cuda.Device)
    runtime.__dict__.update(
        CUDARuntimeError=CUDARuntimeError, getDeviceCount=lambda: gpus.count,
        driverGetVersion=lambda: 13010, runtimeGetVersion=lambda: 13020, memGetInfo=lambda: gpus.cuda.Device().mem_info,
        getDeviceProperties=lambda number: {"name": b"Stand-in GPU", "major": 9, "minor": 0},
    )  # fmt: skip
    cupyx.__dict__.update(empty_pinned=memory.empty_pinned)
    rooms = [cupy, cuda, runtime, device_module, cupyx, cupy.linalg, cupy.fft]
    rooms += [strict_namespace("array_api_compat.cupy", arrays)] if strict else []
    return {room.__name__: room for room in rooms}


@contextmanager
def stand_in_cupy(count: int = 1, total: int = 1 << 24, strict: bool = False) -> Iterator[Gpus]:
    """Inside, `import cupy` gives a new stand-in, and the backend of that name is made of it.

    strict: whether all that the standard has is computed by array_api_strict, on its second device.
    """
    gpus = Gpus(count, total, strict)
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
