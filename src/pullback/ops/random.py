"""Random numbers from a counter: one seed gives the same bits on every backend.

The generator is Philox4x64-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3", 2011), which NumPy has too. It has no hidden state: bits are a function of the seed and
of how many were drawn before, so a run can be resumed, and split among processes, exactly.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import pi, prod
from typing import Any

from ..autodiff.checkpoint import repeatable
from ..autodiff.examples import example
from ..autodiff.examples import normal as _normal_values
from ..autodiff.op import Op, op
from ..autodiff.tensor import Tensor
from ..backends import Array, Namespace, dtype_name
from ..backends.host import host
from .creation import empty

__all__ = [
    "Generator", "default_generator", "dropout", "manual_seed", "normal", "permutation", "random_bits", "random_normal",
    "random_uniform", "uniform", "use_generator",
]  # fmt: skip

_WORD = 1 << 64
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_LOW = 0xFFFFFFFF
_DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
"""How many binary digits a value of each type holds: with more, rounding would reach 1."""


class Generator:
    """A stream of random numbers: a seed, and how many blocks of four words were drawn.

    seed: a whole number, not negative. Two generators with one seed give the same numbers.
    """

    def __init__(self, seed: int = 0) -> None:
        if not isinstance(seed, int) or not 0 <= seed < _WORD:
            raise ValueError(f"a seed is a whole number from 0 to 2**64 - 1; got {seed!r}")
        self.seed = seed
        self.offset = 0

    def advance(self, words: int) -> int:
        """Reserve so many words of the stream; returns the block at which they start."""
        return repeatable(lambda: self._reserve(words))

    def _reserve(self, words: int) -> int:
        start = self.offset
        self.offset += -(-words // 4)
        return start

    def state_dict(self) -> dict[str, int]:
        """The whole state: two numbers."""
        return {"seed": self.seed, "offset": self.offset}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where another generator stood."""
        self.seed, self.offset = state["seed"], state["offset"]

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, offset={self.offset})"


_default: ContextVar[Generator | None] = ContextVar("pullback_generator", default=None)


def default_generator() -> Generator:
    """The generator that is used where none is given: a context variable, seeded with 0 until `manual_seed`."""
    found = _default.get()
    if found is None:
        found = Generator(0)
        _default.set(found)
    return found


def manual_seed(seed: int) -> Generator:
    """Start the default generator anew from a seed.

    >>> import pullback as pb
    >>> pb.manual_seed(0)
    Generator(seed=0, offset=0)
    """
    generator = Generator(seed)
    _default.set(generator)
    return generator


@contextmanager
def use_generator(generator: Generator) -> Iterator[Generator]:
    """Make a generator the default inside a `with` block."""
    token = _default.set(generator)
    try:
        yield generator
    finally:
        _default.reset(token)


def _signed(word: int) -> int:
    """A 64-bit word as the int64 of the same bits."""
    word %= _WORD
    return word - _WORD if word >= _WORD // 2 else word


