"""Words of random bits, and arithmetic of words."""

from collections.abc import Sequence

from ...autodiff.examples import example, normal
from ...autodiff.op import op
from ...backends import Array, Namespace

__all__ = ["multiply", "philox", "random_bits", "shift_right"]

_WORD = 1 << 64
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_LOW = 0xFFFFFFFF


@op(differentiable=False, examples=[example(normal(1), seed=3, offset=0, size=11)])
def random_bits(xp: Namespace, like: Array, /, *, seed: int, offset: int, size: int) -> Array:
    """`size` words of 64 random bits, as int64, where `like` lives.

    seed: the key. offset: the block of four words to start at.
    """
    blocks = -(-size // 4)
    low = xp.arange(blocks, dtype=xp.int64, device=like.device) + (offset + 1)
    zero = xp.zeros_like(low)
    words = philox(xp, [low, zero, zero, zero], (seed, 0))
    return xp.reshape(xp.stack(words, axis=-1), (-1,))[:size]


def philox(xp: Namespace, words: Sequence[Array], keys: tuple[int, int]) -> list[Array]:
    """Four random words for each four words of a counter: Philox4x64 of ten rounds.

    The standard's integers wrap around, so everything is done in int64: a product of two words is put
    together from products of their halves, and a right shift is masked to drop the sign.
    """
    first, second, third, fourth = words
    for number in range(10):
        key0, key1 = ((key + number * step) % _WORD for key, step in zip(keys, _WEYL, strict=True))
        high0, low0 = multiply(xp, first, _MULTIPLIERS[0])
        high1, low1 = multiply(xp, third, _MULTIPLIERS[1])
        first = xp.bitwise_xor(xp.bitwise_xor(high1, second), xp.full_like(first, _signed(key0)))
        third = xp.bitwise_xor(xp.bitwise_xor(high0, fourth), xp.full_like(third, _signed(key1)))
        second, fourth = low1, low0
    return [first, second, third, fourth]


def multiply(xp: Namespace, x: Array, factor: int) -> tuple[Array, Array]:
    """The high and the low word of the 128-bit product of words and a factor of up to 2**64."""
    f_high, f_low = factor >> 32, factor & _LOW
    x_high, x_low = shift_right(xp, x, 32), _half(xp, x)
    low = x_low * f_low
    cross = x_high * f_low
    other = x_low * f_high
    # The middle words are summed by halves: their sum has a carry that 64 bits cannot hold.
    middle = shift_right(xp, low, 32) + _half(xp, cross) + _half(xp, other)
    high = x_high * f_high + shift_right(xp, cross, 32) + shift_right(xp, other, 32) + shift_right(xp, middle, 32)
    return high, xp.bitwise_left_shift(middle, xp.full_like(x, 32)) + _half(xp, low)


def _half(xp: Namespace, x: Array) -> Array:
    """The low 32 bits."""
    return xp.bitwise_and(x, xp.full_like(x, _LOW))


def shift_right(xp: Namespace, x: Array, places: int) -> Array:
    """A logical shift to the right."""
    return xp.bitwise_and(xp.bitwise_right_shift(x, xp.full_like(x, places)), xp.full_like(x, (1 << (64 - places)) - 1))


def _signed(word: int) -> int:
    """A 64-bit word as the int64 of the same bits."""
    return word - _WORD if word >= _WORD // 2 else word
