"""Initializers: they fill a Tensor in place and return it, with PyTorch's names and arguments.

Random values come from `generator`, by default the default one (`pb.manual_seed`): the same bits on
every backend and every machine. `orthogonal_` and `trunc_normal_` are computed on the host, by what is installed there:
the same on every backend, and on another machine to the last digits. Channels are last: the first axis of a weight
counts its outputs, the last its inputs, and the axes between them are the receptive field.
"""

from collections.abc import Callable
from math import ceil, erf, prod, sqrt
from typing import Any, Literal, TypeAlias

from ..autodiff.tensor import Tensor
from ..backends import Array, array_beside
from ..backends.host import host
from ..ops.creation import full_like
from ..ops.random import Generator, default_generator, random_bits, random_normal, random_uniform
from ..ops.special import erfinv

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
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
    return _write(tensor, _draw(random_uniform, tensor, tensor.size, generator, low=float(a), high=float(b)))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal values."""
    drawn = _draw(random_normal, tensor, tensor.size + 1, generator, mean=float(mean), std=float(std))
    return _write(tensor, drawn)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normal values of which none lies outside [a, b].

    a, b: the bounds themselves, not how many standard deviations away they are.
    Raises ValueError unless std is positive, a below b, and one of them within 7 standard deviations of the mean.

    Uniform values through the inverse of the distribution, in double precision on the host.

    >>> import pullback as pb
    >>> weight = trunc_normal_(pb.empty((3, 4)), std=0.02, a=-0.03, b=0.03, generator=pb.random.Generator(0))
    >>> bool(pb.max(pb.abs(weight)) <= 0.03)
    True
    """
    if not (std > 0 and a < b and a - 7 * std <= mean <= b + 7 * std):
        raise ValueError(
            f"trunc_normal_ needs a positive std, a below b, and a mean of at most 7 * std outside of them; "
            f"got mean={mean}, std={std}, a={a}, b={b}"
        )
    low, high = (erf((bound - mean) / (std * sqrt(2))) for bound in (a, b))
    drawn = _draw(random_uniform, Tensor(host.zeros(tensor.shape)), tensor.size, generator).array
    values = mean + std * sqrt(2) * erfinv(low + (high - low) * drawn)
    return _write_from_host(tensor, host.clip(values, a, b))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One number everywhere."""
    return _write(tensor, full_like(tensor.detach(), fill_value=val))


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """Ones on the diagonal, zeros elsewhere: a `Linear` that keeps as many inputs as it can.

    tensor: two axes. Raises ValueError for another number.
    """
    _check_axes("eye_", tensor, (2,))
    outputs, inputs = tensor.shape
    return _write_from_host(tensor, host.eye(outputs, inputs))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Ones in the middle of the kernel, from each input channel to one output: a convolution that keeps its input.

    tensor: (out, *kernel, in / groups), with one to three axes of the kernel. It keeps as many channels as it can, in
        each of the groups.
    Raises ValueError for another number of axes, and for outputs that the groups do not divide.

    >>> import pullback as pb
    >>> dirac_(pb.empty((2, 3, 2))).tolist()
    [[[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0], [0.0, 0.0]]]
    """
    _check_axes("dirac_", tensor, (3, 4, 5))
    outputs, *kernel, inputs = tensor.shape
    if groups < 1 or outputs % groups:
        raise ValueError(f"groups divide the {outputs} outputs, the first axis; got groups={groups}")
    values, middle = host.zeros(tensor.shape), tuple(length // 2 for length in kernel)
    for first in range(0, outputs, outputs // groups or 1):
        for channel in range(min(outputs // groups, inputs)):
            values[(first + channel, *middle, channel)] = 1
    return _write_from_host(tensor, values)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal values, and zeros in a share of each column's places (Martens, 2010).

    tensor: two axes. sparsity: the share of the zeros, rounded up to whole places.
    Raises ValueError for another number of axes, and for a share outside [0, 1].
    """
    _check_axes("sparse_", tensor, (2,))
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is a share between 0 and 1; got {sparsity!r}")
    generator = generator or default_generator()
    like = host.zeros(tensor.shape)
    values = _draw(random_normal, Tensor(like), tensor.size + 1, generator).array * std
    bits = random_bits(like, seed=generator.seed, offset=generator.advance(tensor.size), size=tensor.size)
    order = host.argsort(host.reshape(bits, tensor.shape), axis=0, kind="stable")
    host.put_along_axis(values, order[: ceil(sparsity * tensor.shape[0])], 0.0, axis=0)
    return _write_from_host(tensor, values)


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
    return _write_from_host(tensor, host.reshape(q.T if rows < columns else q, tensor.shape))


def _draw(
    distribution: Callable[..., Array], tensor: Tensor, words: int, generator: Generator | None, **options: float
) -> Tensor:
    """Random values of the tensor's shape, in its dtype and place."""
    generator = generator or default_generator()
    start, shape = generator.advance(words), tuple(tensor.shape)
    drawn: Tensor = distribution(tensor.detach(), seed=generator.seed, offset=start, shape=shape, **options)
    return drawn


def _write(tensor: Tensor, values: Any) -> Tensor:
    """Give the tensor its values; a variable stays one."""
    tensor.array = values.array
    return tensor


def _write_from_host(tensor: Tensor, values: Any) -> Tensor:
    """Give the tensor values that were made on the host, in its own data type and place."""
    return _write(tensor, Tensor(array_beside(tensor.array, values)).astype(tensor.dtype))


def _check_axes(name: str, tensor: Tensor, known: tuple[int, ...]) -> None:
    if len(tensor.shape) not in known:
        counts = " or ".join(map(str, known))
        raise ValueError(f"{name} fills a weight of {counts} axes; got shape {tuple(tensor.shape)}")


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
