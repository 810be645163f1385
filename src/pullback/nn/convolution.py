"""Convolutions and their transposes, with channels last."""

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any, ClassVar

from ..backends import Array
from ..ops.convolution import conv, conv_transpose, output_padding_for, pairs_of
from ..ops.creation import empty
from ..ops.padding import Mode, pad
from ..ops.sizes import PerAxis, each_axis, spatial_shape, whole
from .init import kaiming_uniform_, uniform_
from .module import Module, Parameter

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_MODES: dict[str, Mode] = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}
"""PyTorch's name of each way to pad, and that of `pad`."""


class Convolution(Module):
    """What convolutions and their transposes share: sizes, a kernel for each pair of channels, and a bias.

    The weight starts as `kaiming_uniform_` with a=sqrt(5) draws it, and the bias uniform in [-b, b) with b one over the
    root of the weight's size along all axes but the first; both as PyTorch's do.
    """

    axes: ClassVar[int]
    """How many spatial axes there are."""
    padding: str | tuple[int, ...]
    weight: Parameter
    bias: Parameter | None

    def _take_sizes(
        self, in_channels: int, out_channels: int, kernel_size: PerAxis, stride: PerAxis, dilation: PerAxis,
        groups: int, padding_mode: str, modes: Sequence[str],
    ) -> None:  # fmt: skip
        name = type(self).__name__
        given = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
        in_channels, out_channels, groups = (whole(count, f"{name}: {what}") for what, count in given.items())
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: in_channels={in_channels} and out_channels={out_channels} are multiples of groups; "
                f"got groups={groups}"
            )
        if padding_mode not in modes:
            raise ValueError(f"{name}: padding_mode is {' or '.join(map(repr, modes))}; got {padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = each_axis(kernel_size, self.axes, "kernel_size")
        self.stride = each_axis(stride, self.axes, "stride")
        self.dilation = each_axis(dilation, self.axes, "dilation")
        self.padding_mode = padding_mode

    def _make_parameters(self, first: int, last: int, bias: bool, device: Any, dtype: Any) -> None:
        """A weight (first, *kernel, last / groups), and the bias."""
        shape = (first, *self.kernel_size, last // self.groups)
        self.weight = Parameter(empty(shape, dtype=dtype, device=device))
        made = Parameter(empty(self.out_channels, dtype=dtype, device=device)) if bias else None
        self.register_parameter("bias", made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, from the default generator."""
        kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            bound = 1 / sqrt(prod(self.weight.shape[1:]))
            uniform_(self.bias, -bound, bound)

    def _check(self, x: Array) -> None:
        spatial_shape(type(self).__name__, x, self.axes, self.in_channels)

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        none = (0,) * self.axes
        given = {
            "padding": (self.padding, none),
            "dilation": (self.dilation, (1,) * self.axes),
            "output_padding": (getattr(self, "output_padding", none), none),
            "groups": (self.groups, 1),
            "bias": (self.bias is not None, True),
            "padding_mode": (self.padding_mode, "zeros"),
        }
        shown = [f"{name}={value}" for name, (value, default) in given.items() if value != default]
        sizes = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        return ", ".join([sizes, *shown])


class _Conv(Convolution):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: PerAxis, stride: PerAxis = 1, padding: Any = 0,
        dilation: PerAxis = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = in_channels, out_channels, kernel_size, stride, dilation, groups
        self._take_sizes(*sizes, padding_mode, tuple(_MODES))
        self._pairs = pairs_of(padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else each_axis(padding, self.axes, "padding", least=0)
        self._make_parameters(self.out_channels, self.in_channels, bias, device, dtype)

    def forward(self, x: Array) -> Array:
        """x: (N, *lengths, in_channels), or one sample without N. Returns (N, *positions, out_channels)."""
        self._check(x)
        padding = self._pairs
        if self.padding_mode != "zeros":
            around = ((0, 0),) * (len(x.shape) - 1 - self.axes)
            x = pad(x, (*around, *padding, (0, 0)), mode=_MODES[self.padding_mode])
            padding = ((0, 0),) * self.axes
        return conv(
            x, self.weight, self.bias, stride=self.stride, padding=padding, dilation=self.dilation, groups=self.groups
        )


class _ConvTranspose(Convolution):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: PerAxis, stride: PerAxis = 1, padding: PerAxis = 0,
        output_padding: PerAxis = 0, groups: int = 1, bias: bool = True, dilation: PerAxis = 1,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = in_channels, out_channels, kernel_size, stride, dilation, groups
        self._take_sizes(*sizes, padding_mode, ("zeros",))
        self.padding = each_axis(padding, self.axes, "padding", least=0)
        self.output_padding = each_axis(output_padding, self.axes, "output_padding", least=0)
        self._make_parameters(self.in_channels, self.out_channels, bias, device, dtype)

    def forward(self, x: Array, output_size: Sequence[int] | None = None) -> Array:
        """x: (N, *lengths, in_channels), or one sample without N.

        output_size: the spatial lengths of the result, or its whole shape, in place of `output_padding`.
        Returns (N, *lengths, out_channels). Raises ValueError where there is no such result.
        """
        self._check(x)
        steps: dict[str, Any] = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        more = self.output_padding
        if output_size is not None:
            more = output_padding_for(output_size, tuple(x.shape), self.kernel_size, **steps)
        return conv_transpose(x, self.weight, self.bias, output_padding=more, groups=self.groups, **steps)


class Conv1d(_Conv):
    """Convolution of sequences, (N, L, in_channels), channels last; arguments as for `Conv2d`.

    >>> import pullback as pb
    >>> Conv1d(4, 8, 3)(pb.ones((2, 100, 4))).shape
    (2, 98, 8)
    """

    axes = 1


class Conv2d(_Conv):
    """Convolution of images, channels last.

    in_channels, out_channels: the length of the last axis before and after.
    kernel_size, stride, dilation: a number for all spatial axes, or one for each.
    padding: zeros on both sides, in the same way; or "valid", none; or "same", which keeps the lengths at a stride
        of 1.
    groups: in how many groups of channels, each convolved for itself, input and output fall.
    bias: False leaves the bias out.
    padding_mode: "zeros", or "reflect", "replicate" or "circular", as `pb.pad` has them.
    device, dtype: where and as what the parameters are made; by default on the current backend, float32.

    Takes (N, H, W, in_channels), or one sample without N. weight: (out_channels, *kernel_size, in_channels / groups);
    bias: (out_channels,).
    Raises ValueError for sizes that do not fit together, here and for the input.

    >>> import pullback as pb
    >>> layer = Conv2d(4, 8, 3, padding="same")
    >>> layer
    Conv2d(4, 8, kernel_size=(3, 3), stride=(1, 1), padding=same)  # 296 parameters
    >>> layer(pb.ones((2, 28, 28, 4))).shape
    (2, 28, 28, 8)
    """

    axes = 2


class Conv3d(_Conv):
    """Convolution of volumes, (N, D, H, W, in_channels), channels last; arguments as for `Conv2d`.

    >>> import pullback as pb
    >>> Conv3d(4, 8, 3)(pb.ones((2, 5, 9, 9, 4))).shape
    (2, 3, 7, 7, 8)
    """

    axes = 3


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`, (N, L, in_channels), channels last; arguments as for `ConvTranspose2d`.

    >>> import pullback as pb
    >>> ConvTranspose1d(8, 4, 2, stride=2)(pb.ones((2, 50, 8))).shape
    (2, 100, 4)
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d`, which makes images larger; channels last.

    padding: what that convolution pads with, and so is cut off here. output_padding: by how much longer the result is
        at its ends. padding_mode: only "zeros". The other arguments are those of `Conv2d`.

    Takes (N, H, W, in_channels), or one sample without N. weight: (in_channels, *kernel_size, out_channels / groups);
    bias: (out_channels,).
    Raises ValueError for sizes that do not fit together, here and for the input.

    >>> import pullback as pb
    >>> layer = ConvTranspose2d(8, 4, 3, stride=2, padding=1)
    >>> layer(pb.ones((2, 7, 7, 8))).shape
    (2, 13, 13, 4)
    >>> layer(pb.ones((2, 7, 7, 8)), output_size=(14, 14)).shape
    (2, 14, 14, 4)
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of `Conv3d`, (N, D, H, W, in_channels), channels last; arguments as for `ConvTranspose2d`.

    >>> import pullback as pb
    >>> ConvTranspose3d(8, 4, 2, stride=2)(pb.ones((2, 3, 5, 5, 8))).shape
    (2, 6, 10, 10, 4)
    """

    axes = 3
