"""CuPy: arrays in the memory of CUDA GPUs."""

import logging
import os
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from .backend import Array, Backend, Function, Namespace
from .cupy_devices import OnDevices, on_device
from .cupy_memory import Allocator
from .cupy_namespace import CupyNamespace, keep_bfloat16
from .host import host
from .memory import MemoryStats, in_units
from .pinned import PinnedStaging
from .scipy_kernels import kernels_of

__all__ = ["CupyBackend"]

_FASTER: Final = {"matrix products": "nvmath", "convolutions": "cudnn", "attention": "cudnn"}
"""What becomes faster with a package, by the module that it brings."""


class CupyBackend(Backend):
    """CuPy on a CUDA GPU. Everything runs on CuPy's current stream."""

    name = "cupy"
    module = "cupy"
    compat = "array_api_compat.cupy"
    mend = "pip install 'pullback[cuda13]' (or 'pullback[cuda12]' with a CUDA 12 driver)"
    in_place = True
    options = ("memory_limit", "allocator")

    def __init__(self, device: Any = None) -> None:
        found = import_module(f"{__package__}.cupy_kernels")  # not before somebody wants CuPy
        self.kernels = {**kernels_of("cupyx.scipy.special"), **found.kernels}
        self.flat_alignment = found.parts.ALIGNED
        self.cupy = _import_quietly()
        count = self.cupy.cuda.runtime.getDeviceCount()
        kind = type("Device", (self.cupy.cuda.Device,), {"__hash__": lambda device: hash(device.id)})
        self.devices = [kind(number) for number in range(count)]  # CuPy's own are no keys of a dict
        self.several_devices = count > 1
        super().__init__(device)
        self.allocator = Allocator.install()

    @classmethod
    def problem(cls) -> str | None:
        """Why CuPy cannot be used here.

        `import cupy` succeeds on a machine with no GPU and only the first allocation raises, so the
        runtime is asked.
        """
        missing = super().problem()
        if missing is not None:
            return missing
        try:
            cupy = _import_quietly()
            runtime = cupy.cuda.runtime
            driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        except Exception as error:  # a broken CUDA installation raises what it likes
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            return f"cupy is installed, but importing it failed ({reason}); reinstall it for your CUDA"
        if not driver:
            return "cupy is installed, but there is no NVIDIA driver; check that `nvidia-smi` lists a GPU"
        if driver // 1000 < needed // 1000:
            return (
                f"cupy is installed for CUDA {needed // 1000}, but the driver is for CUDA {_cuda(driver)}; "
                f"update the driver, or pip install 'pullback[cuda{driver // 1000}]'"
            )
        try:
            count = runtime.getDeviceCount()
        except Exception as error:
            count, told = 0, f" ({next(iter(str(error).strip().splitlines()), type(error).__name__)})"
        else:
            told = ""
        if count:
            return None if _finds_headers(cupy) else (
                "cupy is installed, but finds no headers of CUDA, which it compiles kernels with; "
                f"pip install 'pullback[cuda{needed // 1000}]', or set CUDA_PATH to a CUDA toolkit"
            )  # fmt: skip
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        hidden = "" if visible is None else f", and CUDA_VISIBLE_DEVICES, which is {visible!r}"
        return (
            f"cupy is installed, but the driver found no CUDA device{told}; check that `nvidia-smi` lists one{hidden}"
        )

    @cached_property
    def namespace(self) -> Namespace:
        """CuPy as an array API namespace, with bfloat16; with several GPUs, each function runs where its arrays are."""
        return OnDevices(self.single, self.cupy) if self.several_devices else self.single

    @cached_property
    def single(self) -> Namespace:
        """The namespace whose functions run on the current device."""
        return CupyNamespace(import_module(self.compat))

    def implement(self, function: Function, /) -> Callable[..., Any]:
        """As for every backend; with several GPUs, on the device of the arrays."""
        found = super().implement(function)
        return on_device(found, self.cupy) if self.several_devices else found

    def implementation_for(self, function: Function, kinds: tuple[type, ...], /) -> Callable[..., Any]:
        """As for every backend; a float beside an array of bfloat16 promotes it no more than any other."""
        run = self.implementation(function)
        if float not in kinds:
            return run
        return lambda *inputs, **metadata: keep_bfloat16(run(*inputs, **metadata), inputs)

    def configure(  # type: ignore[override]  # `use` passes none but `options`
        self, *, memory_limit: Any = None, allocator: str | None = None
    ) -> None:
        """Limit the memory of the device, or take it from another pool; for all of the process, until told otherwise.

        memory_limit: bytes, "20GiB", or a share of the device such as 0.8; 0 is no limit.
        allocator: "pool", CuPy's own, or "async", the driver's stream-ordered one, whose limit is a soft one.
        """
        if allocator is not None:
            self.allocator.use(allocator, self.device)
        if memory_limit is not None:
            self.allocator.limit(memory_limit, self.device)

    def find_device(self, device: Any, /) -> Any:
        """`cuda:1`, `1` or a `cupy.cuda.Device`; None is the device that CuPy has as its current one."""
        own = self.cupy.cuda.Device
        if device is None or isinstance(device, own):
            return self.devices[own().id if device is None else device.id]
        prefix, _, index = str(device).rpartition(":")
        if prefix not in ("", "cuda") or not (index.isdigit() or device == "cuda"):
            raise ValueError(f"a CUDA device is written 'cuda:0' or 0; got {device!r}")
        number, count = (int(index) if index.isdigit() else 0), len(self.devices)
        if number >= count:
            raise ValueError(f"there is no device {device!r}; the driver found {count}, the last 'cuda:{count - 1}'")
        return self.devices[number]

    def device_name(self, device: Any, /) -> str:
        """`"cuda:0"`."""
        return f"cuda:{device.id}"

    def device_of(self, array: Array, /) -> Any:
        """Where an array lives."""
        return self.devices[array.data.device_id]

    def asarray(self, value: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Array:
        """An array on the GPU; `dtype` is applied on the host when `value` is not yet on the device."""
        device = self.device if device is None else self.find_device(device)
        with device:
            return self.single.asarray(value, dtype=self.dtype(dtype), copy=copy)

    def add(self, a: Array, b: Array, /) -> Array:
        """As for every backend, where the gradients are."""
        with self.at(a):
            return a + b

    def own(self, array: Array, /, *, shared: bool) -> Array:
        """As for every backend, where the array is."""
        with self.at(array):
            return super().own(array, shared=shared)

    def at(self, array: Array, /) -> Any:
        """Makes an array's device the current one; nothing where there is one alone."""
        return self.device_of(array) if self.several_devices and isinstance(array, self.cupy.ndarray) else nullcontext()

    def fetch(self, array: Array, /) -> Any:
        """A copy in host memory; waits for the current stream of the array's device."""
        if not hasattr(array, "get"):
            return host.asarray(array)
        with self.at(array):
            return array.get()

    def in_host_memory(self, array: Array, /) -> bool:
        """Never."""
        return False

    def to_device(self, array: Array, device: Any, /) -> Array:
        """A copy on another GPU, or the array itself when it is there already."""
        target = self.find_device(device)
        if self.device_of(array) == target:
            return array
        with self.device_of(array):
            array = self.cupy.ascontiguousarray(array) if array.ndim else array
            done = self.cupy.cuda.get_current_stream().record()
        with target:
            self.cupy.cuda.get_current_stream().wait_event(done)
            return self.single.asarray(array, copy=True)

    def staging(self, device: Any = None, /) -> PinnedStaging:
        """The way of host arrays to the GPU by pinned memory and a stream of its own, while others compute."""
        return PinnedStaging(self, device)

    def activate(self) -> None:
        """Make the device CuPy's own current one, where it launches kernels and makes new arrays."""
        self.device.use()

    def synchronize(self) -> None:
        """Wait for all streams of the device."""
        self.device.synchronize()

    def memory_stats(self, *, reset_peak: bool = False) -> MemoryStats:
        """Of the device; the limit is that of CuPy's pool."""
        return self.allocator.stats(self.device, reset_peak)

    def release_memory(self) -> None:
        """Give idle memory back to the driver, and pinned memory to the operating system."""
        self.allocator.release()
        self.cupy.get_default_pinned_memory_pool().free_all_blocks()

    def accelerators(self) -> dict[str, str]:
        """What matrix products, convolutions and attention run on, and what is missing that would make them faster."""
        kernels = import_module(f"{__package__}.cupy_kernels")
        told = {
            "matrix products": kernels.products.status(),
            "convolutions": kernels.cudnn_graphs.status(),
            "attention": kernels.cudnn_attention.status(),
        }
        if self.cupy.cuda.runtime.runtimeGetVersion() // 1000 == 13:
            missing = {name for name, module in _FASTER.items() if find_spec(module) is None}
            told |= {name: f"{told[name]}; faster: pip install 'pullback[cuda13-fast]'" for name in missing}
        return told

    def facts(self) -> dict[str, str]:
        """The GPUs with their names and memory, the versions of driver and runtime, and what makes it faster."""
        runtime = self.cupy.cuda.runtime
        told = {}
        for number in range(runtime.getDeviceCount()):
            free, total = self.cupy.cuda.Device(number).mem_info
            properties = runtime.getDeviceProperties(number)
            told[f"cuda:{number}"] = (
                f"{properties['name'].decode()}, compute capability {properties['major']}.{properties['minor']}, "
                f"{in_units(free)} of {in_units(total)} free"
            )
        driver, built = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        return {**told, "CUDA": f"driver {_cuda(driver)}, runtime {_cuda(built)}", **self.accelerators()}


def _cuda(number: int) -> str:
    """13020 as people say it: "13.2"."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _finds_headers(cupy: Any) -> bool:
    """Whether CuPy finds CUDA's headers, as it asks itself before it compiles anything."""
    try:
        cupy._core.core.assemble_cupy_compiler_options(())
    except RuntimeError:
        return False
    except AttributeError:  # CuPy before 14.1 looks for them elsewhere
        pass
    return True


def _import_quietly() -> Any:
    """CuPy, whose warnings on being imported go to the log: of two installations at once, or of no toolkit."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        cupy = import_module("cupy")
    for warning in told:
        logging.getLogger("pullback").debug("cupy says: %s", " ".join(str(warning.message).split()))
    return cupy
