"""Random numbers of the usual distributions, the same on every backend to the bit."""

from collections.abc import Sequence
from math import prod
from operator import index
from typing import Any

from ...autodiff.examples import example
from ...autodiff.examples import normal as _normal_values
from ...autodiff.examples import values as _values
from ...autodiff.op import Op, op
from ...autodiff.tensor import Tensor
from ...backends import KINDS, Array, Namespace, dtype_name, is_half
from ...backends.host import host
from ...backends.random_numbers import LOGARITHM, ROOT_HALF, SINE, TWICE_LOG_2, digits_of
from ..creation import empty
from ..special.polynomials import polynomial
from .bits import multiply, random_bits, shift_right
from .generator import Generator, default_generator

__all__ = [
    "integers", "normal", "permutation", "random_integers", "random_normal", "random_uniform", "uniform",
]  # fmt: skip


@op(
    differentiable=False,
    examples=[
        example(_normal_values(1), seed=3, offset=1, shape=(2, 3)),
        example(_normal_values(1), seed=3, offset=2, shape=(7,), low=1.0, high=2.0),
    ],
)
def random_uniform(
    xp: Namespace,
    like: Array,
    /,
    *,
    seed: int,
    offset: int,
    shape: tuple[int, ...],
    low: float = 0.0,
    high: float = 1.0,
) -> Array:
    """Uniform values in [low, high), in the dtype of `like`, where it lives; one word of bits each.

    As many bits are taken as the dtype has digits; it is scaled in float64. What rounding brings up to `high` is `low`.
    """
    bits = random_bits(like, seed=seed, offset=offset, size=prod(shape))
    digits = digits_of(like.dtype)
    units = xp.astype(shift_right(xp, bits, 64 - digits), xp.float64) * 2.0**-digits
    values = _rounded(xp, units * (high - low) + low, like)
    return xp.reshape(xp.where(values == _number(xp, high, like), _number(xp, low, like), values), shape)


