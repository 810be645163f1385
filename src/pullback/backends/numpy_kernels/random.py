"""Kernels of random numbers."""

from typing import Any

from ..host import host as np
from ..memory import empty
from ..numba_kernels import is_float, is_worthwhile
from ..numba_kernels.compiling import in_parts
from ..numba_kernels.random import masked
from .table import kernel

_PIECE = 1 << 14
"""How many words are drawn at once: a multiple of the four that Philox makes together."""


@kernel("random_bits")
def _(like: Any, *, seed: int, offset: int, size: int) -> Any:
    if size < 4 * _PIECE:
        return np.random.Philox(key=seed, counter=offset).random_raw(size).view(np.int64)
    bits = empty((size,), np.uint64)
    in_parts(_draw, -(-size // _PIECE), bits, seed, offset)
    return bits.view(np.int64)


def _draw(start: int, stop: int, bits: Any, seed: int, offset: int) -> None:
    """Draw the pieces from `start` to `stop`. NumPy lets go of the interpreter's lock meanwhile."""
    source = np.random.Philox(key=seed, counter=offset + start * (_PIECE // 4))
    for place in range(start * _PIECE, min(stop * _PIECE, bits.size), _PIECE):
        piece = bits[place : place + _PIECE]
        piece[:] = source.random_raw(piece.size)


@kernel("mask")
def _(bits: Any, *, shape: tuple[int, ...], least: int, digits: int) -> Any:
    below = (least << (64 - digits)) - 1  # a word is above this if its first digits are `least` or more
    return (bits.view(np.uint64) > np.uint64(below)).reshape(shape)


@kernel("masked", declines=True)
def _(x: Any, mask: Any, *, scale: float = 1.0, shift: float = 0.0, other: float = 0.0) -> Any:
    if not is_float(x.dtype):
        return NotImplemented
    numbers = tuple(map(x.dtype.type, (scale, shift, other)))
    if is_worthwhile(x.size) and mask.shape == x.shape and x.flags.c_contiguous and mask.flags.c_contiguous:
        y = empty(x.shape, x.dtype)
        in_parts(masked, x.size, x.reshape(-1), mask.reshape(-1), *numbers, y.reshape(-1))
        return y
    return np.where(mask, x * numbers[0] + numbers[1] if shift else x * numbers[0], numbers[2])
