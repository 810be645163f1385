"""The standard's data type functions, and the moves between devices and backends."""

from typing import Any, NamedTuple

from ..autodiff.examples import example, integers, normal
from ..autodiff.op import op
from ..autodiff.tensor import Tensor
from ..backends import (
    DTYPES,
    KINDS,
    Array,
    Backend,
    DType,
    Namespace,
    backend_of,
    dtype_in,
    dtype_name,
    is_floating,
    open_backend,
)

__all__ = ["astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type", "to_device"]


@op(
    examples=[
        example(normal(3), dtype="float64"),
        example(integers(3, high=5), dtype="float64"),
        example(normal(3), dtype="complex128"),
    ]
)
def _astype(xp: Namespace, x: Array, /, *, dtype: Any, copy: bool = True) -> Array:
    return xp.astype(x, dtype_in(xp, dtype), copy=copy)


_astype.vjp("x")(lambda xp, g: g)


def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    """The same values in another data type; the gradient comes back in the input's own.

    dtype: `pb.float64`, its name, or an array library's data type. What is cast to integers or to bool is a
        constant: it does not change with its input, but for jumps.
    """
    if device is not None:
        x = to_device(x, device)
    whole = isinstance(x, Tensor) and not is_floating(dtype)
    return _astype(x.detach() if whole else x, dtype=dtype, copy=copy)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a data type is of a kind: `"real floating"`, `"integral"`, ..., a data type, or a tuple of them.

    >>> import pullback as pb
    >>> isdtype(pb.float32, "real floating"), isdtype(pb.int8, (pb.bool, "unsigned integer"))
    (True, False)
    """
    name = dtype_name(dtype)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    unknown = [k for k in kinds if isinstance(k, str) and k not in KINDS and k not in DTYPES]
    if unknown:
        raise ValueError(f"there is no kind of data types {unknown[0]!r}; there are {', '.join(KINDS)}")
    return any(name in KINDS[k] if isinstance(k, str) and k in KINDS else name == dtype_name(k) for k in kinds)


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The data type that arrays, data types and Python numbers have together.

    >>> import pullback as pb
    >>> result_type(pb.int32, pb.uint8), result_type(pb.ones(2), 1)
    (pullback.int32, pullback.float32)
    """
    xp = _reference()
    known = [x if isinstance(x, (bool, int, float, complex)) else _in(xp, x) for x in arrays_and_dtypes]
    return DTYPES[dtype_name(xp.result_type(*known))]


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether an array, or a data type, is taken to another data type without changing its kind of number."""
    xp = _reference()
    return bool(xp.can_cast(_in(xp, from_), _in(xp, to)))


class FloatingInfo(NamedTuple):
    """The limits of a floating-point data type; what `finfo` gives."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


class IntegerInfo(NamedTuple):
    """The limits of an integer data type; what `iinfo` gives."""

    bits: int
    max: int
    min: int
    dtype: DType


_BFLOAT16 = FloatingInfo(16, 2.0**-7, (2 - 2.0**-7) * 2.0**127, (2.0**-7 - 2) * 2.0**127, 2.0**-126, DTYPES["bfloat16"])


def finfo(type: Any, /) -> FloatingInfo:
    """The limits of a real or complex floating-point data type, or of an array's.

    >>> import pullback as pb
    >>> finfo(pb.float32).eps
    1.1920928955078125e-07
    """
    if dtype_name(getattr(type, "dtype", type)) == "bfloat16":
        return _BFLOAT16  # float32's exponents with 7 binary places, unknown to NumPy
    found = _reference().finfo(_of_kind(type, "real floating", "complex floating"))
    eps, largest, least, normal = (float(getattr(found, n)) for n in ("eps", "max", "min", "smallest_normal"))
    return FloatingInfo(int(found.bits), eps, largest, least, normal, DTYPES[dtype_name(found.dtype)])


def iinfo(type: Any, /) -> IntegerInfo:
    """The limits of an integer data type, or of an array's.

    >>> import pullback as pb
    >>> iinfo(pb.int8).max
    127
    """
    found = _reference().iinfo(_of_kind(type, "integral"))
    return IntegerInfo(int(found.bits), int(found.max), int(found.min), DTYPES[dtype_name(found.dtype)])


def _reference() -> Namespace:
    """The library whose rules for data types hold for all: NumPy's are the standard's, and more."""
    return open_backend("numpy").namespace


def _of_kind(x: Any, *kinds: str) -> Any:
    found = _in(_reference(), x)
    if not isdtype(found, kinds):
        raise TypeError(f"expected a data type that is {' or '.join(kinds)}, or an array of such; got {x!r}")
    return found


def _in(xp: Namespace, x: Any) -> Any:
    name = dtype_name(x if isinstance(x, type) else getattr(x, "dtype", x))
    if name not in DTYPES or not hasattr(xp, name):
        raise TypeError(f"expected an array or a data type of the standard; got {x!r}")
    return getattr(xp, name)


@op(examples=[example(normal(3), device=None)])
def to_device(xp: Namespace, x: Array, /, device: Any, *, backend: str | None = None) -> Array:
    """The same values on another device, and with `backend` in another array library.

    device: as the library names it, `"cpu"` or `"cuda:1"`; None leaves it, or is the other library's default.
    The gradient moves back to where the input lives.
    """
    here = backend_of(x)
    if backend in (None, here.name):
        return x if device is None else here.to_device(x, device)
    return open_backend(backend).from_host(here.to_host(x), device=device)


@to_device.vjp("x")
def _(xp: Namespace, g: Array, x_place: tuple[Backend, Any]) -> Array:
    there, device = x_place
    return to_device(g, device, backend=there.name)
