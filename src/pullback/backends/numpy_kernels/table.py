"""The table of NumPy's kernels."""

from typing import Any

from ..host import host as np
from ..kernel_table import KernelTable

__all__ = ["AN_ARRAY", "kernel", "kernels"]

# With `out=...` a ufunc gives an array also where it would give a scalar; NumPy has it since 2.3.
AN_ARRAY: dict[str, Any] = {"out": ...} if np.lib.NumpyVersion(np.__version__) >= "2.3.0" else {}

kernels = KernelTable()
kernel = kernels.kernel
