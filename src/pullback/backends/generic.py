"""Backends that need nothing but the standard: any library with `__array_namespace__`, and two by name."""

import logging
from typing import Any

from .backend import Array, Backend, Namespace
from .host import host

__all__ = ["GenericBackend", "StrictBackend", "TorchBackend"]


class StrictBackend(Backend):
    """array-api-strict: refuses whatever the standard does not promise, and has devices to mix up."""

    name = "array_api_strict"
    module = "array_api_strict"
    compat = "array_api_strict"
    mend = "pip install array-api-strict"

    def find_device(self, device: Any, /) -> Any:
        """`"device1"`, or an `array_api_strict.Device`."""
        return self.namespace.Device(device) if isinstance(device, str) else device

    def to_host(self, array: Array, /) -> Any:
        """A copy in host memory, from whichever of its devices."""
        return host.asarray(array.to_device(self.namespace.Device("CPU_DEVICE")))


class TorchBackend(Backend):
    """PyTorch's tensors as plain arrays; its own autograd is not used."""

    name = "torch"
    module = "torch"
    compat = "array_api_compat.torch"
    mend = "pip install 'pullback[parity]'"

    def to_host(self, array: Array, /) -> Any:
        """A view of a CPU tensor, a copy of any other."""
        return array.detach().cpu().numpy()

    def to_device(self, array: Array, device: Any, /) -> Array:
        """The tensor moved by PyTorch's own `to`."""
        return array.to(device)


class GenericBackend(Backend):
    """A library met through its arrays alone: its namespace is what they say it is."""

    module = ""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace  # type: ignore[misc]  # found on the arrays, not imported
        self.name = namespace.__name__  # type: ignore[misc]
        super().__init__()
        logging.getLogger("pullback").debug("%s arrays are used through the standard alone", self.name)
