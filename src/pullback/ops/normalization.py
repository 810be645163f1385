"""Normalization: values brought to mean 0 and variance 1, or to length 1, over some axes. Channels are last.

Variances are means of squared deviations, never differences of large numbers, and of float16 they are taken in
float32. The vjps compute the statistics again from the input, so that nothing else is kept for them.
"""

from collections.abc import Sequence
from math import prod

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace
from .floating import check_floating
from .linalg import vector_norm
from .manipulation import broadcast_shapes
from .precision import in_float32, wide
from .sizes import whole

__all__ = [
    "batch_norm", "group_norm", "instance_norm", "instance_statistics", "layer_norm", "local_response_norm",
    "normalize", "rms_norm", "running_statistics", "standardize",
]  # fmt: skip


def _standardized(xp: Namespace, x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """x less its mean, over the root of its variance; and the reciprocal of that root."""
    centred = x - xp.mean(x, axis=axes, keepdims=True)
    scale = 1 / xp.sqrt(xp.mean(xp.square(centred), axis=axes, keepdims=True) + eps)
    return centred * scale, scale


def _through(xp: Namespace, g: Array, unit: Array, scale: Array, axes: tuple[int, ...]) -> Array:
    """The gradient of what was standardized, given that of the result: less its parts along 1 and along the result."""
    mean, slope = (xp.mean(a, axis=axes, keepdims=True) for a in (g, g * unit))
    return scale * (g - mean - unit * slope)


def _affine(x: Array, weight: Array | None, bias: Array | None) -> Array:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _weighted(g: Array, weight: Array | None) -> Array:
    return g if weight is None else g * weight


def _last_axes(name: str, x: Array, normalized_shape: int | tuple[int, ...]) -> tuple[int, ...]:
    shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    if not shape or tuple(x.shape[-len(shape) :]) != shape:
        raise ValueError(f"{name} takes (..., {', '.join(map(str, shape))}); got shape {tuple(x.shape)}")
    return tuple(range(-len(shape), 0))


def _check(name: str, x: Array, axes: tuple[int, ...], weight: Array | None, bias: Array | None = None) -> None:
    """Raise TypeError where x is not floating, ValueError where weight or bias have not the lengths of its axes."""
    check_floating(name, x)
    shape = tuple(x.shape[axis] for axis in axes)
    for factor, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given.shape) != shape:
            raise ValueError(
                f"{name} of an array of shape {tuple(x.shape)} takes a {factor} of shape {shape}; "
                f"got {tuple(given.shape)}"
            )


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 4), normal(4), normal(4), normalized_shape=4),
        example(normal(2, 3, 4), normal(3, 4), normalized_shape=(3, 4), eps=0.1),
        example(normal(2, 3, 4), None, normal(4), normalized_shape=(4,)),
        example(normal(5, 7), normalized_shape=(7,)),
    ]
)
@in_float32
def layer_norm(
    xp: Namespace,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    /,
    *,
    normalized_shape: int | tuple[int, ...],
    eps: float = 1e-5,
) -> Array:
    """Each sample brought to mean 0 and variance 1 over the last axes, times weight, plus bias (Ba et al., 2016).

    x: (..., *normalized_shape), floating. weight, bias: of shape `normalized_shape`, or None.
    eps: added to the variance.
    Raises TypeError where x is not floating, ValueError where the last axes of x, or weights, are not of those lengths.

    >>> import pullback as pb
    >>> layer_norm(pb.tensor([[1.0, 3.0]]), normalized_shape=2, eps=0.0)
    Tensor([[-1.,  1.]], dtype=float32)
    """
    axes = _last_axes("layer_norm", x, normalized_shape)
    _check("layer_norm", x, axes, weight, bias)
    return _affine(_standardized(xp, x, axes, eps)[0], weight, bias)


@layer_norm.vjp("x", "weight", "bias")
@in_float32
def _(
    xp: Namespace, g: Array, x: Array, weight: Array | None, *, normalized_shape: int | tuple[int, ...], eps: float
) -> tuple[Array, Array, Array]:
    axes = _last_axes("layer_norm", x, normalized_shape)
    unit, scale = _standardized(xp, x, axes, eps)
    return _through(xp, _weighted(g, weight), unit, scale, axes), g * unit, g


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 4), normal(4), normalized_shape=4),
        example(normal(2, 3, 4), normal(3, 4), normalized_shape=(3, 4), eps=0.1),
        example(normal(3, 4), normalized_shape=(4,)),
    ]
)
@in_float32
def rms_norm(
    xp: Namespace,
    x: Array,
    weight: Array | None = None,
    /,
    *,
    normalized_shape: int | tuple[int, ...],
    eps: float | None = None,
) -> Array:
    """Each sample over its root mean square along the last axes, times weight (Zhang and Sennrich, 2019).

    x: (..., *normalized_shape), floating. weight: of shape `normalized_shape`, or None.
    eps: added to the mean square; None for the dtype's own, by which 1 and the next number differ; for float16 that of
        float32, in which the mean is taken.
    Raises TypeError where x is not floating, ValueError where the last axes of x, or weights, are not of those lengths.

    >>> import pullback as pb
    >>> rms_norm(pb.tensor([[1.0, -1.0], [2.0, 0.0]]), normalized_shape=2)
    Tensor([[ 1.       , -1.       ],
           [ 1.4142135,  0.       ]], dtype=float32)
    """
    axes = _last_axes("rms_norm", x, normalized_shape)
    _check("rms_norm", x, axes, weight)
    return _affine(x * _reciprocal_size(xp, x, axes, eps), weight, None)


