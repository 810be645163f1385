"""The table of CuPy's kernels."""

from ..kernel_table import KernelTable

__all__ = ["kernel", "kernels"]

kernels = KernelTable()
kernel = kernels.kernel
