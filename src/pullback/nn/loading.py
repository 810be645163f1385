"""What may be loaded into a Tensor, and its values in that Tensor's dtype and place."""

from typing import Any, NamedTuple

from ..autodiff.tensor import array_of
from ..backends import Array, array_beside, backend_of, dtype_name, find_backend_of

__all__ = ["IncompatibleKeys", "array_like", "misfit"]

_KINDS = (("bool",), ("int", "uint"), ("float", "bfloat"), ("complex",))
"""The beginnings of the dtypes' names, from the kind that holds the least to the one that holds the most."""


class IncompatibleKeys(NamedTuple):
    """The names that `load_state_dict` passed over: the module's own, and the state's."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not any(self):
            return "<All keys matched successfully>"
        return f"{type(self).__name__}(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def misfit(value: Any, like: Array) -> str | None:
    """Why a value cannot be loaded where an array is; None when it can.

    It must be a Tensor or an array of the same shape, of a dtype no richer in kind: 1 becomes 1.0, 1j does not.
    """
    array = array_of(value)
    if find_backend_of(array) is None:
        return f"a {type(value).__name__} given, shape {tuple(like.shape)} expected"
    if tuple(array.shape) != tuple(like.shape):
        return f"shape {tuple(array.shape)} given, shape {tuple(like.shape)} expected"
    if not 0 <= _kind(array) <= _kind(like):
        return f"dtype {dtype_name(array.dtype)} given, {dtype_name(like.dtype)} expected"
    return None


def array_like(value: Any, like: Array, copy: bool = False) -> Array:
    """A Tensor's or array's values in the dtype and place of another array; itself if it is so already."""
    array = array_of(value)
    owner, here = backend_of(array), backend_of(like)
    if owner is not here:
        array = array_beside(like, owner.to_host(array))
    elif here.device_of(array) != here.device_of(like):
        array = here.to_device(array, here.device_of(like))
    return here.namespace.astype(array, like.dtype, copy=True) if copy or array.dtype != like.dtype else array


def _kind(array: Array) -> int:
    name = dtype_name(array.dtype)
    return next((rank for rank, stems in enumerate(_KINDS) if name.startswith(stems)), -1)
