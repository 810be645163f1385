"""The switch, and one file for each array library behind it."""

from .backend import Array, Backend, Function, Namespace
from .dispatch import batch_backend, common_backend, plain_number, plain_numbers
from .dtypes import DTYPES, HALVES, KINDS, DType, dtype_in, dtype_name, is_complex, is_floating, is_half
from .errors import BackendMismatch, BackendUnavailable, OutOfMemory, raise_clearly
from .memory import MemoryStats
from .precision import products_in_tf32, uncast
from .staging import Staging
from .switch import (
    Availability,
    array_beside,
    backend,
    backend_of,
    backends,
    find_backend_of,
    memory_stats,
    open_backend,
    register,
    release_memory,
    synchronize,
    use,
)
from .transfers import Transfer, watch_transfers

__all__ = [
    "DTYPES", "HALVES", "KINDS", "Array", "Availability", "Backend", "BackendMismatch", "BackendUnavailable", "DType",
    "Function", "MemoryStats", "Namespace", "OutOfMemory", "Staging", "Transfer", "array_beside", "backend",
    "backend_of", "backends", "batch_backend", "common_backend", "dtype_in", "dtype_name", "find_backend_of",
    "is_complex", "is_floating", "is_half", "memory_stats", "open_backend", "plain_number", "plain_numbers",
    "products_in_tf32", "raise_clearly", "register", "release_memory", "synchronize", "uncast", "use",
    "watch_transfers",
]  # fmt: skip
