"""Pooling with channels last: the greatest, the mean or the norm of what lies in a window or a region."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

from ..autodiff.tensor import Tensor
from ..backends import Array
from ..ops.pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    check_norm_type,
    fractional_max_pool,
    fractions,
    global_avg_pool,
    global_max_pool,
    lp_pool,
    max_pool,
    max_unpool,
)
from ..ops.sizes import PerAxis, each_axis, spatial_shape
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "FractionalMaxPool2d", "FractionalMaxPool3d",
    "GlobalAvgPool", "GlobalMaxPool", "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d",
    "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip

Size: TypeAlias = int | Sequence[int | None] | None
"""A length for all spatial axes, or one for each; None leaves one as it is."""


class _Pool(Module):
    """What all pooling layers share: the number of spatial axes, and arguments that are shown as they are kept."""

    axes: ClassVar[int]
    shown: ClassVar[tuple[str, ...]]

    def checked(self, x: Array) -> Array:
        """x itself. Raises ValueError for another number of axes."""
        spatial_shape(type(self).__name__, x, self.axes)
        return x

    def extra_repr(self) -> str:
        """The arguments."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


class _MaxPool(_Pool):
    """The greatest element of each window."""

    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0, dilation: PerAxis = 1,
        return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = each_axis(kernel_size, self.axes, "kernel_size")
        self.stride = self.kernel_size if stride is None else each_axis(stride, self.axes, "stride")
        self.padding = each_axis(padding, self.axes, "padding", least=0)
        self.dilation = each_axis(dilation, self.axes, "dilation")
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, x: Array) -> Any:
        """x: (N, *lengths, C), or one sample. Returns (N, *positions, C); with `return_indices` the indices too."""
        sizes = self.kernel_size, self.stride, self.padding, self.dilation
        return max_pool(self.checked(x), *sizes, ceil_mode=self.ceil_mode, return_indices=self.return_indices)


class MaxPool1d(_MaxPool):
    """The greatest element of each window of sequences (N, L, C)."""

    axes = 1


class MaxPool2d(_MaxPool):
    """The greatest element of each window of images (N, H, W, C).

    kernel_size, stride, padding, dilation: a number for both axes, or one for each; the stride is by default the
        kernel's size. Padding counts as minus infinity and is at most half of the kernel.
    return_indices: give where each element was, too: its place in the flattened pixels of the image, h * W + w.
    ceil_mode: whether a last window may reach past the edge.
    Of elements that tie the first has the whole gradient, and NaN is greater than all else.
    Raises ValueError in forward for an image that no window fits into.

    >>> import pullback as pb
    >>> MaxPool2d(2)(pb.reshape(pb.arange(16, dtype="float32"), (1, 4, 4, 1)))[0, ..., 0]
    Tensor([[ 5.,  7.],
            [13., 15.]], dtype=float32)
    """

    axes = 2


class MaxPool3d(_MaxPool):
    """The greatest element of each window of volumes (N, D, H, W, C); see `MaxPool2d`."""

    axes = 3