@op(
    differentiable=False,
    examples=[
        example(_normal_values(1), seed=3, offset=1, shape=(3, 3)),
        example(_normal_values(1), seed=4, offset=1, shape=(12,), mean=2.0, std=0.1),
    ],
)
def random_normal(
    xp: Namespace,
    like: Array,
    /,
    *,
    seed: int,
    offset: int,
    shape: tuple[int, ...],
    mean: float = 0.0,
    std: float = 1.0,
) -> Array:
    """Normal values, in the dtype of `like`, where it lives; one word of bits each, in pairs.

    Box and Muller's transform, taken in float64, to 4 units in the last place: a point at the distance
    sqrt(-2 log(u)) in a uniform direction.
    """
    count = prod(shape)
    pairs = -(-count // 2)
    bits = random_bits(like, seed=seed, offset=offset, size=2 * pairs)
    square = _square_of_distance(xp, bits[:pairs])
    turns, sine = _direction(xp, bits[pairs:])
    along, across = _sqrt(xp, square * (1 - sine * sine)), _sqrt(xp, square) * sine
    to_right = 1 - xp.abs(turns)  # the cosine of quarter turns from -2 to 2, and their sine
    to_top = turns + turns * to_right
    values = xp.concat([along * to_right - across * to_top, along * to_top + across * to_right])[:count]
    return xp.reshape(_rounded(xp, values * std + mean, like), shape)


def _square_of_distance(xp: Namespace, words: Array) -> Array:
    """-2 log(u), where u = 1 - k / 2**53 with the first 53 bits k of each word."""
    u = 1 - xp.astype(shift_right(xp, words, 11), xp.float64) * 2.0**-53
    exponent = xp.zeros_like(u)
    for step in (32, 16, 8, 4, 2, 1):  # u is doubled as often as it stays below sqrt(2)
        small = u < ROOT_HALF * 2.0 ** (1 - step)
        u = xp.where(small, u * 2.0**step, u)
        exponent = xp.where(small, exponent - step, exponent)
    s = (u - 1) / (u + 1)
    return s * polynomial(LOGARITHM, s * s) - exponent * TWICE_LOG_2


def _direction(xp: Namespace, words: Array) -> tuple[Array, Array]:
    """Each word as a share of a full turn: the nearest quarter turns, from -2 to 2, and the sine of what is left."""
    quarters = xp.astype(xp.bitwise_right_shift(words, xp.full_like(words, 11)), xp.float64) * 2.0**-51
    turns = xp.round(quarters)
    rest = quarters - turns
    return turns, rest * polynomial(SINE, rest * rest)


def _sqrt(xp: Namespace, x: Array) -> Array:
    """The square root as IEEE 754 rounds it: some libraries' own, such as PyTorch's, may be off by a last bit."""
    y = xp.sqrt(x)
    carried = y * (2.0**27 + 1)
    head = carried - (carried - y)  # half of its digits, so that products of halves are exact
    tail = y - head
    left = ((x - head * head) - 2 * head * tail) - tail * tail
    return y + left / xp.where(y > 0, 2 * y, xp.ones_like(y))


@op(
    differentiable=False,
    examples=[
        example(_values([0]), seed=3, offset=1, shape=(3, 5), low=-4, high=6),
        example(_values([0]), seed=3, offset=1, shape=(9,), low=-(2**63), high=2**62),
    ],
)
def random_integers(
    xp: Namespace, like: Array, /, *, seed: int, offset: int, shape: tuple[int, ...], low: int, high: int
) -> Array:
    """Whole numbers in [low, high), in the dtype of `like`, where it lives; `words_of_integers` words of bits each.

    A word, or two, as a share of 1, times the n = high - low numbers: each of them is as likely as any other, but for
    one part in 2**32 at most.
    """
    count, n = prod(shape), high - low
    each = words_of_integers(n)
    bits = random_bits(like, seed=seed, offset=offset, size=each * count)
    values, rest = multiply(xp, bits[:count], n)
    if each == 2:
        total = rest + multiply(xp, bits[count:], n)[0]
        least = xp.full_like(total, -(1 << 63))  # turns the order of signed numbers into that of words
        values = values + xp.astype(xp.bitwise_xor(total, least) < xp.bitwise_xor(rest, least), xp.int64)
    return xp.reshape(xp.astype(values + low, like.dtype), shape)


def words_of_integers(n: int) -> int:
    """How many words of bits a whole number takes, one of n: two where one would make some clearly more likely."""
    return 1 if n <= 1 << 32 else 2


def _rounded(xp: Namespace, values: Array, like: Array) -> Array:
    """Values of float64 in the dtype of `like`; in half precision by way of float32, as most libraries round."""
    return xp.astype(xp.astype(values, xp.float32) if is_half(like.dtype) else values, like.dtype)


def _number(xp: Namespace, value: float, like: Array) -> Array:
    """A number as float64 would be rounded to it."""
    return _rounded(xp, xp.full((), value, dtype=xp.float64, device=like.device), like)


def uniform(
    shape: int | Sequence[int],
    low: float = 0.0,
    high: float = 1.0,
    *,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform values in [low, high), on the current backend; float32 unless `dtype` says otherwise.

    Raises ValueError where low is above high, TypeError for a dtype that is not real floating.
    """
    shape = _lengths(shape)
    if not low <= high:
        raise ValueError(f"low is at most high; got {low} and {high}")
    _check_real("uniform", dtype)
    return _draw(random_uniform, prod(shape), shape, dtype, device, generator, low=float(low), high=float(high))


def normal(
    shape: int | Sequence[int],
    mean: float = 0.0,
    std: float = 1.0,
    *,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normal values, on the current backend; float32 unless `dtype` says otherwise.

    Raises ValueError where std is negative, TypeError for a dtype that is not real floating.
    """
    shape = _lengths(shape)
    if not std >= 0:
        raise ValueError(f"std is not negative; got {std}")
    _check_real("normal", dtype)
    return _draw(random_normal, prod(shape) + 1, shape, dtype, device, generator, mean=float(mean), std=float(std))


def integers(
    shape: int | Sequence[int],
    low: int,
    high: int,
    *,
    dtype: Any = "int64",
    device: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Whole numbers in [low, high), on the current backend, each as likely as any other.

    Raises ValueError where there is no number in between, or one that the dtype or int64 does not hold.

    >>> import pullback as pb
    >>> pb.random.integers((2, 3), 1, 7, generator=pb.Generator(4)).tolist()
    [[1, 3, 6], [1, 3, 6]]
    """
    shape = _lengths(shape)
    if not (hasattr(low, "__index__") and hasattr(high, "__index__")):
        raise ValueError(f"low and high are whole numbers; got {low!r} and {high!r}")
    low, high = index(low), index(high)
    if low >= high:
        raise ValueError(f"low is less than high; got {low} and {high}")
    like = empty((), dtype=dtype, device=device)
    info = like.namespace.iinfo(like.dtype)
    if not max(info.min, -(1 << 63)) <= low < high <= min(info.max, (1 << 63) - 1) + 1:
        raise ValueError(f"integers in [{low}, {high}) are not all of them {dtype_name(like.dtype)}, or not int64")
    words = prod(shape) * words_of_integers(high - low)
    return _draw(random_integers, words, shape, dtype, device, generator, low=low, high=high)


def _lengths(shape: int | Sequence[int]) -> tuple[int, ...]:
    """A shape, which may be one number. Raises ValueError for lengths that are not whole, or negative."""
    lengths = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if not all(hasattr(n, "__index__") and index(n) >= 0 for n in lengths):
        raise ValueError(f"a shape is made of whole numbers, none of them negative; got {shape!r}")
    return tuple(map(index, lengths))


def _check_real(name: str, dtype: Any) -> None:
    if dtype is not None and dtype_name(dtype) not in KINDS["real floating"]:
        raise TypeError(
            f"{name} values are of a real floating dtype; got {dtype_name(dtype)}. Draw whole numbers with "
            "pb.random.integers, or cast: .astype(...)"
        )


def _draw(
    draw: Op[..., Any],
    words: int,
    shape: Sequence[int],
    dtype: Any,
    device: Any,
    generator: Generator | None,
    **options: float,
) -> Tensor:
    generator = generator or default_generator()
    like = empty((), dtype=dtype, device=device)
    start = generator.advance(words)
    drawn: Tensor = draw(like, seed=generator.seed, offset=start, shape=tuple(shape), **options)
    return drawn


def permutation(n: int, *, generator: Generator | None = None) -> Array:
    """The numbers 0 to n - 1 in random order, as a host array: the same for every backend."""
    generator = generator or default_generator()
    bits = random_bits(host.zeros(1), seed=generator.seed, offset=generator.advance(n), size=n)
    return host.argsort(bits, kind="stable")
