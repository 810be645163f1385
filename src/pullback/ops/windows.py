"""Windows: what lies under a kernel as it moves over the spatial axes, and windows summed back to where they lay."""

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace
from .manipulation import reshape
from .padding import Pairs, pad
from .scatter import embed
from .sizes import Lengths, PerAxis, axes_of, each_axis, spatial_shape

__all__ = ["fold", "unfold"]


def span_of(kernel: Lengths, dilation: Lengths) -> Lengths:
    """How far a kernel reaches along each axis."""
    return tuple(step * (n - 1) + 1 for n, step in zip(kernel, dilation, strict=True))


def positions_of(
    what: str, lengths: Lengths, *, kernel: Lengths, stride: Lengths, padding: Pairs, dilation: Lengths
) -> Lengths:
    """How many positions a kernel has along each axis. Raises ValueError where there is none."""
    padded = tuple(n + before + after for n, (before, after) in zip(lengths, padding, strict=True))
    span = span_of(kernel, dilation)
    if any(n < reach for n, reach in zip(padded, span, strict=True)):
        raise ValueError(
            f"{what}: the kernel reaches over {span}, the input with its padding is {padded} long; "
            "make the kernel or the dilation smaller, or the input or the padding larger"
        )
    return tuple((n - reach) // step + 1 for n, reach, step in zip(padded, span, stride, strict=True))


def batched(what: str, x: Array, axes: int, channels: int | None = None) -> tuple[Array, bool]:
    """x with an axis for the batch, and whether it had one; raises as `spatial_shape` does."""
    shape = spatial_shape(what, x, axes, channels)
    return (x, True) if len(shape) == axes + 2 else (reshape(x, (1, *shape)), False)


def _whole(padding: Pairs) -> Pairs:
    return ((0, 0), *padding, (0, 0))


def _under(offset: Lengths, positions: Lengths, stride: Lengths, dilation: Lengths) -> tuple[slice, ...]:
    """The key of what lies under one element of the kernel, at all positions."""
    starts = [at * step for at, step in zip(offset, dilation, strict=True)]
    reaches = [start + step * (n - 1) + 1 for start, step, n in zip(starts, stride, positions, strict=True)]
    return slice(None), *map(slice, starts, reaches, stride), slice(None)


_ONE_AXIS: dict[str, Any] = {"kernel": (3,), "stride": (2,), "padding": ((1, 2),), "dilation": (1,)}
_TWO_AXES: dict[str, Any] = {"kernel": (2, 3), "stride": (1, 2), "padding": ((0, 1), (2, 0)), "dilation": (2, 1)}
_CROPPED: dict[str, Any] = {"kernel": (2,), "stride": (3,), "padding": ((1, -2),), "dilation": (1,)}


@op(
    examples=[
        example(normal(2, 5, 3), **_ONE_AXIS),
        example(normal(2, 4, 6, 2), **_TWO_AXES),
        example(normal(1, 8, 1), **_CROPPED),
    ]
)
def _unfold(
    xp: Namespace, x: Array, /, *, kernel: Lengths, stride: Lengths, padding: Pairs, dilation: Lengths
) -> Array:
    """(N, *lengths, C) as its windows, (N, *positions, elements of the kernel, C)."""
    lengths = tuple(x.shape[1:-1])
    positions = positions_of("unfold", lengths, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    x = pad(x, _whole(padding))
    return xp.stack([x[_under(at, positions, stride, dilation)] for at in product(*map(range, kernel))], axis=-2)


@_unfold.vjp("x")
def _(
    xp: Namespace, g: Array, x_shape: tuple[int, ...], *, kernel: Lengths, stride: Lengths, padding: Pairs,
    dilation: Lengths,
) -> Array:  # fmt: skip
    return _fold(g, lengths=x_shape[1:-1], kernel=kernel, stride=stride, padding=padding, dilation=dilation)


@op(
    examples=[
        example(normal(2, 3, 3, 2), lengths=(5,), **_ONE_AXIS),
        example(normal(1, 3, 3, 6, 2), lengths=(4, 6), **_TWO_AXES),
        example(normal(2, 2, 2, 1), lengths=(8,), **_CROPPED),
    ]
)
def _fold(
    xp: Namespace, x: Array, /, *, lengths: Lengths, kernel: Lengths, stride: Lengths, padding: Pairs,
    dilation: Lengths,
) -> Array:  # fmt: skip
    """Windows (N, *positions, elements of the kernel, C), summed to (N, *lengths, C): the transpose of `unfold`."""
    padded = [n + before + after for n, (before, after) in zip(lengths, padding, strict=True)]
    shape, positions = (x.shape[0], *padded, x.shape[-1]), tuple(x.shape[1:-2])
    whole: Any = None
    for number, at in enumerate(product(*map(range, kernel))):
        part = embed(x[..., number, :], shape=shape, key=_under(at, positions, stride, dilation))
        whole = part if whole is None else whole + part
    return pad(whole, _whole([(-before, -after) for before, after in padding]))


@_fold.vjp("x")
def _(xp: Namespace, g: Array, *, kernel: Lengths, stride: Lengths, padding: Pairs, dilation: Lengths) -> Array:
    return _unfold(g, kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def unfold(
    x: Array, /, kernel_size: PerAxis, *, dilation: PerAxis = 1, padding: PerAxis = 0, stride: PerAxis = 1
) -> Array:
    """The windows of an array, each laid out in one row: with them a convolution is one matrix product.

    x: (N, *lengths, C); where `kernel_size` is a tuple, (*lengths, C) too, for one sample.
    kernel_size, dilation, padding, stride: a number for all spatial axes, or one for each; padding is with zeros.
    Returns (N, L, K * C), for L positions of the kernel and its K elements: each row is a window as it lies in memory,
    its channels together, so that `unfold(x, ...) @ weight.reshape(out, -1).T` is the convolution with a weight
    (out, *kernel, C).
    Raises ValueError where the kernel does not fit.

    >>> import pullback as pb
    >>> unfold(pb.asarray([[[1.0], [2.0], [3.0], [4.0]]]), 2, stride=2)
    Tensor([[[1., 2.],
             [3., 4.]]], dtype=float32)
    """
    axes = axes_of("unfold", x, kernel_size)
    x, whole = batched("unfold", x, axes)
    y = _unfold(x, **_arguments(axes, kernel_size, dilation, padding, stride))
    y = reshape(y, (y.shape[0], prod(y.shape[1:-2]), y.shape[-2] * y.shape[-1]))
    return y if whole else reshape(y, tuple(y.shape[1:]))


def fold(
    x: Array, /, output_size: Sequence[int], kernel_size: PerAxis, *, dilation: PerAxis = 1, padding: PerAxis = 0,
    stride: PerAxis = 1,
) -> Array:  # fmt: skip
    """Windows summed back to where `unfold` took them: its transpose.

    x: (N, L, K * C), or (L, K * C) of one sample, with the L and K of `unfold`'s result.
    output_size: the spatial lengths of the result; the other arguments as for `unfold`.
    Returns (N, *output_size, C).
    Raises ValueError where x is not what `unfold` would give of such a result.

    >>> import pullback as pb
    >>> fold(pb.ones((1, 3, 2)), (4,), 2).tolist()
    [[[1.0], [2.0], [2.0], [1.0]]]
    """
    if not hasattr(output_size, "__len__") or len(output_size) == 0:
        raise TypeError(f"fold takes an output_size of a length for each spatial axis; got {output_size!r}")
    lengths = each_axis(output_size, len(output_size), "output_size")
    given = _arguments(len(lengths), kernel_size, dilation, padding, stride)
    x, whole = batched("fold", x, 1)
    positions, count = positions_of("fold", lengths, **given), prod(given["kernel"])
    if x.shape[1] != prod(positions) or x.shape[2] % count:
        raise ValueError(
            f"fold to {lengths} takes windows (N, {prod(positions)}, {count} * channels), the kernel's "
            f"{' x '.join(map(str, positions))} positions and {count} elements; got shape {tuple(x.shape)}"
        )
    y = _fold(reshape(x, (x.shape[0], *positions, count, x.shape[2] // count)), lengths=lengths, **given)
    return y if whole else reshape(y, tuple(y.shape[1:]))


def _arguments(axes: int, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, Any]:
    return {
        "kernel": each_axis(kernel_size, axes, "kernel_size"),
        "stride": each_axis(stride, axes, "stride"),
        "padding": tuple((n, n) for n in each_axis(padding, axes, "padding", least=0)),
        "dilation": each_axis(dilation, axes, "dilation"),
    }
