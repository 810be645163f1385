"""Random numbers from a counter: one seed gives the same bits on every backend.

The generator is Philox4x64-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3", 2011), which NumPy has too. It has no hidden state: bits are a function of the seed and
of how many were drawn before, so a run can be resumed, and split among processes, exactly.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import ceil, frexp, ldexp, pi, prod
from typing import Any

from ..autodiff.checkpoint import repeatable
from ..autodiff.examples import boolean, example
from ..autodiff.examples import normal as _normal_values
from ..autodiff.examples import values as _integer_values
from ..autodiff.op import Op, op
from ..autodiff.tensor import Tensor
from ..backends import Array, Namespace, dtype_name
from ..backends.host import host
from .creation import empty
from .floating import check_floating

__all__ = [
    "Generator", "alpha_dropout", "default_generator", "drop_path", "dropout", "manual_seed", "normal", "permutation",
    "random_bits", "random_normal", "random_uniform", "uniform", "use_generator",
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


def dropout(
    x: Array,
    /,
    *,
    p: float = 0.5,
    training: bool = True,
    axes: Sequence[int] | None = None,
    generator: Generator | None = None,
) -> Array:
    """x with a share `p` of its elements set to 0 and the others scaled by 1 / (1 - p) (Srivastava et al., 2014).

    axes: the axes along which it is drawn anew; what differs along other axes only is dropped together. None for all:
        each element by itself. (0, -1) drops whole channels, (0,) whole samples.
    Returns x itself when not training.
    Raises ValueError when p lies outside [0, 1], TypeError where something is to be dropped of integers.

    >>> import pullback as pb
    >>> dropout(pb.ones((2, 3)), p=0.5, axes=(0,), generator=pb.Generator(1)).tolist()
    [[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]]
    """
    _check_share(p)
    if not training or p == 0:
        return x
    check_floating("dropout", x)
    if p == 1:
        return x * 0.0
    return _masked(x, _draw_mask(x, p, axes, generator), scale=1 / (1 - p))


def alpha_dropout(
    x: Array,
    /,
    *,
    p: float = 0.5,
    training: bool = True,
    axes: Sequence[int] | None = None,
    generator: Generator | None = None,
) -> Array:
    """Dropout that keeps mean and variance of what SELU gives (Klambauer et al., 2017).

    A share `p` of the elements is set to the value that SELU saturates at; then all are scaled and shifted. Other
    arguments, and what is returned and raised, as for `dropout`.
    """
    _check_share(p)
    if not training or p == 0:
        return x
    check_floating("alpha_dropout", x)
    if p == 1:
        return x * 0.0
    scale = ((1 - p) * (1 + p * _SATURATION**2)) ** -0.5
    shift = -scale * p * _SATURATION
    kept = _draw_mask(x, p, axes, generator)
    return _masked(x, kept, scale=scale, shift=shift, other=scale * _SATURATION + shift)


def drop_path(
    x: Array,
    /,
    *,
    drop_prob: float = 0.0,
    training: bool = True,
    scale_by_keep: bool = True,
    generator: Generator | None = None,
) -> Array:
    """x with whole samples set to 0: a residual branch that is skipped at random (Huang et al., 2016).

    x: (N, ...). drop_prob: the share of the samples. scale_by_keep: the others grow by 1 / (1 - drop_prob).
    Returns x itself when not training.
    Raises ValueError when drop_prob lies outside [0, 1].
    """
    if scale_by_keep or drop_prob in (0, 1) or not training:
        return dropout(x, p=drop_prob, training=training, axes=(0,), generator=generator)
    _check_share(drop_prob)
    check_floating("drop_path", x)
    return _masked(x, _draw_mask(x, drop_prob, (0,), generator))


_SATURATION = -1.7580993408473766
"""What SELU gives for very negative values: minus its scale times its alpha."""


def _check_share(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout drops a share p between 0 and 1; got {p!r}")


def _draw_mask(x: Array, p: float, axes: Sequence[int] | None, generator: Generator | None) -> Array:
    """False with the probability p, in a shape that broadcasts to that of x: of length 1 along all but `axes`."""
    generator = generator or default_generator()
    ndim = len(x.shape)
    drawn = range(ndim) if axes is None else {axis % ndim for axis in axes}
    shape = tuple(n if axis in drawn else 1 for axis, n in enumerate(x.shape))
    like = x.detach() if isinstance(x, Tensor) else x
    words = prod(shape)
    bits = random_bits(like, seed=generator.seed, offset=generator.advance(words), size=words)
    digits = _DIGITS.get(dtype_name(x.dtype), 24)
    return _mask(bits, shape=shape, least=_least(p, digits), digits=digits)


def _least(p: float, digits: int) -> int:
    """The least number n for which n / 2**digits is not below p, where p has as many digits itself."""
    mantissa, exponent = frexp(p)
    return ceil(ldexp(round(mantissa * 2.0**digits), exponent))


_BITS = _integer_values([-(2**62), 12345, 2**61, -1, 2**63 - 1, 2**62, 0, 2**40])


@op(
    differentiable=False,
    examples=[
        example(_BITS, shape=(4, 1, 2), least=_least(0.3, 24), digits=24),
        example(_BITS, shape=(8,), least=_least(0.25, 53), digits=53),
        example(_BITS, shape=(8,), least=1 << 24, digits=24),
    ],
)
def _mask(xp: Namespace, bits: Array, /, *, shape: tuple[int, ...], least: int, digits: int) -> Array:
    """Whether the first so many of each word's bits, as a number, are `least` or more."""
    return xp.reshape(_shift(xp, bits, 64 - digits) >= least, shape)


@op(
    examples=[
        example(_normal_values(3, 4), boolean(3, 4), scale=2.0),
        example(_normal_values(2, 3, 4), boolean(2, 1, 4), scale=0.5, shift=0.3, other=-1.0),
    ]
)
def _masked(
    xp: Namespace, x: Array, mask: Array, /, *, scale: float = 1.0, shift: float = 0.0, other: float = 0.0
) -> Array:
    """x * scale + shift where the mask is true, `other` elsewhere. Only the mask is kept for the gradient."""
    kept = x * scale if scale != 1 else x
    return xp.where(mask, kept + shift if shift else kept, xp.full((), other, dtype=x.dtype, device=x.device))


@_masked.vjp("x")
def _(xp: Namespace, g: Array, mask: Array, *, scale: float) -> Array:
    return _masked(g, mask, scale=scale)
