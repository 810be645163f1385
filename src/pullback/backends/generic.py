"""Backends that need nothing but the standard: any library with `__array_namespace__`, and two by name."""

import logging
from importlib import import_module
from typing import Any

from .backend import Array, Backend, Namespace
from .host import host
from .transfers import lies_on_host

__all__ = ["GenericBackend", "StrictBackend", "TorchBackend"]


class StrictBackend(Backend):
    """array-api-strict: refuses whatever the standard does not promise, and has devices to mix up."""

    name = "array_api_strict"
    module = "array_api_strict"
    compat = "array_api_strict"
    mend = "pip install array-api-strict"

    def find_device(self, device: Any, /) -> Any:
        """`"device1"`, or an `array_api_strict.Device`."""
        Device = self.namespace.Device
        return device if isinstance(device, Device) else Device(device or "CPU_DEVICE")

    def device_name(self, device: Any, /) -> str:
        """`"device1"`."""
        return str(device).split("'")[1]  # array_api_strict.Device('device1') has no public name

    def in_host_memory(self, array: Array, /) -> bool:
        """On the first of its devices; the others stand for those of a GPU."""
        return bool(array.device == self.namespace.Device("CPU_DEVICE"))

    def fetch(self, array: Array, /) -> Any:
        """A copy in host memory, from whichever of its devices."""
        return host.asarray(array.to_device(self.namespace.Device("CPU_DEVICE")))


class TorchBackend(Backend):
    """PyTorch's tensors as plain arrays; its own autograd is not used."""

    name = "torch"
    module = "torch"
    compat = "array_api_compat.torch"
    mend = "pip install 'pullback[parity]'"

    def find_device(self, device: Any, /) -> Any:
        """`"cuda:1"`, or a `torch.device`."""
        torch = import_module("torch")
        try:
            return torch.get_default_device() if device is None else torch.device(device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"torch has no device {device!r}: {error}") from None

    def own(self, array: Array, /, *, shared: bool) -> Array:
        """A copy of a view, which a tensor knows itself to be, and of a `shared` one."""
        return array.clone() if shared or array._base is not None else array

    def in_host_memory(self, array: Array, /) -> bool:
        """A tensor of PyTorch's CPU."""
        return bool(array.device.type == "cpu")

    def fetch(self, array: Array, /) -> Any:
        """A view of a CPU tensor, a copy of any other."""
        return array.detach().cpu().resolve_conj().resolve_neg().numpy()

    def to_device(self, array: Array, device: Any, /) -> Array:
        """The tensor moved by PyTorch's own `to`."""
        return array.to(self.find_device(device))


class GenericBackend(Backend):
    """A library met through its arrays alone: its namespace is what they say it is."""

    module = ""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.name = getattr(namespace, "__name__", type(namespace).__name__)
        super().__init__()
        logging.getLogger("pullback").debug("%s arrays are used through the standard alone", self.name)

    def find_device(self, device: Any, /) -> Any:
        """The device that the library prints so, or one of its own objects."""
        info = self.namespace.__array_namespace_info__()
        if device is None:
            return info.default_device()
        if not isinstance(device, str):
            return device
        devices = info.devices()
        for found in devices:
            if found is not None and str(found) == device:
                return found
        raise ValueError(f"{self.name} has no device {device!r}; it has {', '.join(map(str, devices))}")

    def in_host_memory(self, array: Array, /) -> bool:
        """As DLPack has it."""
        return not hasattr(array, "__dlpack_device__") or lies_on_host(array)

    def fetch(self, array: Array, /) -> Any:
        """A NumPy array, by NumPy's own protocol where the library has it and else by DLPack."""
        return host.asarray(array) if hasattr(array, "__array__") else host.from_dlpack(array)
