"""Work of many blocks shared among threads, each of which takes its matrix products alone.

OpenBLAS parts each product among threads of its own. For products of a few hundred rows that costs more than it brings,
and what stands between them runs in one thread. Where threadpoolctl is installed, the blocks are parted instead.
"""

from collections.abc import Callable

from ..blas_threads import blas_alone
from ..numba_kernels.compiling import in_parts

__all__ = ["in_blocks"]

WORTHWHILE = 2_000_000
"""From how many multiplications on threads pay."""


def in_blocks(function: Callable[[int, int], None], length: int, multiplications: int) -> None:
    """Call `function(start, stop)` for parts that make up range(length), one in each thread where that pays."""
    alone = blas_alone() if multiplications >= WORTHWHILE and length > 1 else None
    if alone is None:
        function(0, length)
        return
    with alone:
        in_parts(function, length)
