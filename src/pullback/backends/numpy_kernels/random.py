"""Kernels of random numbers.

NumPy's own Philox draws the words, so many at once that what is made of them finds them in the processor's cache.
"""

from collections.abc import Callable
from math import prod
from threading import local
from typing import Any

from ..host import host as np
from ..memory import empty
from ..numba_kernels import is_float, is_worthwhile
from ..numba_kernels.compiling import in_parts
from ..numba_kernels.random import masked, normals
from ..random_numbers import LOGARITHM, ROOT_HALF, SINE, TWICE_LOG_2, digits_of
from .table import kernel

_PIECE = 1 << 14
"""How many words are drawn at once: a multiple of the four that Philox makes together."""


@kernel("random_bits")
def _(like: Any, *, seed: int, offset: int, size: int) -> Any:
    if size < 4 * _PIECE:
        return _words(seed, offset, 0, size).view(np.int64)
    bits = empty((size,), np.int64)

    def fill(piece: Any, words: Any) -> None:
        piece[:] = words.view(np.int64)

    _in_pieces(fill, bits, seed, offset)
    return bits


@kernel("random_uniform")
def _(like: Any, *, seed: int, offset: int, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Any:
    digits = digits_of(like.dtype)
    values = empty(shape, like.dtype)
    scale, ends = (high - low) * 2.0**-digits, _rounded(np.asarray([low, high]), like.dtype)

    def fill(piece: Any, words: Any) -> None:
        piece[:] = _rounded(np.multiply(words >> (64 - digits), scale) + low, like.dtype)
        np.copyto(piece, ends[0], where=piece == ends[1])

    _in_pieces(fill, values.reshape(-1), seed, offset)
    return values


@kernel("random_normal")
def _(like: Any, *, seed: int, offset: int, shape: tuple[int, ...], mean: float = 0.0, std: float = 1.0) -> Any:
    count = prod(shape)
    pairs = -(-count // 2)
    values = empty(shape, like.dtype)
    flat = values.reshape(-1)
    compiled = is_worthwhile(count) and is_float(like.dtype)

    def draw(start: int, stop: int) -> None:
        """Draw the pieces of pairs from `start` to `stop`."""
        for place in range(start * _PIECE, min(stop * _PIECE, pairs), _PIECE):
            first, second = flat[:pairs][place : place + _PIECE], flat[pairs:][place : place + _PIECE]
            words = [_words(seed, offset, at, first.size) for at in (place, pairs + place)]
            if compiled and first.size == second.size:
                normals(0, first.size, *(x.view(np.int64) for x in words), first, second, mean, std)
                continue
            made = _rounded(_pairs_of_normals(*words) * std + mean, flat.dtype)
            first[:], second[:] = made[0], made[1, : second.size]

    in_parts(draw, -(-pairs // _PIECE))
    return values


_POLYNOMIALS = np.asarray([LOGARITHM, (0.0, *SINE)]).T[:, :, None]
_ROOT_BITS = int(np.asarray(ROOT_HALF).view(np.int64))
_FRACTION = (1 << 52) - 1


def _pairs_of_normals(distances: Any, directions: Any) -> Any:
    """What the op's own lines compute, as fewer and larger steps: both polynomials at once, in two rows."""
    s = np.empty((2, distances.size))
    u, rest = s
    np.subtract(1, np.multiply(distances >> 11, 2.0**-53, out=u), out=u)
    bits = u.view(np.int64)
    bits -= _ROOT_BITS
    exponent = bits >> 52
    bits &= _FRACTION
    bits += _ROOT_BITS
    above = u + 1
    u -= 1
    u /= above
    np.multiply(directions.view(np.int64) >> 11, 2.0**-51, out=rest)
    turns = np.rint(rest)
    rest -= turns
    squares = s * s
    total = squares * _POLYNOMIALS[0]
    total += _POLYNOMIALS[1]
    for coefficients in _POLYNOMIALS[2:]:
        total *= squares
        total += coefficients
    total *= s
    square, sine = total
    square -= exponent * TWICE_LOG_2
    sides = squares
    sides[0] = square * (1 - sine * sine)
    sides[1] = square
    np.sqrt(sides, out=sides)
    sides[1] *= sine
    to_right = 1 - np.abs(turns)
    to_top = turns + turns * to_right
    values = np.multiply(sides, to_right, out=s)
    sides *= to_top
    values[0] -= sides[1]
    values[1] += sides[0]
    return values


@kernel("random_mask")
def _(like: Any, *, seed: int, offset: int, shape: tuple[int, ...], least: int, digits: int) -> Any:
    below = np.uint64((least << (64 - digits)) - 1)  # a word is above this if its first digits are `least` or more
    mask = empty(shape, np.bool_)
    _in_pieces(lambda piece, words: np.greater(words, below, out=piece), mask.reshape(-1), seed, offset)
    return mask


def _words(seed: int, offset: int, start: int, size: int) -> Any:
    """The words of a stream from one of them on, from NumPy's generator: each thread's own, set to where they begin."""
    try:
        source = _generators.philox
    except AttributeError:
        source = _generators.philox = np.random.Philox(key=0)
    blocks, skipped = divmod(start, 4)
    place = {"counter": ((offset + blocks) % 2**64, 0, 0, 0), "key": (seed, 0)}
    source.state = {**_FRESH, "state": place}
    return source.random_raw(skipped + size)[skipped:]


_generators = local()  # to make one takes longer than to draw a thousand words
_FRESH = {"bit_generator": "Philox", "buffer": (0,) * 4, "buffer_pos": 4, "has_uint32": 0, "uinteger": 0}


def _in_pieces(fill: Callable[[Any, Any], Any], out: Any, seed: int, offset: int) -> None:
    """Call `fill(piece, words)` for each piece of an array, in threads. NumPy lets go of the interpreter's lock."""

    def draw(start: int, stop: int) -> None:
        for place in range(start * _PIECE, min(stop * _PIECE, out.size), _PIECE):
            piece = out[place : place + _PIECE]
            fill(piece, _words(seed, offset, place, piece.size))

    in_parts(draw, -(-out.size // _PIECE))


def _rounded(values: Any, dtype: Any) -> Any:
    """Values of float64 in another dtype; in half precision by way of float32."""
    return (values.astype(np.float32) if dtype.itemsize == 2 else values).astype(dtype, copy=False)


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
