"""Dropout: values that are set to 0 at random, and what is made of the others."""

from collections.abc import Sequence
from math import ceil, frexp, ldexp, prod

from ...autodiff.examples import boolean, example, normal
from ...autodiff.op import op
from ...autodiff.tensor import Tensor
from ...backends import Array, Namespace, raise_clearly
from ...backends.random_numbers import digits_of
from ..floating import check_floating
from ..precision import in_float32
from .bits import random_bits, shift_right
from .generator import Generator, default_generator

__all__ = ["alpha_dropout", "drop_path", "dropout"]


def dropout(
    x: Array,
    /,
    *,
    p: float = 0.5,
    training: bool = True,
    axes: Sequence[int] | int | None = None,
    generator: Generator | None = None,
) -> Array:
    """x with a share `p` of its elements set to 0 and the others scaled by 1 / (1 - p) (Srivastava et al., 2014).

    axes: the axes along which it is drawn anew; what differs along other axes only is dropped together. None for all:
        each element by itself. (0, -1) drops whole channels, 0 whole samples.
    Returns x itself when not training.
    Raises ValueError when p lies outside [0, 1], TypeError where something is to be dropped of integers, IndexError for
    axes that x does not have.

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
    axes: Sequence[int] | int | None = None,
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


def _draw_mask(x: Array, p: float, axes: Sequence[int] | int | None, generator: Generator | None) -> Array:
    """False with the probability p, in a shape that broadcasts to that of x: of length 1 along all but `axes`."""
    generator = generator or default_generator()
    ndim = len(x.shape)
    named = range(ndim) if axes is None else axes if isinstance(axes, Sequence) else (axes,)
    try:
        drawn = {range(ndim)[axis] for axis in named}
    except (IndexError, TypeError) as error:
        raise_clearly(error, "dropout", [x], {"axes": axes})
        raise
    shape = tuple(n if axis in drawn else 1 for axis, n in enumerate(x.shape))
    like = x.detach() if isinstance(x, Tensor) else x
    digits = digits_of(x.dtype)
    start = generator.advance(prod(shape))
    return _random_mask(like, seed=generator.seed, offset=start, shape=shape, least=_least(p, digits), digits=digits)


def _least(p: float, digits: int) -> int:
    """The least number n for which n / 2**digits is not below p, where p has as many digits itself."""
    mantissa, exponent = frexp(p)
    return ceil(ldexp(round(mantissa * 2.0**digits), exponent))


@op(
    differentiable=False,
    examples=[
        example(normal(1), seed=3, offset=1, shape=(4, 1, 7), least=_least(0.3, 24), digits=24),
        example(normal(1), seed=3, offset=2, shape=(9,), least=_least(0.25, 53), digits=53),
        example(normal(1), seed=3, offset=3, shape=(8,), least=1 << 24, digits=24),
    ],
)
def _random_mask(
    xp: Namespace, like: Array, /, *, seed: int, offset: int, shape: tuple[int, ...], least: int, digits: int
) -> Array:
    """Whether the first so many of each word's bits, as a number, are `least` or more; where `like` lives."""
    bits = random_bits(like, seed=seed, offset=offset, size=prod(shape))
    return xp.reshape(shift_right(xp, bits, 64 - digits) >= least, shape)


@op(
    examples=[
        example(normal(3, 4), boolean(3, 4), scale=2.0),
        example(normal(2, 3, 4), boolean(2, 1, 4), scale=0.5, shift=0.3, other=-1.0),
    ]
)
@in_float32
def _masked(
    xp: Namespace, x: Array, mask: Array, /, *, scale: float = 1.0, shift: float = 0.0, other: float = 0.0
) -> Array:
    """x * scale + shift where the mask is true, `other` elsewhere. Only the mask is kept for the gradient."""
    kept = x * scale if scale != 1 else x
    return xp.where(mask, kept + shift if shift else kept, xp.full((), other, dtype=x.dtype, device=x.device))


@_masked.vjp("x")
def _(xp: Namespace, g: Array, mask: Array, *, scale: float) -> Array:
    return _masked(g, mask, scale=scale)
