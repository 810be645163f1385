"""Initializers: they fill a Tensor in place and return it, with PyTorch's names and arguments.

Random values come from `generator`, by default the default one (`pb.manual_seed`): the same bits on
every backend. Channels are last: the first axis of a weight counts its outputs, the last its inputs,
and the axes between them are the receptive field.
"""

from collections.abc import Callable
from math import prod, sqrt
from typing import Any, Literal, TypeAlias

from ..autodiff.tensor import Tensor
from ..backends import Array, backend_of
from ..backends.host import host
from ..ops.creation import full_like
from ..ops.random import Generator, default_generator, random_normal, random_uniform

__all__ = [
    "calculate_gain", "constant_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_", "orthogonal_",
    "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip

Mode: TypeAlias = Literal["fan_in", "fan_out"]

_GAINS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "sigmoid"), 1.0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
    "tanh": 5 / 3,
    "relu": sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights are scaled so that the activation behind them keeps the signal's variance.

    nonlinearity: `"linear"`, `"sigmoid"`, `"tanh"`, `"relu"`, `"leaky_relu"`, `"selu"`, or the name of a
        convolution. param: the negative slope of `"leaky_relu"`, by default 0.01.
    Raises ValueError for a name there is not.

    >>> calculate_gain("leaky_relu", 0.2)
    1.3867504905630728
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return sqrt(2 / (1 + slope * slope))
    if nonlinearity not in _GAINS:
        raise ValueError(f"there is no gain for {nonlinearity!r}; choose one of {', '.join(_GAINS)}, leaky_relu")
    return _GAINS[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform values in [a, b).

    >>> import pullback as pb
    >>> weight = uniform_(pb.empty((3, 4)), -1.0, 1.0, generator=pb.random.Generator(0))
    >>> bool(pb.max(pb.abs(weight)) <= 1)
    True
    """
    return _write(tensor, _draw(random_uniform, tensor, tensor.size, generator) * (b - a) + a)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal values."""
    return _write(tensor, _draw(random_normal, tensor, tensor.size + 1, generator) * std + mean)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One number everywhere."""
    return _write(tensor, full_like(tensor.detach(), fill_value=val))


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform values of variance gain**2 * 2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    tensor: at least two axes. Raises ValueError when it has fewer.
    """
    bound = sqrt(3) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal values of variance gain**2 * 2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    tensor: at least two axes. Raises ValueError when it has fewer.
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform values of variance gain**2 / fan (He, Zhang, Ren and Sun, 2015).

    tensor: at least two axes. a: the negative slope of the `"leaky_relu"` that follows.
    mode: `"fan_in"` keeps the variance forward, `"fan_out"` backward.
    Raises ValueError when the tensor has fewer axes, and for a mode or nonlinearity there is not.
    """
    bound = sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal values of variance gain**2 / fan; arguments and what is raised as for `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """`gain` times a random matrix whose rows, or columns where there are fewer, are orthonormal.

    tensor: at least two axes; all but the first count as columns. Raises ValueError when it has fewer.

    The orthogonal factor of a normal matrix, with its signs fixed so that the distribution is uniform
    (Saxe, McClelland and Ganguli, 2014). It is found on the host in double precision, so that every
    backend gets the same.
    """
    _fans(tensor)
    rows, columns = tensor.shape[0], prod(tensor.shape[1:])
    tall = host.zeros((max(rows, columns), min(rows, columns)))
    q, r = host.linalg.qr(_draw(random_normal, Tensor(tall), tall.size + 1, generator).array)
    q = gain * q * host.where(host.diagonal(r) < 0, -1.0, 1.0)
    values = host.reshape(q.T if rows < columns else q, tensor.shape)
    owner, like = backend_of(tensor.array), tensor.array
    there = owner.from_host(values, device=owner.device_of(like))
    return _write(tensor, Tensor(owner.namespace.astype(there, like.dtype)))


def _draw(distribution: Callable[..., Array], tensor: Tensor, words: int, generator: Generator | None) -> Tensor:
    """Random values of the tensor's shape, in its dtype and place."""
    generator = generator or default_generator()
    start = generator.advance(words)
    drawn: Tensor = distribution(tensor.detach(), seed=generator.seed, offset=start, shape=tuple(tensor.shape))
    return drawn


def _write(tensor: Tensor, values: Any) -> Tensor:
    """Give the tensor its values; a variable stays one."""
    tensor.array = values.array
    return tensor


def _fans(tensor: Tensor) -> tuple[int, int]:
    """How many numbers each output is computed from, and how many each input goes into."""
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(f"this initializer needs a weight with at least two axes; got shape {tuple(shape)}")
    return prod(shape[1:]), prod(shape[:-1])


def _xavier_std(tensor: Tensor, gain: float) -> float:
    return gain * sqrt(2 / (sum(_fans(tensor)) or 1))


def _kaiming_std(tensor: Tensor, a: float, mode: Mode, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out'; got {mode!r}")
    fan = _fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / sqrt(fan or 1)
