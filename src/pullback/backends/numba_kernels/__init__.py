"""Kernels that numba compiles: one pass over memory where NumPy makes a dozen."""

from .adam import adam
from .compiling import WORTHWHILE, is_worthwhile

__all__ = ["WORTHWHILE", "adam", "is_worthwhile"]
