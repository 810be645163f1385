"""The standard's creation functions. New arrays are made by the current backend."""

from operator import attrgetter
from typing import Any

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..autodiff.tensor import Tensor
from ..backends import DTYPES, Array, Namespace, backend, backend_of, dtype_in, dtype_name, find_backend_of, is_half
from ..backends.host import host
from .data_types import astype
from .manipulation import broadcast_arrays, reshape

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "meshgrid",
    "ones", "ones_like", "tensor", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor of nested sequences, a number, or an array.

    obj: sequences and numbers become an array of the current backend. An array keeps its own backend
        and, unless `copy` or another dtype is asked for, its memory.
    dtype: by default float32 for Python floats, and an array's own.
    A Tensor that is being recorded stays so: its copy, or its values in another data type, pass gradients on.

    >>> asarray([1.0, 2.0])
    Tensor([1., 2.], dtype=float32)
    """
    if isinstance(obj, Tensor):
        if dtype is None and device is None and not copy:
            return obj
        if obj.requires_grad and copy is False:
            asarray(obj.detach(), dtype=dtype, device=device, copy=False)  # raises where it takes a copy
            return obj
        if obj.requires_grad:
            return astype(obj, dtype or obj.dtype, copy=bool(copy), device=device)  # type: ignore[no-any-return]
        obj = obj.array
    owner = find_backend_of(obj)
    if owner is not None:
        return Tensor(owner.asarray(obj, dtype=dtype, device=device or owner.device_of(obj), copy=copy))
    array = backend().asarray(obj, dtype=dtype, device=device, copy=copy)
    return Tensor(_in_default_dtype(array, obj) if dtype is None else array)


def _in_default_dtype(array: Array, made_of: Any) -> Array:
    """What was made of Python numbers in pullback's default precision, where the library's is double."""
    name = dtype_name(array.dtype)
    if name not in DTYPES:
        raise TypeError(f"expected numbers, nested sequences of them, or an array; got {made_of!r:.60}")
    if isinstance(made_of, host.generic):  # a NumPy scalar has a data type of its own
        return array
    default = {"float64": "float32", "complex128": "complex64"}.get(name)
    if default is None:
        return array
    owner = backend()
    return owner.asarray(array, dtype=default, device=owner.device_of(array))


def create(name: str, *arguments: Any, dtype: Any, device: Any, **options: Any) -> Tensor:
    """A new array on the current backend, by the function of that name; `"fft.fftfreq"` too."""
    current = backend()
    make = attrgetter(name)(current.namespace)
    place = current.device if device is None else current.find_device(device)
    return Tensor(make(*arguments, dtype=current.dtype(dtype or "float32"), device=place, **options))


def empty(shape: int | tuple[int, ...], *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array whose values are not set."""
    return create("empty", shape, dtype=dtype, device=device)


