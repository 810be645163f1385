"""Arrays of the stand-in for CuPy, over NumPy's, and what runs on them."""

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from stand_in_devices import Devices


def arrays_of(
    gpus: Devices, memory: SimpleNamespace, through: Callable[..., Any] = lambda function: function
) -> SimpleNamespace:
    """CuPy's arrays on some devices, in some memory, and what a function of NumPy's is for them.

    through: what is made of the functions that operators and indices are.
    """
    Device, get_current_stream = gpus.cuda.Device, gpus.cuda.get_current_stream

    class ndarray:
        """core.pyx. It refuses NumPy, and works on no other device than the current one."""

        __array_priority__ = 100
        __array_ufunc__ = None

        def __init__(self, values: np.ndarray, data: Any, base: Any = None) -> None:
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
            return launched(through(lambda x, key: x[key]))(self, key)

        def __setitem__(self, key: Any, value: Any) -> None:
            def write(x: Any, key: Any, value: Any) -> None:
                x[key] = value

            launched(through(write), writes=True)(self, key, value)

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
            return launched(through(lambda x, *rest: getattr(x, name)(*rest)), writes)(self, *others)

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
        pointer = memory.alloc(y.nbytes)
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

    def asarray(obj: Any, dtype: Any = None, **options: Any) -> Any:
        return array(obj, dtype, copy=None)

    def empty(shape: Any, dtype: Any = float) -> ndarray:
        if 0 in np.shape(shape):
            return new(np.zeros(shape, dtype))
        dtype = np.dtype(dtype)
        pointer = memory.alloc(int(np.prod(shape)) * dtype.itemsize)
        return ndarray(np.ndarray(shape, dtype, pointer.mem.buffer), pointer)

    return SimpleNamespace(ndarray=ndarray, array=array, asarray=asarray, empty=empty, launched=launched)
