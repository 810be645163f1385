"""The kernel of what dropout makes of a mask."""

from math import prod
from typing import Any, Final

from ..backend import Array
from .launch import Source, driver, type_of, vector_length
from .rows import ROW_TYPES, are_floating, contiguous
from .table import kernel

_THREADS: Final = 256

_source = Source("dropout", ("masked",), ROW_TYPES, ("-fmad=false",))


@kernel("masked", declines=True)
def _(x: Array, mask: Array, *, scale: float = 1.0, shift: float = 0.0, other: float = 0.0) -> Any:
    repeated = _repeated(x.shape, mask.shape)
    if not are_floating(x) or mask.dtype.kind != "b" or repeated is None:
        return NotImplemented
    x, mask = contiguous(x), contiguous(mask)
    y = driver().xp.empty(x.shape, x.dtype)
    vector = vector_length(x.size, x, y)
    if driver().address(mask) % vector:
        vector = 1
    types, blocks = f"{type_of(x.dtype)}, {vector}", -(-x.size // (vector * _THREADS))
    _source.launch("masked", types, blocks, _THREADS, x, mask, y, x.size, *repeated, *map(float, (scale, shift, other)))
    return y


def _repeated(shape: tuple[int, ...], of_mask: tuple[int, ...]) -> tuple[int, int] | None:
    """How long the rows of a mask are, and for how many of x each one is: where it is repeated along axes in a row.

    None where it is otherwise.
    """
    if of_mask == shape:
        return 1, 1
    repeated = [axis for axis, (n, m) in enumerate(zip(shape, of_mask, strict=False)) if n != m]
    first, last = (repeated[0], repeated[-1] + 1) if repeated else (0, 0)
    right = len(of_mask) == len(shape) and prod(of_mask[first:last]) == 1 and prod(shape) < 1 << 31
    return (prod(shape[last:]), prod(shape[first:last])) if right else None
