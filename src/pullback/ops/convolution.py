"""Convolution, its transpose, and the gradient with respect to the weight: closed under differentiation.

All three are bilinear, and each one's gradients are calls of the other two. Channels are last: x is (N, *lengths, in),
a weight (out, *kernel, in/groups), and the same weight serves the transpose, which goes from `out` to `in` channels.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, Literal, TypeAlias

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace
from .linear_algebra import matmul
from .manipulation import reshape
from .padding import Pairs
from .sizes import Lengths, PerAxis, axes_of, each_axis, is_whole, lengths_of, shape_of, whole
from .windows import _fold, _unfold, batched, positions_of, span_of

__all__ = ["conv", "conv_transpose", "conv_weight"]

Padding: TypeAlias = PerAxis | Sequence[tuple[int, int]] | Literal["same", "valid"]

_PLAIN: dict[str, Any] = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
_STRIDED: dict[str, Any] = {"stride": (2, 1), "padding": ((1, 1), (0, 2)), "dilation": (1, 2), "groups": 1}
_GROUPED: dict[str, Any] = {"stride": (1, 3), "padding": ((3, 3), (2, -1)), "dilation": (2, 1), "groups": 2}
_POINTS: dict[str, Any] = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
_DEEP: dict[str, Any] = {"stride": (2, 1, 1), "padding": ((0, 1),) * 3, "dilation": (1, 1, 2), "groups": 1}
_OUTSIDE: dict[str, Any] = {"stride": (3,), "padding": ((2, -1),), "dilation": (1,), "groups": 1}
_APART: dict[str, Any] = {"stride": (3, 2), "padding": ((0, 0), (1, 0)), "dilation": (1, 1), "groups": 3}


def _by_group(xp: Namespace, x: Array, groups: int, count: int = 1) -> Array:
    """(..., groups * n), or (..., count, groups * n), as matrices (groups, rows, count * n)."""
    n, rows = x.shape[-1] // groups, prod(x.shape[:-1]) // count
    parted = xp.permute_dims(xp.reshape(x, (rows, count, groups, n)), (2, 0, 1, 3))
    return xp.reshape(parted, (groups, rows, count * n))


def _joined(xp: Namespace, y: Array, shape: tuple[int, ...], count: int = 1) -> Array:
    """Matrices (groups, rows, count * n) as an array of `shape`: the way back from `by_group`."""
    groups, rows, n = y.shape[0], y.shape[1], y.shape[2] // count
    return xp.reshape(xp.permute_dims(xp.reshape(y, (groups, rows, count, n)), (1, 2, 0, 3)), shape)


@autocasts_to("low")
@op(
    examples=[
        example(normal(2, 5, 3), normal(4, 3, 3), normal(4), **_PLAIN),
        example(normal(2, 5, 4, 3), normal(2, 3, 2, 3), normal(2), **_STRIDED),
        example(normal(2, 4, 5, 4), normal(6, 2, 3, 2), **_GROUPED),
        example(normal(2, 3, 2, 3), normal(4, 1, 1, 3), normal(4), **_POINTS),
        example(normal(1, 4, 3, 4, 2), normal(3, 2, 2, 2, 2), normal(3), **_DEEP),
        example(normal(2, 5, 6, 3), normal(6, 2, 3, 1), normal(6), **_APART),
        example(normal(0, 5, 3), normal(4, 3, 3), normal(4), **_PLAIN),
        example(normal(1, 2, 2), normal(3, 1, 2), **_OUTSIDE),
        example(normal(1, 4, 2, dtype="complex128"), normal(2, 3, 2, dtype="complex128"), **_PLAIN),
    ]
)
def _conv(
    xp: Namespace, x: Array, weight: Array, bias: Array | None = None, /, *, stride: Lengths, padding: Pairs,
    dilation: Lengths, groups: int,
) -> Array:  # fmt: skip
    kernel = tuple(weight.shape[1:-1])
    windows = _unfold(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    rows = _by_group(xp, windows, groups, prod(kernel))
    y = matmul(rows, xp.matrix_transpose(_matrices(xp, weight, groups)))
    y = _joined(xp, y, (*windows.shape[:-2], weight.shape[0]))
    return y if bias is None else y + bias


@_conv.vjp("x")
def _(
    xp: Namespace, g: Array, x_shape: tuple[int, ...], weight: Array, *, stride: Lengths, padding: Pairs,
    dilation: Lengths, groups: int,
) -> Array:  # fmt: skip
    exact = _exactly(padding, x_shape, g.shape, weight.shape[1:-1], stride, dilation)
    return _conv_transpose(g, weight, stride=stride, padding=exact, dilation=dilation, groups=groups)


@_conv.vjp("weight")
def _(
    xp: Namespace, g: Array, x: Array, weight_shape: tuple[int, ...], *, stride: Lengths, padding: Pairs,
    dilation: Lengths, groups: int,
) -> Array:  # fmt: skip
    kernel = weight_shape[1:-1]
    return _conv_weight(x, g, kernel=kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)


@autocasts_to("low")
@op(
    examples=[
        example(normal(2, 3, 4), normal(4, 3, 3), normal(3), **_PLAIN),
        example(normal(2, 3, 3, 2), normal(2, 3, 2, 3), normal(3), **_STRIDED),
        example(normal(2, 6, 2, 6), normal(6, 2, 3, 2), **_GROUPED),
        example(normal(2, 3, 2, 4), normal(4, 1, 1, 3), normal(3), **_POINTS),
        example(normal(1, 2, 3, 3, 3), normal(3, 2, 2, 2, 2), normal(2), **_DEEP),
        example(normal(2, 2, 3, 6), normal(6, 2, 3, 1), normal(3), **_APART),
        example(normal(0, 3, 4), normal(4, 3, 3), normal(3), **_PLAIN),
        example(normal(1, 1, 2), normal(2, 1, 3), **{**_OUTSIDE, "padding": ((2, -3),)}),
        example(normal(1, 2, 2, dtype="complex128"), normal(2, 3, 2, dtype="complex128"), **_PLAIN),
    ]
)
def _conv_transpose(
    xp: Namespace, x: Array, weight: Array, bias: Array | None = None, /, *, stride: Lengths, padding: Pairs,
    dilation: Lengths, groups: int,
) -> Array:  # fmt: skip
    """What is cut off the result is the padding of the convolution that this is the transpose of."""
    kernel, positions = tuple(weight.shape[1:-1]), tuple(x.shape[1:-1])
    columns = matmul(_by_group(xp, x, groups), _matrices(xp, weight, groups))
    count, channels = prod(kernel), groups * weight.shape[-1]
    windows = _joined(xp, columns, (x.shape[0], *positions, count, channels), count)
    lengths = transposed_lengths(positions, kernel, stride, padding, dilation)
    y = _fold(windows, lengths=lengths, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    return y if bias is None else y + bias


@_conv_transpose.vjp("x")
def _(
    xp: Namespace, g: Array, weight: Array, *, stride: Lengths, padding: Pairs, dilation: Lengths, groups: int
) -> Array:
    return _conv(g, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)


@_conv_transpose.vjp("weight")
def _(
    xp: Namespace, g: Array, x: Array, weight_shape: tuple[int, ...], *, stride: Lengths, padding: Pairs,
    dilation: Lengths, groups: int,
) -> Array:  # fmt: skip
    kernel = weight_shape[1:-1]
    return _conv_weight(g, x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)


_conv.vjp("bias")(lambda xp, g: g)
_conv_transpose.vjp("bias")(lambda xp, g: g)


@autocasts_to("low")
@op(
    examples=[
        example(normal(2, 5, 3), normal(2, 3, 4), kernel=(3,), **_PLAIN),
        example(normal(2, 5, 4, 3), normal(2, 3, 4, 2), kernel=(3, 2), **_STRIDED),
        example(normal(2, 4, 5, 4), normal(2, 8, 2, 6), kernel=(2, 3), **_GROUPED),
        example(normal(2, 3, 2, 3), normal(2, 3, 2, 4), kernel=(1, 1), **_POINTS),
        example(normal(1, 4, 3, 4, 2), normal(1, 2, 3, 3, 3), kernel=(2, 2, 2), **_DEEP),
        example(normal(2, 5, 6, 3), normal(2, 2, 3, 6), kernel=(2, 3), **_APART),
        example(normal(0, 5, 3), normal(0, 3, 4), kernel=(3,), **_PLAIN),
        example(normal(1, 4, 2, dtype="complex128"), normal(1, 2, 2, dtype="complex128"), kernel=(3,), **_PLAIN),
    ]
)
def _conv_weight(
    xp: Namespace, x: Array, cotangent: Array, /, *, kernel: Lengths, stride: Lengths, padding: Pairs,
    dilation: Lengths, groups: int,
) -> Array:  # fmt: skip
    windows = _unfold(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    rows = _by_group(xp, windows, groups, prod(kernel))
    weight = matmul(xp.matrix_transpose(_by_group(xp, cotangent, groups)), rows)
    return xp.reshape(weight, (cotangent.shape[-1], *kernel, x.shape[-1] // groups))


@_conv_weight.vjp("x")
def _(
    xp: Namespace, g: Array, x_shape: tuple[int, ...], cotangent: Array, *, kernel: Lengths, stride: Lengths,
    padding: Pairs, dilation: Lengths, groups: int,
) -> Array:  # fmt: skip
    exact = _exactly(padding, x_shape, cotangent.shape, kernel, stride, dilation)
    return _conv_transpose(cotangent, g, stride=stride, padding=exact, dilation=dilation, groups=groups)


@_conv_weight.vjp("cotangent")
def _(xp: Namespace, g: Array, x: Array, *, stride: Lengths, padding: Pairs, dilation: Lengths, groups: int) -> Array:
    return _conv(x, g, stride=stride, padding=padding, dilation=dilation, groups=groups)


def _matrices(xp: Namespace, weight: Array, groups: int) -> Array:
    """A weight (out, *kernel, in/groups) as (groups, out/groups, elements of the kernel times in/groups)."""
    return xp.reshape(weight, (groups, weight.shape[0] // groups, prod(weight.shape[1:])))


def transposed_lengths(
    positions: Lengths, kernel: Lengths, stride: Lengths, padding: Pairs, dilation: Lengths
) -> Lengths:
    """How long the result of a transposed convolution is along each axis."""
    each = zip(positions, span_of(kernel, dilation), stride, padding, strict=True)
    return tuple((n - 1) * step + reach - before - after for n, reach, step, (before, after) in each)


def _exactly(
    padding: Pairs, x_shape: tuple[int, ...], y_shape: tuple[int, ...], kernel: Lengths, stride: Lengths,
    dilation: Lengths,
) -> Pairs:  # fmt: skip
    """The padding behind which the last position ends: what a stride leaves over is cut off."""
    reached = transposed_lengths(tuple(y_shape[1:-1]), tuple(kernel), stride, padding, dilation)
    rest = [n - m for n, m in zip(x_shape[1:-1], reached, strict=True)]
    return tuple((before, after - r) for (before, after), r in zip(padding, rest, strict=True))


def conv(
    x: Array, weight: Array, bias: Array | None = None, /, *, stride: PerAxis = 1, padding: Padding = 0,
    dilation: PerAxis = 1, groups: int = 1,
) -> Array:  # fmt: skip
    """The convolution of networks (a cross-correlation), over any number of spatial axes.

    x: (N, *lengths, in), or (*lengths, in) of one sample. weight: (out, *kernel, in/groups). bias: (out,), or None.
    stride, dilation: a number for all spatial axes, or one for each.
    padding: zeros on both sides, a number for all axes, one for each, or a pair (before, after) for each, of which
        negative ones cut off; "valid" is none; "same" keeps the lengths, and needs a stride of 1.
    groups: in how many groups of channels, each convolved for itself, x and the result fall.
    Returns (N, *positions, out), with (length + padding - dilation * (kernel - 1) - 1) // stride + 1 positions.
    Raises ValueError where the shapes do not fit together.

    >>> import pullback as pb
    >>> pb.conv(pb.ones((8, 28, 28, 1)), pb.ones((32, 3, 3, 1)), padding="same").shape
    (8, 28, 28, 32)
    """
    axes, given = _arguments("conv", weight, stride, dilation, groups)
    kernel = tuple(weight.shape[1:-1])
    pairs = pairs_of(padding, kernel, given["stride"], given["dilation"])
    _check_bias("conv", weight, bias, weight.shape[0])
    x, batch = batched("conv", x, axes, weight.shape[-1] * given["groups"])
    positions_of("conv", tuple(x.shape[1:-1]), kernel=kernel, padding=pairs, **_steps(given))
    y = _conv(x, weight, padding=pairs, **given) if bias is None else _conv(x, weight, bias, padding=pairs, **given)
    return y if batch else reshape(y, tuple(y.shape[1:]))


def conv_transpose(
    x: Array, weight: Array, bias: Array | None = None, /, *, stride: PerAxis = 1, padding: PerAxis = 0,
    output_padding: PerAxis = 0, dilation: PerAxis = 1, groups: int = 1,
) -> Array:  # fmt: skip
    """The transpose of `conv`, as a map of x: its gradient, and a layer that makes images larger.

    x: (N, *lengths, in), or (*lengths, in) of one sample. weight: (in, *kernel, out/groups). bias: (out,), or None.
    padding: what the convolution that this is the transpose of pads with, and so is cut off here.
    output_padding: by how much longer the result is at its ends; less than the stride or the dilation.
    The other arguments are those of `conv`.
    Returns (N, *lengths, out): (length - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1 each.
    Raises ValueError where the shapes do not fit together.

    >>> import pullback as pb
    >>> pb.conv_transpose(pb.ones((8, 7, 7, 16)), pb.ones((16, 4, 4, 1)), stride=2, padding=1).shape
    (8, 14, 14, 1)
    """
    axes, given = _arguments("conv_transpose", weight, stride, dilation, groups)
    more = each_axis(output_padding, axes, "output_padding", least=0)
    steps = zip(given["stride"], given["dilation"], strict=True)
    if any(n >= max(pair) for n, pair in zip(more, steps, strict=True)):
        raise ValueError(
            f"output_padding is less than the stride {given['stride']} or the dilation {given['dilation']}; got {more}"
        )
    sides = each_axis(padding, axes, "padding", least=0)
    pairs = tuple((n, n - extra) for n, extra in zip(sides, more, strict=True))
    _check_bias("conv_transpose", weight, bias, weight.shape[-1] * given["groups"])
    x, batch = batched("conv_transpose", x, axes, weight.shape[0])
    lengths = transposed_lengths(tuple(x.shape[1:-1]), tuple(weight.shape[1:-1]), padding=pairs, **_steps(given))
    if any(n < 1 for n in lengths):
        raise ValueError(
            f"conv_transpose of lengths {tuple(x.shape[1:-1])} with a kernel {tuple(weight.shape[1:-1])} and padding "
            f"{sides} would give lengths {lengths}; make the padding smaller"
        )
    inputs = (x, weight) if bias is None else (x, weight, bias)
    y = _conv_transpose(*inputs, padding=pairs, **given)
    return y if batch else reshape(y, tuple(y.shape[1:]))


def output_padding_for(
    output_size: Sequence[int], shape: tuple[int, ...], kernel: Lengths, *, stride: Lengths, padding: Lengths,
    dilation: Lengths,
) -> Lengths:  # fmt: skip
    """The `output_padding` with which `conv_transpose` gives these lengths.

    output_size: the lengths, or the whole shape of the result. shape: that of the input.
    Raises ValueError where there is none.
    """
    axes = len(kernel)
    asked = lengths_of(output_size, axes)
    pairs = tuple((n, n) for n in padding)
    least = transposed_lengths(shape[len(shape) - axes - 1 : -1], kernel, stride, pairs, dilation)
    more = tuple(n - m for n, m in zip(asked, least, strict=True))
    if any(not 0 <= n < step for n, step in zip(more, stride, strict=True)):
        most = tuple(n + step - 1 for n, step in zip(least, stride, strict=True))
        raise ValueError(
            f"conv_transpose of shape {shape} gives lengths between {least} and {most}; got output_size={output_size}"
        )
    return more


def conv_weight(
    x: Array, cotangent: Array, /, kernel_size: PerAxis, *, stride: PerAxis = 1, padding: Padding = 0,
    dilation: PerAxis = 1, groups: int = 1,
) -> Array:  # fmt: skip
    """The gradient of `conv` with respect to its weight.

    x: (N, *lengths, in). cotangent: (N, *positions, out), the gradient of the result. The other arguments are those of
        the convolution.
    Returns (out, *kernel_size, in/groups).
    Raises ValueError where the shapes do not fit together.
    """
    axes = axes_of("conv_weight", x, kernel_size)
    kernel, given = each_axis(kernel_size, axes, "kernel_size"), _numbers("conv_weight", axes, stride, dilation, groups)
    (x, _), (cotangent, _) = batched("conv_weight", x, axes), batched("conv_weight", cotangent, axes)
    pairs = pairs_of(padding, kernel, given["stride"], given["dilation"])
    positions = positions_of("conv_weight", tuple(x.shape[1:-1]), kernel=kernel, padding=pairs, **_steps(given))
    shape = (x.shape[0], *positions)
    channels = x.shape[-1], cotangent.shape[-1]
    if tuple(cotangent.shape[:-1]) != shape or 0 in channels or any(n % given["groups"] for n in channels):
        raise ValueError(
            f"conv_weight of x {tuple(x.shape)} with a kernel {kernel} takes a cotangent of shape {shape} and channels "
            f"after it, the channels of both multiples of groups={groups}; got {tuple(cotangent.shape)}"
        )
    return _conv_weight(x, cotangent, kernel=kernel, padding=pairs, **given)


def pairs_of(padding: Any, kernel: Lengths, stride: Lengths, dilation: Lengths) -> Pairs:
    """What is added before and after each spatial axis. An odd total of "same" has its odd element after."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding is 'same', 'valid' or whole numbers; got {padding!r}")
        if padding == "valid":
            return ((0, 0),) * len(kernel)
        if any(step != 1 for step in stride):
            raise ValueError(f"padding='same' needs a stride of 1; got stride={stride}. Give the padding in numbers")
        return tuple(((n - 1) // 2, n // 2) for n in span_of(kernel, dilation))
    if isinstance(padding, Sequence) and any(isinstance(pair, Sequence) for pair in padding):
        if len(padding) != len(kernel) or any(
            not isinstance(pair, Sequence) or len(pair) != 2 or not all(map(is_whole, pair)) for pair in padding
        ):
            raise ValueError(f"padding in pairs has (before, after) for each of {len(kernel)} axes; got {padding!r}")
        return tuple((int(before), int(after)) for before, after in padding)
    return tuple((n, n) for n in each_axis(padding, len(kernel), "padding", least=0))


def _arguments(what: str, weight: Array, stride: Any, dilation: Any, groups: int) -> tuple[int, dict[str, Any]]:
    """How many spatial axes there are, and what says where the kernel lies."""
    shape = shape_of(f"{what}, as its weight,", weight)
    axes = len(shape) - 2
    if axes < 1 or 0 in shape:
        raise ValueError(f"{what} takes a weight (channels, *kernel, channels), none of them 0; got shape {shape}")
    given = _numbers(what, axes, stride, dilation, groups)
    if shape[0] % given["groups"]:
        raise ValueError(f"{what} in groups={groups} takes a weight whose first axis they divide; got shape {shape}")
    return axes, given


def _numbers(what: str, axes: int, stride: Any, dilation: Any, groups: Any) -> dict[str, Any]:
    return {
        "stride": each_axis(stride, axes, "stride"),
        "dilation": each_axis(dilation, axes, "dilation"),
        "groups": whole(groups, f"{what}: groups"),
    }


def _steps(given: dict[str, Any]) -> dict[str, Any]:
    return {"stride": given["stride"], "dilation": given["dilation"]}


def _check_bias(what: str, weight: Array, bias: Array | None, out: int) -> None:
    if bias is not None and shape_of(f"{what}, as its bias,", bias) != (out,):
        raise ValueError(
            f"{what} with a weight of shape {tuple(weight.shape)} takes a bias ({out},); got {tuple(bias.shape)}"
        )