@op(differentiable=False, examples=[example(_normal_values(1), seed=3, offset=0, size=11)])
def random_bits(xp: Namespace, like: Array, /, *, seed: int, offset: int, size: int) -> Array:
    """`size` words of 64 random bits, as int64, where `like` lives.

    seed: the key. offset: the block of four words to start at.

    The standard's integers wrap around, so everything is done in int64: a product of two words is put
    together from products of their halves, and a right shift is masked to drop the sign.
    """
    blocks = -(-size // 4)
    low = xp.arange(blocks, dtype=xp.int64, device=like.device) + (offset + 1)
    zero = xp.zeros_like(low)
    words = [low, zero, zero, zero]
    keys = [seed, 0]
    for _ in range(10):
        high0, low0 = _multiply(xp, words[0], _MULTIPLIERS[0])
        high1, low1 = _multiply(xp, words[2], _MULTIPLIERS[1])
        words = [
            xp.bitwise_xor(xp.bitwise_xor(high1, words[1]), xp.full_like(zero, _signed(keys[0]))),
            low1,
            xp.bitwise_xor(xp.bitwise_xor(high0, words[3]), xp.full_like(zero, _signed(keys[1]))),
            low0,
        ]
        keys = [(key + step) % _WORD for key, step in zip(keys, _WEYL, strict=True)]
    return xp.reshape(xp.stack(words, axis=-1), (-1,))[:size]


def _multiply(xp: Namespace, x: Array, factor: int) -> tuple[Array, Array]:
    """The high and the low word of a 128-bit product."""
    f_high, f_low = factor >> 32, factor & _LOW
    x_high, x_low = _shift(xp, x, 32), _half(xp, x)
    low = x_low * f_low
    cross = x_high * f_low
    other = x_low * f_high
    # The middle words are summed by halves: their sum has a carry that 64 bits cannot hold.
    middle = _shift(xp, low, 32) + _half(xp, cross) + _half(xp, other)
    high = x_high * f_high + _shift(xp, cross, 32) + _shift(xp, other, 32) + _shift(xp, middle, 32)
    return high, xp.bitwise_left_shift(middle, xp.full_like(x, 32)) + _half(xp, low)


def _half(xp: Namespace, x: Array) -> Array:
    """The low 32 bits."""
    return xp.bitwise_and(x, xp.full_like(x, _LOW))


def _shift(xp: Namespace, x: Array, places: int) -> Array:
    """A logical shift to the right."""
    return xp.bitwise_and(xp.bitwise_right_shift(x, xp.full_like(x, places)), xp.full_like(x, (1 << (64 - places)) - 1))


@op(differentiable=False, examples=[example(_normal_values(1), seed=3, offset=1, shape=(2, 3))])
def random_uniform(xp: Namespace, like: Array, /, *, seed: int, offset: int, shape: tuple[int, ...]) -> Array:
    """Uniform values in [0, 1), in the dtype of `like`, where it lives; one word of bits each."""
    bits = random_bits(like, seed=seed, offset=offset, size=prod(shape))
    digits = _DIGITS.get(dtype_name(like.dtype), 24)
    values = xp.astype(_shift(xp, bits, 64 - digits), xp.float64) * 2.0**-digits
    return xp.reshape(xp.astype(values, like.dtype), shape)


@op(differentiable=False, examples=[example(_normal_values(1), seed=3, offset=1, shape=(3, 3))])
def random_normal(xp: Namespace, like: Array, /, *, seed: int, offset: int, shape: tuple[int, ...]) -> Array:
    """Standard normal values, in the dtype of `like`, where it lives; one word of bits each, in pairs.

    Box and Muller's transform, taken in float64.
    """
    count = prod(shape)
    pairs = -(-count // 2)
    bits = random_bits(like, seed=seed, offset=offset, size=2 * pairs)
    units = xp.astype(_shift(xp, bits, 11), xp.float64) * 2.0**-53
    radius = xp.sqrt(-2 * xp.log(1 - units[:pairs]))
    angle = 2 * pi * units[pairs:]
    values = xp.concat([radius * xp.cos(angle), radius * xp.sin(angle)])[:count]
    return xp.reshape(xp.astype(values, like.dtype), shape)


def uniform(
    shape: tuple[int, ...],
    low: float = 0.0,
    high: float = 1.0,
    *,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform values in [low, high), on the current backend; float32 unless `dtype` says otherwise."""
    return _draw(random_uniform, prod(shape), shape, dtype, device, generator) * (high - low) + low  # type: ignore[no-any-return]


def normal(
    shape: tuple[int, ...],
    mean: float = 0.0,
    std: float = 1.0,
    *,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normal values, on the current backend; float32 unless `dtype` says otherwise."""
    return _draw(random_normal, prod(shape) + 1, shape, dtype, device, generator) * std + mean  # type: ignore[no-any-return]


def _draw(
    draw: Op[..., Any], words: int, shape: Sequence[int], dtype: Any, device: Any, generator: Generator | None
) -> Tensor:
    generator = generator or default_generator()
    like = empty((), dtype=dtype, device=device)
    drawn: Tensor = draw(like, seed=generator.seed, offset=generator.advance(words), shape=tuple(shape))
    return drawn


def permutation(n: int, *, generator: Generator | None = None) -> Array:
    """The numbers 0 to n - 1 in random order, as a host array: the same for every backend."""
    generator = generator or default_generator()
    bits = random_bits(host.zeros(1), seed=generator.seed, offset=generator.advance(n), size=n)
    return host.argsort(bits, kind="stable")


def dropout(x: Array, /, *, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Array:
    """x with a share `p` of its elements set to 0 and the others scaled by 1 / (1 - p) (Srivastava et al., 2014).

    Returns x itself when not training.
    Raises ValueError when p lies outside [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout drops a share p between 0 and 1; got {p!r}")
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0.0
    generator = generator or default_generator()
    like = x.detach() if isinstance(x, Tensor) else x
    shape = tuple(x.shape)
    drawn = random_uniform(like, seed=generator.seed, offset=generator.advance(prod(shape)), shape=shape)
    return x * (_mask(drawn, p=p) / (1 - p))


@op(differentiable=False, examples=[example(_normal_values(3, 4), p=0.3)])
def _mask(xp: Namespace, drawn: Array, /, *, p: float) -> Array:
    return xp.astype(drawn >= p, drawn.dtype)
