"""NumPy: arrays in the memory of the host."""

from typing import Any, ClassVar

from . import numpy_kernels
from .backend import Array, Backend
from .host import host

__all__ = ["NumpyBackend"]


class NumpyBackend(Backend):
    """NumPy on the CPU."""

    name = "numpy"
    module = "numpy"
    compat = "array_api_compat.numpy"
    mend = "pip install numpy"
    in_place = True
    block = 16384
    several_devices = False
    kernels: ClassVar = numpy_kernels.kernels

    def find_device(self, device: Any, /) -> str:
        """The one device that NumPy has."""
        if device not in (None, "cpu"):
            raise ValueError(f"the numpy backend has one device, 'cpu'; got {device!r}. For a GPU: pb.use('cupy')")
        return "cpu"

    def device_of(self, array: Array, /) -> str:
        """Always `"cpu"`."""
        return "cpu"

    def from_scalar(self, value: Any, /) -> Array:
        """A scalar as a 0-d array, an array as it is."""
        return host.asarray(value) if isinstance(value, host.generic) else value

    def to_host(self, array: Array, /) -> Any:
        """The array itself."""
        return host.asarray(array)

    def to_device(self, array: Array, device: Any, /) -> Array:
        """The array itself: there is nowhere else to go."""
        self.find_device(device)
        return array
