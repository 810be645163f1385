"""The standard and nothing else for the stand-in's arrays: each call is array_api_strict's, on its second device.

What the standard does not promise is refused, and so is what is made where nobody said, on the first device.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

try:
    import array_api_strict as strict
except ImportError:  # the tests that need it skip
    strict = None

__all__ = ["as_strict_has_it", "strict_namespace"]


def as_strict_has_it(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of array_api_strict's arrays, or a method of theirs, for NumPy's in the same memory."""

    def run(*given: Any, **options: Any) -> Any:
        return _of_numpy(function(*map(_of_strict, given), **{name: _of_strict(x) for name, x in options.items()}))

    return run


def _of_strict(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return strict.asarray(x, device=strict.Device("device1"))
    if isinstance(x, np.dtype) or (isinstance(x, type) and issubclass(x, np.generic)):
        return getattr(strict, np.dtype(x).name)
    if type(x) in (tuple, list):
        return type(x)(map(_of_strict, x))
    return strict.Device("device1") if type(x).__name__ == "Device" else x


def _of_numpy(y: Any) -> Any:
    if isinstance(y, strict._array_object.Array):
        assert y.device == strict.Device("device1"), "an array was made on the default device"
        return y._array
    if isinstance(y, tuple):
        parts: Sequence[Any] = [_of_numpy(part) for part in y]
        return type(y)(*parts) if hasattr(y, "_fields") else tuple(parts)
    if isinstance(y, list):
        return [_of_numpy(part) for part in y]
    return getattr(y, "_np_dtype", y)


def strict_namespace(name: str, arrays: Any) -> ModuleType:
    """array_api_strict's functions and data types for a stand-in's arrays, which it makes itself."""

    def filled(name: str, source: Any) -> ModuleType:
        room = ModuleType(name)
        for key in dir(source):
            value = getattr(source, key)
            if isinstance(value, (type, ModuleType)) or key.startswith("_"):
                continue
            if isinstance(value, strict._dtypes.DType):
                value = value._np_dtype.type
            elif callable(value):
                value = arrays.launched(as_strict_has_it(value))
            setattr(room, key, value)
        return room

    namespace = filled(name, strict)
    for part in ("linalg", "fft"):
        setattr(namespace, part, filled(f"{name}.{part}", getattr(strict, part)))
    namespace.__dict__.update(asarray=arrays.asarray, __array_namespace_info__=strict.__array_namespace_info__)
    return namespace
