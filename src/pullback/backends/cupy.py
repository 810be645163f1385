"""CuPy: arrays in the memory of CUDA GPUs."""

from importlib import import_module
from typing import Any, ClassVar

from .backend import Array, Backend
from .host import host
from .scipy_kernels import kernels_of

__all__ = ["CupyBackend"]


class CupyBackend(Backend):
    """CuPy on a CUDA GPU."""

    name = "cupy"
    module = "cupy"
    compat = "array_api_compat.cupy"
    mend = "pip install 'pullback[cuda13]' (or 'pullback[cuda12]' with a CUDA 12 driver)"
    in_place = True
    kernels: ClassVar = kernels_of("cupyx.scipy.special")

    def __init__(self, device: Any = None) -> None:
        super().__init__(device)
        self.several_devices = import_module("cupy").cuda.runtime.getDeviceCount() > 1

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
            cupy = import_module("cupy")
            available = cupy.cuda.is_available()
        except Exception as error:  # a broken CUDA installation raises what it likes
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            return f"cupy is installed, but importing it failed ({reason}); reinstall it for your CUDA"
        if not available:
            return (
                "cupy is installed, but the driver found no CUDA device; "
                "check that `nvidia-smi` lists one, and CUDA_VISIBLE_DEVICES"
            )
        return None

    def find_device(self, device: Any, /) -> Any:
        """`cuda:1`, `1` or a `cupy.cuda.Device`; None is the device that CuPy has as its current one."""
        cuda = import_module("cupy").cuda
        if device is None:
            return cuda.Device()
        if isinstance(device, cuda.Device):
            return device
        prefix, _, index = str(device).rpartition(":")
        if prefix not in ("", "cuda") or not (index.isdigit() or device == "cuda"):
            raise ValueError(f"a CUDA device is written 'cuda:0' or 0; got {device!r}")
        number, count = (int(index) if index.isdigit() else 0), cuda.runtime.getDeviceCount()
        if number >= count:
            raise ValueError(f"there is no device {device!r}; the driver found {count}, the last 'cuda:{count - 1}'")
        return cuda.Device(number)

    def device_name(self, device: Any, /) -> str:
        """`"cuda:0"`."""
        return f"cuda:{device.id}"

    def asarray(self, value: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Array:
        """An array on the GPU; `dtype` is applied on the host when `value` is not yet on the device."""
        device = self.device if device is None else self.find_device(device)
        with device:
            return self.namespace.asarray(value, dtype=self.dtype(dtype), copy=copy)

    def to_host(self, array: Array, /) -> Any:
        """A copy in host memory; waits for the device."""
        return array.get() if hasattr(array, "get") else host.asarray(array)

    def to_device(self, array: Array, device: Any, /) -> Array:
        """A copy on another GPU, or the array itself when it is there already."""
        target = self.find_device(device)
        if array.device == target:
            return array
        with target:
            return self.namespace.asarray(array, copy=True)

    def activate(self) -> None:
        """Make the device CuPy's own current one, where it launches kernels and makes new arrays."""
        self.device.use()

    def synchronize(self) -> None:
        """Wait for the current stream."""
        import_module("cupy").cuda.get_current_stream().synchronize()