def zeros(shape: int | tuple[int, ...], *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of zeros, float32 unless `dtype` says otherwise."""
    return create("zeros", shape, dtype=dtype, device=device)


def ones(shape: int | tuple[int, ...], *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of ones, float32 unless `dtype` says otherwise."""
    return create("ones", shape, dtype=dtype, device=device)


def full(shape: int | tuple[int, ...], fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array filled with one number, in that number's kind: float32, int64, complex64 or bool."""
    return create("full", shape, fill_value, dtype=dtype or _kind_of(fill_value), device=device)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """A matrix with ones on the diagonal `k`, zeros elsewhere."""
    return create("eye", n_rows, n_cols, k=k, dtype=dtype, device=device)


def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Evenly spaced numbers in [start, stop): int64 of integers, float32 of floats."""
    span = (0, start, step) if stop is None else (start, stop, step)
    kind = dtype or _kind_of(*span)
    if dtype_name(kind) != "float32" and not is_half(kind):
        return create("arange", *span, dtype=kind, device=device)
    exact = create("arange", *span, dtype="float64", device=device)  # NumPy adds the rounded steps up
    return Tensor(backend().namespace.astype(exact.array, backend().dtype(kind)))


def linspace(
    start: complex, stop: complex, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Tensor:
    """`num` evenly spaced numbers from start to stop."""
    kind = dtype or _kind_of(0.0, start, stop)
    return create("linspace", start, stop, num, dtype=kind, device=device, endpoint=endpoint)


def _kind_of(*numbers: Any) -> str:
    """The default data type of Python numbers: that of the widest kind among them."""
    kinds = (
        ((bool, host.bool), "bool"),
        ((int, host.integer), "int64"),
        ((float, host.floating), "float32"),
        ((complex, host.complexfloating), "complex64"),
    )
    widest = max(next((i for i, (kind, _) in enumerate(kinds) if isinstance(x, kind)), 2) for x in numbers)
    return kinds[widest][1]


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor of the current backend from another library's array, by DLPack: it shares the memory where it can.

    device: where to; by default where x is. copy: True always copies, False never.
    Raises BufferError where the current backend cannot reach the memory, or would have to copy against `copy`.

    >>> import numpy
    >>> shared = from_dlpack(numpy.asarray([1, 2], dtype="int32"))
    >>> shared
    Tensor([1, 2], dtype=int32)
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"expected an array that DLPack shares, got {type(x).__name__}; make one with pb.asarray(...)")
    current = backend()
    place = {} if device is None else {"device": current.find_device(device)}
    return Tensor(current.namespace.from_dlpack(x, **place, **({} if copy is None else {"copy": copy})))


_LIKE = [example(normal(2, 3)), example(normal(2), dtype="float32")]


def _like(name: str, xp: Namespace, x: Array, *arguments: Any, dtype: Any, device: Any) -> Array:
    place = {} if device is None else {"device": backend_of(x).find_device(device)}
    return getattr(xp, name)(x, *arguments, dtype=dtype_in(xp, dtype), **place)


@op(differentiable=False, examples=[example(normal(0, 3)), example(normal(0), dtype="float32")])
def empty_like(xp: Namespace, x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """An array whose values are not set, in the shape, dtype and place of another."""
    return _like("empty_like", xp, x, dtype=dtype, device=device)


@op(differentiable=False, examples=_LIKE)
def zeros_like(xp: Namespace, x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros in the shape, dtype and place of another array."""
    return _like("zeros_like", xp, x, dtype=dtype, device=device)


@op(differentiable=False, examples=_LIKE)
def ones_like(xp: Namespace, x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Ones in the shape, dtype and place of another array."""
    return _like("ones_like", xp, x, dtype=dtype, device=device)


@op(
    differentiable=False,
    examples=[example(normal(2, 3), fill_value=2.5), example(normal(2), fill_value=3, dtype="int32")],
)
def full_like(xp: Namespace, x: Array, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """One number in the shape, dtype and place of another array."""
    return _like("full_like", xp, x, fill_value, dtype=dtype, device=device)


def meshgrid(*arrays: Array, indexing: str = "xy") -> tuple[Array, ...]:
    """The coordinates of the points of a grid: for each array of one axis, its value at every point.

    indexing: `"ij"` for an axis of the result for each array, in order; `"xy"` with the first two exchanged.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"indexing is 'xy' or 'ij'; got {indexing!r}")
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        order[:2] = 1, 0
    shapes = [tuple(-1 if i == place else 1 for i in range(len(arrays))) for place in order]
    return broadcast_arrays(*(reshape(x, shape) for x, shape in zip(arrays, shapes, strict=True)))


@op(examples=[example(normal(3, 4)), example(normal(2, 3, 3), k=-1), example(normal(3, 2, dtype="complex128"), k=1)])
def tril(xp: Namespace, x: Array, /, *, k: int = 0) -> Array:
    """The lower triangles of matrices, up to the diagonal `k`; zeros above."""
    return xp.tril(x, k=k)


tril.vjp("x")(lambda xp, g, *, k: tril(g, k=k))


@op(examples=[example(normal(3, 4)), example(normal(2, 3, 3), k=-1), example(normal(3, 2, dtype="complex128"), k=1)])
def triu(xp: Namespace, x: Array, /, *, k: int = 0) -> Array:
    """The upper triangles of matrices, from the diagonal `k` on; zeros below."""
    return xp.triu(x, k=k)


triu.vjp("x")(lambda xp, g, *, k: triu(g, k=k))


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
        array = _in_default_dtype(array, data)
    return Tensor(array).requires_grad_(requires_grad)
