"""Kernels that numba compiles: one pass over memory where NumPy makes a dozen."""

from .compiling import WORTHWHILE, is_float, is_worthwhile

__all__ = ["WORTHWHILE", "is_float", "is_worthwhile"]