@rms_norm.vjp("x", "weight")
@in_float32
def _(
    xp: Namespace,
    g: Array,
    x: Array,
    weight: Array | None,
    *,
    normalized_shape: int | tuple[int, ...],
    eps: float | None,
) -> tuple[Array, Array]:
    axes = _last_axes("rms_norm", x, normalized_shape)
    scale = _reciprocal_size(xp, x, axes, eps)
    unit, gw = x * scale, _weighted(g, weight)
    return scale * (gw - unit * xp.mean(gw * unit, axis=axes, keepdims=True)), g * unit


def _reciprocal_size(xp: Namespace, x: Array, axes: tuple[int, ...], eps: float | None) -> Array:
    least = float(xp.finfo(x.dtype).eps) if eps is None else eps
    return 1 / xp.sqrt(xp.mean(xp.square(x), axis=axes, keepdims=True) + least)


@op(
    examples=[
        example(normal(5, 3), uniform(3, low=0.5, high=1.5), normal(3)),
        example(normal(2, 3, 4, 2), None, normal(2), eps=0.1),
        example(normal(2, 5, 3)),
        example(normal(4, 4, 2), normal(2)),
    ]
)
@in_float32
def batch_norm(
    xp: Namespace, x: Array, weight: Array | None = None, bias: Array | None = None, /, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Each channel brought to mean 0 and variance 1 over the batch, times weight, plus bias (Ioffe and Szegedy, 2015).

    x: (N, ..., C), floating. weight, bias: (C,), or None. eps: added to the variance.
    Returns the result, of x's shape; the means and the variances of the channels, (C,). The variance is that of the
    batch itself, not corrected; both are float32 for float16. `standardize` is the same with given statistics.
    Raises TypeError where x is not floating, ValueError where weight or bias have another shape.

    >>> import pullback as pb
    >>> y, mean, var = batch_norm(pb.tensor([[1.0], [3.0]]), eps=0.0)
    >>> y.tolist(), mean.tolist(), var.tolist()
    ([[-1.0], [1.0]], [2.0], [1.0])
    """
    if len(x.shape) < 2:
        raise ValueError(f"batch_norm takes (N, ..., C); got shape {tuple(x.shape)}")
    _check("batch_norm", x, (-1,), weight, bias)
    axes = tuple(range(len(x.shape) - 1))
    mean = xp.mean(x, axis=axes)
    centred = x - mean
    var = xp.mean(xp.square(centred), axis=axes)
    return _affine(centred / xp.sqrt(var + eps), weight, bias), mean, var


@batch_norm.vjp("x", "weight", "bias", zeros=False)
@in_float32
def _(
    xp: Namespace, g: tuple[Array | None, ...], x: Array, weight: Array | None, *, eps: float
) -> tuple[Array, Array, Array]:
    of_mean, of_var = g[1:]
    gy = xp.zeros_like(x) if g[0] is None else g[0]
    axes, count = tuple(range(len(x.shape) - 1)), prod(x.shape[:-1])
    unit, scale = _standardized(xp, x, axes, eps)
    gx = _through(xp, _weighted(gy, weight), unit, scale, axes)
    if of_mean is not None:
        gx = gx + of_mean / count
    if of_var is not None:
        gx = gx + 2 * of_var * (unit / scale) / count
    return gx, gy * unit, gy


@op(
    examples=[
        example(normal(5, 3), normal(3), uniform(3, low=0.5), normal(3), normal(3)),
        example(normal(2, 4, 3), normal(2, 1, 3), uniform(2, 1, 3, low=0.5), None, normal(3), eps=0.1),
        example(normal(5, 3), normal(3), uniform(3, low=0.5)),
    ]
)
@in_float32
def standardize(
    xp: Namespace,
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    /,
    *,
    eps: float = 1e-5,
) -> Array:
    """x less a given mean, over the root of a given variance, times weight, plus bias; all broadcast to x.

    eps: added to the variance. Raises TypeError where x is not floating, ValueError for what is not broadcast to it.

    >>> import pullback as pb
    >>> standardize(pb.tensor([[1.0], [5.0]]), pb.tensor([1.0]), pb.tensor([4.0]), eps=0.0).tolist()
    [[0.0], [2.0]]
    """
    check_floating("standardize", x)
    shapes = [tuple(a.shape) for a in (x, mean, var, weight, bias) if a is not None]
    if broadcast_shapes(*shapes) != shapes[0]:
        raise ValueError(f"standardize broadcasts all else to x, of shape {shapes[0]}; got {shapes[1:]}")
    return _affine((x - mean) / xp.sqrt(var + eps), weight, bias)


@standardize.vjp("x")
@in_float32
def _(xp: Namespace, g: Array, var: Array, weight: Array | None, *, eps: float) -> Array:
    return _weighted(g, weight) / xp.sqrt(var + eps)


@standardize.vjp("mean")
@in_float32
def _(xp: Namespace, g: Array, var: Array, weight: Array | None, *, eps: float) -> Array:
    return -_weighted(g, weight) / xp.sqrt(var + eps)


@standardize.vjp("var")
@in_float32
def _(xp: Namespace, g: Array, x: Array, mean: Array, var: Array, weight: Array | None, *, eps: float) -> Array:
    return -0.5 * _weighted(g, weight) * (x - mean) / ((var + eps) * xp.sqrt(var + eps))


@standardize.vjp("weight")
@in_float32
def _(xp: Namespace, g: Array, x: Array, mean: Array, var: Array, *, eps: float) -> Array:
    return g * (x - mean) / xp.sqrt(var + eps)


standardize.vjp("bias")(in_float32(lambda xp, g: g))


@op(
    differentiable=False,
    examples=[
        example(normal(3), uniform(3), uniform(1), normal(3), uniform(3), size=5),
        example(normal(3), uniform(3), uniform(1), normal(3), uniform(3), size=5, momentum=None),
    ],
)
def running_statistics(
    xp: Namespace,
    mean: Array,
    var: Array,
    count: Array,
    batch_mean: Array,
    batch_var: Array,
    /,
    *,
    size: int,
    momentum: float | None = 0.1,
) -> tuple[Array, Array, Array]:
    """Running means and variances, and the number of batches they are of, with those of one more batch.

    batch_var: not corrected; size: how many values it is of, by which it is corrected here.
    momentum: the share of the new batch in the averages; None averages over all batches alike.
    Each keeps its dtype, whatever that of the batch is.
    """
    count = count + 1
    share = momentum if momentum is not None else 1 / xp.astype(count, batch_mean.dtype)
    unbiased = batch_var * (size / max(size - 1, 1))
    renewed = mean + share * (batch_mean - mean), var + share * (unbiased - var)
    return xp.astype(renewed[0], mean.dtype), xp.astype(renewed[1], var.dtype), count


@op(differentiable=False, examples=[example(normal(2, 3, 4)), example(normal(3, 2, 2, 2))])
def instance_statistics(xp: Namespace, x: Array, /) -> tuple[Array, Array]:
    """The means and the variances, not corrected, of the channels of each sample, averaged over the samples.

    x: (N, ..., C), floating. Returns two arrays (C,), float32 for float16.
    """
    x, axes = wide(xp, x), tuple(range(1, len(x.shape) - 1))
    deviations = x - xp.mean(x, axis=axes, keepdims=True)
    return xp.mean(x, axis=(0, *axes)), xp.mean(xp.square(deviations), axis=(0, *axes))


@autocasts_to("float32")
@op(
    examples=[
        example(normal(2, 3, 4), normal(4), normal(4), num_groups=2),
        example(normal(2, 3, 2, 6), None, normal(6), num_groups=3, eps=0.1),
        example(normal(3, 4), normal(4), num_groups=2),
        example(normal(2, 4, 3), num_groups=3),
        example(normal(2, 4, 3), num_groups=1),
    ]
)
@in_float32
def group_norm(
    xp: Namespace,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    /,
    *,
    num_groups: int,
    eps: float = 1e-5,
) -> Array:
    """Groups of channels brought to mean 0 and variance 1 in each sample, times weight, plus bias (Wu and He, 2018).

    x: (N, ..., C), floating. weight, bias: (C,), or None. num_groups: into how many equal groups C is parted.
    Raises TypeError where x is not floating, ValueError where they would not be equal or weights have another shape.

    >>> import pullback as pb
    >>> group_norm(pb.tensor([[1.0, 3.0, 5.0, 9.0]]), num_groups=2, eps=0.0).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    grouped = _grouped(xp, x, num_groups)
    _check("group_norm", x, (-1,), weight, bias)
    unit = _standardized(xp, grouped, (1, 3), eps)[0]
    return _affine(xp.reshape(unit, x.shape), weight, bias)


@group_norm.vjp("x", "weight", "bias")
@in_float32
def _(
    xp: Namespace, g: Array, x: Array, weight: Array | None, *, num_groups: int, eps: float
) -> tuple[Array, Array, Array]:
    unit, scale = _standardized(xp, _grouped(xp, x, num_groups), (1, 3), eps)
    gx = _through(xp, _grouped(xp, _weighted(g, weight), num_groups), unit, scale, (1, 3))
    return xp.reshape(gx, x.shape), g * xp.reshape(unit, x.shape), g


def _grouped(xp: Namespace, x: Array, num_groups: int) -> Array:
    """(N, positions, groups, channels of a group)"""
    if len(x.shape) < 2 or num_groups < 1 or x.shape[-1] % num_groups:
        raise ValueError(f"group_norm takes (N, ..., C) where {num_groups} groups divide C; got shape {tuple(x.shape)}")
    return xp.reshape(x, (x.shape[0], prod(x.shape[1:-1]), num_groups, x.shape[-1] // num_groups))


@op(examples=[example(normal(2, 3, 4), normal(4), normal(4)), example(normal(2, 3, 2, 2), eps=0.1)])
def instance_norm(
    xp: Namespace, x: Array, weight: Array | None = None, bias: Array | None = None, /, *, eps: float = 1e-5
) -> Array:
    """Each channel of each sample brought to mean 0 and variance 1, times weight, plus bias (Ulyanov et al., 2016).

    x: (N, ..., C), floating. weight, bias: (C,), or None. Raises what `group_norm` raises.
    """
    return group_norm(x, weight, bias, num_groups=x.shape[-1], eps=eps)


@autocasts_to("float32")
@op(
    examples=[
        example(normal(2, 5), size=3, alpha=0.5),
        example(normal(2, 2, 4), size=2, alpha=0.3, beta=0.5, k=2.0),
        example(normal(2, 3), size=6, alpha=1.0),
    ]
)
@in_float32
def local_response_norm(
    xp: Namespace, x: Array, /, *, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """x over (k + alpha * the mean square of `size` neighbouring channels)**beta (Krizhevsky et al., 2012).

    x: (N, ..., C), floating. Channels beyond the ends count as 0.
    Raises TypeError where x is not floating, ValueError for a size below 1.

    >>> import pullback as pb
    >>> local_response_norm(pb.tensor([[1.0, 1.0, 1.0]]), size=2, alpha=2.0, beta=1.0).tolist()
    [[0.5, 0.3333333432674408, 0.3333333432674408]]
    """
    check_floating("local_response_norm", x)
    whole(size, "size")
    return x * _energy(xp, x, size, alpha, k) ** -beta


@local_response_norm.vjp("x")
@in_float32
def _(xp: Namespace, g: Array, x: Array, *, size: int, alpha: float, beta: float, k: float) -> Array:
    energy = _energy(xp, x, size, alpha, k)
    received = _window_sums(xp, g * x * energy ** (-beta - 1), (size - 1) // 2, size // 2)
    return g * energy**-beta - (2 * beta * alpha / size) * x * received


def _energy(xp: Namespace, x: Array, size: int, alpha: float, k: float) -> Array:
    return k + (alpha / size) * _window_sums(xp, xp.square(x), size // 2, (size - 1) // 2)


def _window_sums(xp: Namespace, x: Array, before: int, behind: int) -> Array:
    """The sum of each channel, of some before it and of some behind it."""
    ends = (xp.zeros((*x.shape[:-1], length), dtype=x.dtype, device=x.device) for length in (before, behind))
    first, last = ends
    wide, channels = xp.concat([first, x, last], axis=-1), x.shape[-1]
    total = wide[..., :channels]
    for start in range(1, before + behind + 1):
        total = total + wide[..., start : start + channels]
    return total


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 4)),
        example(normal(3, 4, away_from_zero=0.1), p=3.0, axis=0),
        example(normal(2, 3), eps=10.0),
    ]
)
@in_float32
def normalize(xp: Namespace, x: Array, /, *, p: float = 2.0, axis: int = -1, eps: float = 1e-12) -> Array:
    """x over its norm along an axis.

    p: the order of the norm. eps: the least that x is divided by.

    >>> import pullback as pb
    >>> normalize(pb.tensor([3.0, 4.0])).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    check_floating("normalize", x)
    return x / xp.maximum(vector_norm(x, axis=axis, keepdims=True, ord=p), eps)
