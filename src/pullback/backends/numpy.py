"""NumPy: arrays in the memory of the host."""

from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any

from . import numpy_kernels
from .backend import Array, Backend, Function, Namespace
from .bfloat16 import NumpyNamespace, keeping_bfloat16
from .host import host
from .memory import is_owned

__all__ = ["NumpyBackend"]

_array, _ndarray, _Scalar = host.asarray, host.ndarray, host.generic


class NumpyBackend(Backend):
    """NumPy on the CPU."""

    name = "numpy"
    module = "numpy"
    compat = "array_api_compat.numpy"
    mend = "pip install numpy"
    in_place = True
    block = numpy_kernels.BLOCK
    several_devices = False
    kernels = numpy_kernels.kernels

    @cached_property
    def namespace(self) -> Namespace:
        """NumPy as an array API namespace, with bfloat16."""
        return NumpyNamespace(import_module(self.compat))

    def implementation_for(self, function: Function, kinds: tuple[type, ...], /) -> Callable[..., Any]:
        """As for every backend; a number beside an array of bfloat16 promotes it no more than any other."""
        run = self.implementation(function)
        return keeping_bfloat16(run) if float in kinds or int in kinds else run

    def implement(self, function: Function, /) -> Callable[..., Any]:
        """As for every backend; the lines of a vjp see a gradient of no axes as an array, as the standard has it.

        Kernels take NumPy's scalars as they come: many times faster than arrays of no axes.
        """
        if ".vjp(" not in function.name or function.name in self.kernels:
            return super().implement(function)
        xp, lines = self.namespace, function.function

        def on_arrays(g: Any, *saved: Any, **metadata: Any) -> Any:
            return lines(xp, _array(g) if isinstance(g, _Scalar) else g, *saved, **metadata)

        return on_arrays

    def own(self, array: Array, /, *, shared: bool) -> Array:
        """As for every backend; what kernels made is no view, though its memory is kept by another array."""
        if type(array) is _ndarray and not shared and (array.flags.owndata or is_owned(array)):
            return array
        return super().own(array, shared=shared)

    def find_device(self, device: Any, /) -> str:
        """The one device that NumPy has."""
        if device not in (None, "cpu"):
            raise ValueError(f"the numpy backend has one device, 'cpu'; got {device!r}. For a GPU: pb.use('cupy')")
        return "cpu"

    def device_of(self, array: Array, /) -> str:
        """Always `"cpu"`."""
        return "cpu"

    def add(self, a: Array, b: Array, /) -> Array:
        """As for every backend; large arrays are added by threads."""
        add = self.kernels.get("add") if type(a) is _ndarray else None
        return a + b if add is None else add(a, b)

    def from_scalar(self, value: Any, /) -> Array:
        """A scalar as a 0-d array, an array as it is."""
        return _array(value) if isinstance(value, _Scalar) else value

    def to_host(self, array: Array, /) -> Any:
        """The array itself."""
        return host.asarray(array)

    def to_device(self, array: Array, device: Any, /) -> Array:
        """The array itself: there is nowhere else to go."""
        self.find_device(device)
        return array
