"""The standard's creation functions. New arrays are made by the current backend."""

from typing import Any

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..autodiff.tensor import Tensor
from ..backends import Array, Namespace, backend, dtype_name, find_backend_of

__all__ = [
    "arange", "asarray", "empty", "eye", "full", "full_like", "linspace", "ones", "ones_like", "tensor",
    "zeros", "zeros_like",
]  # fmt: skip


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor of nested sequences, a number, or an array.

    obj: sequences and numbers become an array of the current backend. An array keeps its own backend
        and, unless `copy` or another dtype is asked for, its memory.
    dtype: by default float32 for Python floats, and an array's own.

    >>> asarray([1.0, 2.0])
    Tensor([1., 2.], dtype=float32)
    """
    if isinstance(obj, Tensor):
        if dtype is None and device is None and not copy:
            return obj
        obj = obj.array
    owner = find_backend_of(obj)
    if owner is not None:
        return Tensor(owner.asarray(obj, dtype=dtype, device=device or owner.device_of(obj), copy=copy))
    array = backend().asarray(obj, dtype=dtype, device=device, copy=copy)
    return Tensor(_in_default_dtype(array) if dtype is None else array)


def _in_default_dtype(array: Array) -> Array:
    """What was made of Python numbers in pullback's default precision, where the library's is double."""
    default = {"float64": "float32", "complex128": "complex64"}.get(dtype_name(array.dtype))
    return array if default is None else backend().asarray(array, dtype=default)


def _filled(name: str, *arguments: Any, dtype: Any, device: Any) -> Tensor:
    current = backend()
    make = getattr(current.namespace, name)
    place = current.device if device is None else current.find_device(device)
    return Tensor(make(*arguments, dtype=current.dtype(dtype or "float32"), device=place))


def empty(shape: int | tuple[int, ...], /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array whose values are not set."""
    return _filled("empty", shape, dtype=dtype, device=device)


def zeros(shape: int | tuple[int, ...], /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of zeros, float32 unless `dtype` says otherwise."""
    return _filled("zeros", shape, dtype=dtype, device=device)


def ones(shape: int | tuple[int, ...], /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of ones, float32 unless `dtype` says otherwise."""
    return _filled("ones", shape, dtype=dtype, device=device)


def full(shape: int | tuple[int, ...], /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array filled with one number, in that number's kind: float32, int64 or bool."""
    kind = {bool: "bool", int: "int64", complex: "complex64"}.get(type(fill_value), "float32")
    return _filled("full", shape, fill_value, dtype=dtype or kind, device=device)


def eye(rows: int, columns: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """A matrix with ones on the diagonal `k`, zeros elsewhere."""
    current = backend()
    place = current.device if device is None else current.find_device(device)
    made = current.namespace.eye(rows, columns, k=k, dtype=current.dtype(dtype or "float32"), device=place)
    return Tensor(made)


def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Evenly spaced numbers in [start, stop): int64 of integers, float32 of floats."""
    whole = all(isinstance(x, int) for x in (start, stop or 0, step))
    span = (0, start, step) if stop is None else (start, stop, step)
    return _filled("arange", *span, dtype=dtype or ("int64" if whole else "float32"), device=device)


def linspace(
    start: float, stop: float, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Tensor:
    """`num` evenly spaced numbers from start to stop."""
    current = backend()
    place = current.device if device is None else current.find_device(device)
    kind = current.dtype(dtype or "float32")
    return Tensor(current.namespace.linspace(start, stop, num, dtype=kind, device=place, endpoint=endpoint))


@op(differentiable=False, examples=[example(normal(2, 3))])
def zeros_like(xp: Namespace, x: Array, /) -> Array:
    """Zeros in the shape, dtype and place of another array."""
    return xp.zeros_like(x)


@op(differentiable=False, examples=[example(normal(2, 3))])
def ones_like(xp: Namespace, x: Array, /) -> Array:
    """Ones in the shape, dtype and place of another array."""
    return xp.ones_like(x)


@op(differentiable=False, examples=[example(normal(2, 3), fill_value=2.5)])
def full_like(xp: Namespace, x: Array, /, fill_value: Any) -> Array:
    """One number in the shape, dtype and place of another array."""
    return xp.full_like(x, fill_value)


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor from nested sequences, numbers or an array, on the current backend.

    data: numbers in nested sequences, or an array. An array of the current backend is copied; one of
        another backend is moved here.
    dtype: by default float32 for Python floats, and an array's own.
    device: by default the current backend's.
    requires_grad: whether it is a variable, whose gradient `backward` computes.

    >>> tensor([[1.0, 2.0]])
    Tensor([[1., 2.]], dtype=float32)
    """
    current = backend()
    if isinstance(data, Tensor):
        data = data.array
    owner = find_backend_of(data)
    if owner is not None and owner.name != current.name:
        data = owner.to_host(data)
    array = current.asarray(data, dtype=dtype, device=device, copy=True)
    if owner is None and dtype is None:
        array = _in_default_dtype(array)
    return Tensor(array).requires_grad_(requires_grad)
