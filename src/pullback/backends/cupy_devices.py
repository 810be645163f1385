"""CuPy launches on the current device, wherever the arrays are: with several GPUs it is told theirs at each call."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from types import ModuleType
from typing import Any

__all__ = ["OnDevices", "on_device"]


def on_device(function: Callable[..., Any], cupy: Any) -> Callable[..., Any]:
    """The function, which runs on the device that `device=` names, else on that of its first array."""

    @wraps(function)
    def run(*given: Any, **options: Any) -> Any:
        device = options.get("device")
        if not isinstance(device, cupy.cuda.Device):
            device = _place(given, cupy.ndarray) or _place(tuple(options.values()), cupy.ndarray)
        with device or nullcontext():
            return function(*given, **options)

    return run


def _place(given: Any, kind: type) -> Any:
    """Where the first array lives, also of those in a tuple or list."""
    for x in given:
        if isinstance(x, kind):
            return x.device  # type: ignore[attr-defined]
        if isinstance(x, (tuple, list)) and (found := _place(x, kind)) is not None:
            return found
    return None


class OnDevices(ModuleType):
    """CuPy's namespace, each function of which runs where its arrays are."""

    def __init__(self, below: ModuleType, cupy: Any) -> None:
        super().__init__(below.__name__, below.__doc__)
        self._below = below
        self._cupy = cupy

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._below, name)
        if isinstance(found, ModuleType):
            found = OnDevices(found, self._cupy)
        elif callable(found) and not isinstance(found, type) and not name.startswith("__"):
            found = on_device(found, self._cupy)
        setattr(self, name, found)
        return found
