"""Activations that draw: rrelu its slopes, gumbel_softmax its classes."""

from math import prod
from typing import Any

from ...autodiff.tensor import Tensor
from ...backends import Array
from ..data_types import astype
from ..elementwise import log, maximum
from ..floating import check_floating
from ..indexing import one_hot
from ..manipulation import moveaxis
from ..random import Generator, default_generator, random_uniform
from ..searching import argmax
from .normalized import softmax
from .rectifiers import leaky_relu, prelu

__all__ = ["gumbel_softmax", "rrelu"]


def rrelu(
    x: Array,
    /,
    *,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    generator: Generator | None = None,
) -> Array:
    """x where it is positive, else x times a slope: random while training, the mean of both bounds else.

    Slopes are uniform in [lower, upper), one for each element (Xu, Wang, Chen and Li, 2015).
    Raises ValueError when lower is above upper.
    """
    if not lower <= upper:
        raise ValueError(f"slopes are drawn between lower and upper; got lower={lower!r}, upper={upper!r}")
    check_floating("rrelu", x)
    if not training:
        return leaky_relu(x, negative_slope=(lower + upper) / 2)
    return prelu(x, _drawn(x, generator) * float(upper - lower) + float(lower))


def gumbel_softmax(
    logits: Array,
    /,
    *,
    tau: float = 1.0,
    hard: bool = False,
    axis: int = -1,
    generator: Generator | None = None,
) -> Array:
    """Classes drawn with the probabilities softmax(logits), softened so that gradients pass (Jang, Gu and Poole, 2017).

    logits: at least one axis, the classes along `axis`. tau: the temperature; the nearer to 0, the nearer to one class.
    hard: give exactly one class, 1 and the others 0, with the gradient of the soft ones.
    Returns the shape and dtype of `logits`, with a sum of 1 along the axis.
    Raises ValueError when tau is not positive.

    >>> import pullback as pb
    >>> gumbel_softmax(pb.log(pb.tensor([0.01, 0.98, 0.01])), hard=True, generator=pb.Generator(0))
    Tensor([0., 1., 0.], dtype=float32)
    """
    check_floating("gumbel_softmax", logits)
    if not tau > 0:
        raise ValueError(f"tau, the temperature, is positive; got {tau!r}")
    uniform = _drawn(logits, generator, dtype="float64")  # so that the noise has all of its range
    noise = astype(-log(-log(maximum(uniform, 2.0**-54))), logits.dtype)
    soft = softmax((logits + noise) / float(tau), axis=axis)
    if not hard:
        return soft
    chosen = one_hot(argmax(soft, axis=axis), classes=logits.shape[axis])
    one = astype(moveaxis(chosen, -1, axis), logits.dtype)
    return one + (soft - soft.detach()) if isinstance(soft, Tensor) else one


def _drawn(x: Array, generator: Generator | None, dtype: Any = None) -> Any:
    """Uniform values in [0, 1), as many as x has and in its place; in its dtype, or another."""
    generator = generator or default_generator()
    like, shape = x.detach() if isinstance(x, Tensor) else x, tuple(x.shape)
    like = like if dtype is None else astype(like, dtype)
    return random_uniform(like, seed=generator.seed, offset=generator.advance(prod(shape)), shape=shape)
