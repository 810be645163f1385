"""The switch, and one file for each array library behind it."""

from .backend import Array, Backend, Function, Namespace
from .dispatch import batch_backend, common_backend, plain_number, plain_numbers
from .dtypes import DTYPES, KINDS, DType, dtype_in, dtype_name, is_complex, is_floating
from .errors import BackendMismatch, BackendUnavailable, raise_clearly
from .memory import release_memory
from .switch import (
    Availability,
    array_beside,
    backend,
    backend_of,
    backends,
    find_backend_of,
    open_backend,
    register,
    use,
)

__all__ = [
    "DTYPES", "KINDS", "Array", "Availability", "Backend", "BackendMismatch", "BackendUnavailable", "DType",
    "Function", "Namespace", "array_beside", "backend", "backend_of", "backends", "batch_backend", "common_backend",
    "dtype_in", "dtype_name", "find_backend_of", "is_complex", "is_floating", "open_backend", "plain_number",
    "plain_numbers", "raise_clearly", "register", "release_memory", "use",
]  # fmt: skip
