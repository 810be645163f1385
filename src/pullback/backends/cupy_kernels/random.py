"""Kernels of random numbers: Philox in registers, and what is made of its words, in one launch."""

from typing import Any, Final

from ..backend import Array
from ..host import host
from ..random_numbers import LOGARITHM, ROOT_HALF, SINE, TWICE_LOG_2, digits_of
from .launch import FLOATING, Source, driver, type_of
from .table import kernel

_THREADS: Final = 256
_OPTIONS: Final = ("-fmad=false",)
"""A product and a sum that were rounded once, and not one after the other, would give other values than the rest."""
_WIDEST: Final = 1 << 32
"""The most whole numbers to choose from with one word of bits each."""

_NUMBERS: Final = {"LOGARITHM": LOGARITHM, "ROOT_HALF": (ROOT_HALF,), "SINE": SINE, "TWICE_LOG_2": (TWICE_LOG_2,)}


class _Source(Source):
    """The source, with the numbers that stand in `random_numbers`."""

    @property
    def code(self) -> str:
        """The text, in which each name stands for numbers with commas between them."""
        return "".join(f"#define {name} {', '.join(map(repr, of))}\n" for name, of in _NUMBERS.items()) + super().code


_bits = _Source("random", ("random_bits",), ("long long",), _OPTIONS)
_mask = _Source("random", ("random_mask",), ("bool",), _OPTIONS)
_integers = _Source("random", ("random_integers",), ("int", "long long"), _OPTIONS)
_floating = _Source("random", ("random_uniform", "random_normal"), FLOATING, _OPTIONS)


@kernel("random_bits")
def _(like: Array, *, seed: int, offset: int, size: int) -> Array:
    return _drawn(_bits, "random_bits", (size,), host.dtype("int64"), seed, offset)


@kernel("random_mask")
def _(like: Array, *, seed: int, offset: int, shape: tuple[int, ...], least: int, digits: int) -> Array:
    below = _signed((least << (64 - digits)) - 1)  # a word is above this if its first digits are `least` or more
    return _drawn(_mask, "random_mask", shape, host.dtype("bool"), seed, offset, below)


@kernel("random_integers", declines=True)
def _(like: Array, *, seed: int, offset: int, shape: tuple[int, ...], low: int, high: int) -> Any:
    if type_of(like.dtype) not in _integers.types or high - low > _WIDEST:
        return NotImplemented
    return _drawn(_integers, "random_integers", shape, like.dtype, seed, offset, low, high - low)


@kernel("random_uniform", declines=True)
def _(like: Array, *, seed: int, offset: int, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Any:
    if type_of(like.dtype) not in FLOATING:
        return NotImplemented
    parameters = digits_of(like.dtype), float(low), float(high)
    return _drawn(_floating, "random_uniform", shape, like.dtype, seed, offset, *parameters)


@kernel("random_normal", declines=True)
def _(like: Array, *, seed: int, offset: int, shape: tuple[int, ...], mean: float = 0.0, std: float = 1.0) -> Any:
    if type_of(like.dtype) not in FLOATING:
        return NotImplemented
    return _drawn(_floating, "random_normal", shape, like.dtype, seed, offset, float(mean), float(std), each=8)


def _drawn(
    source: Source,
    function: str,
    shape: tuple[int, ...],
    dtype: Any,
    seed: int,
    *parameters: int | float,
    each: int = 4,
) -> Array:
    """A new array that one of the functions fills, of which a thread makes `each` values."""
    result = driver().xp.empty(shape, dtype)
    blocks = -(-result.size // (each * _THREADS))
    source.launch(function, type_of(dtype), blocks, _THREADS, result, result.size, _signed(seed), *parameters)
    return result


def _signed(word: int) -> int:
    """A 64-bit word as the whole number of the same bits that CUDA is passed."""
    return word - (1 << 64) if word >= 1 << 63 else word