class _AvgPool(_Pool):
    """The mean of each window."""

    shown = ("kernel_size", "stride", "padding")
    divisor_override: int | None = None

    def __init__(
        self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = each_axis(kernel_size, self.axes, "kernel_size")
        self.stride = self.kernel_size if stride is None else each_axis(stride, self.axes, "stride")
        self.padding = each_axis(padding, self.axes, "padding", least=0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x: Array) -> Array:
        """x: (N, *lengths, C), or one sample. Returns (N, *positions, C)."""
        return avg_pool(
            self.checked(x),
            self.kernel_size,
            self.stride,
            self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
            divisor_override=self.divisor_override,
        )


class AvgPool1d(_AvgPool):
    """The mean of each window of sequences (N, L, C)."""

    axes = 1


class AvgPool2d(_AvgPool):
    """The mean of each window of images (N, H, W, C).

    kernel_size, stride, padding, ceil_mode: as for `MaxPool2d`; padding counts as 0.
    count_include_pad: whether padding counts among the elements of a window.
    divisor_override: what sums are divided by instead of the number of elements.
    """

    axes = 2

    def __init__(
        self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override


class AvgPool3d(AvgPool2d):
    """The mean of each window of volumes (N, D, H, W, C); see `AvgPool2d`."""

    axes = 3


class _AdaptivePool(_Pool):
    """One value for each of so many regions."""

    shown = ("output_size",)

    def __init__(self, output_size: Size) -> None:
        super().__init__()
        name = f"{type(self).__name__}: output_size"
        self.output_size = each_axis(output_size, self.axes, name, optional=True)


class AdaptiveAvgPool1d(_AdaptivePool):
    """The mean of each of `output_size` regions of sequences (N, L, C), as equal in length as can be."""

    axes = 1

    def forward(self, x: Array) -> Array:
        """x: (N, *lengths, C), or one sample. Returns (N, *output_size, C)."""
        return adaptive_avg_pool(self.checked(x), self.output_size)


class AdaptiveAvgPool2d(AdaptiveAvgPool1d):
    """The mean of each of so many regions of images (N, H, W, C), as equal in size as can be.

    output_size: how many along each axis, one number for both or one for each; None keeps an axis as it is.
    """

    axes = 2


class AdaptiveAvgPool3d(AdaptiveAvgPool1d):
    """The mean of each of so many regions of volumes (N, D, H, W, C); see `AdaptiveAvgPool2d`."""

    axes = 3


class AdaptiveMaxPool1d(_AdaptivePool):
    """The greatest element of each of `output_size` regions of sequences (N, L, C); see `MaxPool2d` of indices."""

    axes = 1

    def __init__(self, output_size: Size, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, x: Array) -> Any:
        """x: (N, *lengths, C), or one sample. Returns (N, *output_size, C); with `return_indices` the indices too."""
        return adaptive_max_pool(self.checked(x), self.output_size, return_indices=self.return_indices)


class AdaptiveMaxPool2d(AdaptiveMaxPool1d):
    """The greatest element of each of so many regions of images (N, H, W, C), as equal in size as can be.

    output_size: how many along each axis, one number for both or one for each; None keeps an axis as it is.
    return_indices: give where each element was, too, as `MaxPool2d` does.
    """

    axes = 2


class AdaptiveMaxPool3d(AdaptiveMaxPool1d):
    """The greatest element of each of so many regions of volumes (N, D, H, W, C); see `AdaptiveMaxPool2d`."""

    axes = 3


class _LPPool(_Pool):
    """The norm of each window."""

    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(
        self, norm_type: float, kernel_size: PerAxis, stride: PerAxis | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        check_norm_type(type(self).__name__, norm_type)
        self.norm_type, self.ceil_mode = norm_type, ceil_mode
        self.kernel_size = each_axis(kernel_size, self.axes, "kernel_size")
        self.stride = self.kernel_size if stride is None else each_axis(stride, self.axes, "stride")

    def forward(self, x: Array) -> Array:
        """x: (N, *lengths, C), or one sample. Returns (N, *positions, C)."""
        return lp_pool(self.checked(x), self.norm_type, self.kernel_size, self.stride, ceil_mode=self.ceil_mode)


class LPPool1d(_LPPool):
    """The p-norm of each window of sequences (N, L, C), p = `norm_type`."""

    axes = 1


class LPPool2d(_LPPool):
    """The p-norm of each window of images (N, H, W, C): the p-th root of the sum of p-th powers.

    Where the sum is 0, so is the gradient; where it is negative, as it can be for odd p, the result is NaN.
    """

    axes = 2


class LPPool3d(_LPPool):
    """The p-norm of each window of volumes (N, D, H, W, C); see `LPPool2d`."""

    axes = 3


class _MaxUnpool(_Pool):
    """What a max pooling took, put back."""

    shown = ("kernel_size", "stride", "padding")

    def __init__(self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0) -> None:
        super().__init__()
        self.kernel_size = each_axis(kernel_size, self.axes, "kernel_size")
        self.stride = self.kernel_size if stride is None else each_axis(stride, self.axes, "stride")
        self.padding = each_axis(padding, self.axes, "padding", least=0)

    def forward(self, x: Array, indices: Array, output_size: Sequence[int] | None = None) -> Array:
        """x, indices: as the pooling gave them. output_size: the lengths, or the whole shape, of what was pooled.

        Returns (N, *lengths, C), zero where nothing was taken.
        """
        return max_unpool(
            self.checked(x), indices, self.kernel_size, self.stride, self.padding, output_size=output_size
        )


class MaxUnpool1d(_MaxUnpool):
    """Puts what `MaxPool1d` took back in its place, by the indices that it gave, with zeros around."""

    axes = 1


class MaxUnpool2d(_MaxUnpool):
    """Puts what `MaxPool2d` took back in its place, by the indices that it gave, with zeros around.

    Where windows overlapped, and two elements have one index, the last one stays, and has the gradient.

    >>> import pullback as pb
    >>> x = pb.reshape(pb.arange(4, dtype="float32"), (1, 2, 2, 1))
    >>> MaxUnpool2d(2)(*MaxPool2d(2, return_indices=True)(x))[0, ..., 0]
    Tensor([[0., 0.],
            [0., 3.]], dtype=float32)
    """

    axes = 2


class MaxUnpool3d(_MaxUnpool):
    """Puts what `MaxPool3d` took back in its place, by the indices that it gave; see `MaxUnpool2d`."""

    axes = 3


class FractionalMaxPool2d(_Pool):
    """The greatest element of each window of images (N, H, W, C), the windows at random distances (Graham, 2014).

    kernel_size: how large windows are. output_size: how many there are along each axis; or output_ratio: that number
        as a share of the image's, between 0 and 1.
    return_indices: give where each element was, too, as `MaxPool2d` does.
    _random_samples: what decides where the windows start, (N, C, 2) values in [0, 1); drawn from the default generator
        where it is None.
    Raises ValueError when not exactly one of output_size and output_ratio is given.
    """

    axes = 2
    shown = ("kernel_size", "output_size", "output_ratio")
    _random_samples: Tensor | None

    def __init__(
        self, kernel_size: PerAxis, output_size: PerAxis | None = None,
        output_ratio: float | Sequence[float] | None = None, return_indices: bool = False,
        _random_samples: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = each_axis(kernel_size, self.axes, "kernel_size")
        given = fractions(type(self).__name__, self.axes, output_size, output_ratio)
        self.output_size, self.output_ratio = given
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, x: Array) -> Any:
        """x: (N, *lengths, C), or one sample. Returns (N, *positions, C); with `return_indices` the indices too."""
        return fractional_max_pool(
            self.checked(x),
            self.kernel_size,
            self.output_size,
            output_ratio=self.output_ratio,
            return_indices=self.return_indices,
            samples=self._random_samples,
        )


class FractionalMaxPool3d(FractionalMaxPool2d):
    """The greatest element of each window of volumes, the windows at random distances; see `FractionalMaxPool2d`."""

    axes = 3


class _GlobalPool(Module):
    """One value for all pixels."""

    def __init__(self, keepdims: bool = False) -> None:
        super().__init__()
        self.keepdims = keepdims

    def extra_repr(self) -> str:
        """Whether the spatial axes stay, of length 1."""
        return f"keepdims={self.keepdims}"


class GlobalAvgPool(_GlobalPool):
    """The mean over all spatial axes: what PyTorch writes as `AdaptiveAvgPool2d(1)` and a `Flatten`.

    keepdims: keep the spatial axes, of length 1.

    >>> import pullback as pb
    >>> GlobalAvgPool()(pb.ones((2, 8, 8, 3))).shape
    (2, 3)
    """

    def forward(self, x: Array) -> Array:
        """x: (N, *lengths, C). Returns (N, C)."""
        return global_avg_pool(x, keepdims=self.keepdims)


class GlobalMaxPool(_GlobalPool):
    """The greatest element over all spatial axes: what PyTorch writes as `AdaptiveMaxPool2d(1)` and a `Flatten`.

    keepdims: keep the spatial axes, of length 1.
    """

    def forward(self, x: Array) -> Array:
        """x: (N, *lengths, C). Returns (N, C)."""
        return global_max_pool(x, keepdims=self.keepdims)
