"""The standard's data type functions, and the moves between devices and backends."""

from typing import Any

from ..autodiff.examples import example, integers, normal
from ..autodiff.op import op
from ..autodiff.tensor import Tensor, is_floating
from ..backends import Array, Backend, Namespace, backend_of, dtype_name, open_backend

__all__ = ["astype", "isdtype", "to_device"]


@op(examples=[example(normal(3), dtype="float64"), example(integers(3, high=5), dtype="float64")])
def _astype(xp: Namespace, x: Array, /, *, dtype: Any, copy: bool = True) -> Array:
    return xp.astype(x, getattr(xp, dtype_name(dtype)), copy=copy)


_astype.vjp("x")(lambda xp, g: g)


def astype(x: Array, dtype: Any, /, *, copy: bool = True) -> Array:
    """The same values in another data type; the gradient comes back in the input's own.

    dtype: `pb.float64`, its name, or an array library's data type. What is cast to integers or to bool is a
        constant: it does not change with its input, but for jumps.
    """
    whole = isinstance(x, Tensor) and not is_floating(dtype)
    return _astype(x.detach() if whole else x, dtype=dtype, copy=copy)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a data type is of a kind: `"real floating"`, `"integral"`, ..., a data type, or a tuple of them."""
    xp = open_backend("numpy").namespace
    own = tuple(
        k if k in _KINDS else getattr(xp, dtype_name(k)) for k in (kind if isinstance(kind, tuple) else (kind,))
    )
    return bool(xp.isdtype(getattr(xp, dtype_name(dtype)), own))


_KINDS = (
    "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric",
)  # fmt: skip


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
