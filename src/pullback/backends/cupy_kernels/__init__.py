"""CuPy's kernels: CUDA sources, each beside the Python that launches it. Without them results are the same, later."""

from . import softmax
from .table import kernels

__all__ = ["kernels", "softmax"]
