"""Padding and windows as modules, over the spatial axes; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

from ..backends import Array
from ..ops.padding import Mode, pad
from ..ops.sizes import PerAxis, each_axis, spatial_shape, whole
from ..ops.windows import fold, unfold
from .module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "Fold",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "Unfold", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class Padding(Module):
    """What the padding layers share.

    padding: one number for all sides, or (left, right), (left, right, top, bottom), (left, right, top, bottom, front,
        back), as PyTorch has it: the last spatial axis first. A negative number cuts so many elements off.
    Takes (N, *lengths, C), or one sample without N; the channels are never padded.
    Raises ValueError for another count of numbers, and for an input that does not fit; TypeError for other than whole
    numbers.
    """

    axes: ClassVar[int]
    """How many spatial axes there are."""
    mode: ClassVar[Mode]
    value: float = 0.0

    def __init__(self, padding: PerAxis) -> None:
        super().__init__()
        given = padding if isinstance(padding, Sequence) else (padding,) * (2 * self.axes)
        if len(given) != 2 * self.axes:
            raise ValueError(
                f"{type(self).__name__} takes a whole number, or {2 * self.axes} of them, two for each axis, the last "
                f"axis first; got {padding!r}"
            )
        self.padding = tuple(whole(n, f"{type(self).__name__}: padding", least=None) for n in given)

    def forward(self, x: Array) -> Array:
        """x: (N, *lengths, C), or (*lengths, C). Returns it with longer (or shorter) spatial axes."""
        shape = spatial_shape(type(self).__name__, x, self.axes)
        pairs = zip(self.padding[-2::-2], self.padding[::-2], strict=True)
        around = ((0, 0),) * (len(shape) - 1 - self.axes)
        return pad(x, (*around, *pairs, (0, 0)), mode=self.mode, value=self.value)

    def extra_repr(self) -> str:
        """The padding."""
        return str(self.padding)


class _ConstantPad(Padding):
    mode = "constant"

    def __init__(self, padding: PerAxis, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """The padding and the constant."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A constant around sequences (N, L, C); see `Padding` for the arguments.

    >>> import pullback as pb
    >>> ConstantPad1d((1, 0), 2.5)(pb.tensor([[1.0], [3.0]])).tolist()
    [[2.5], [1.0], [3.0]]
    """

    axes = 1


class ConstantPad2d(_ConstantPad):
    """A constant around images (N, H, W, C); see `Padding` for the arguments."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """A constant around volumes (N, D, H, W, C); see `Padding` for the arguments."""

    axes = 3


class ZeroPad1d(Padding):
    """Zeros around sequences (N, L, C); see `Padding` for the arguments."""

    axes = 1
    mode = "constant"


class ZeroPad2d(Padding):
    """Zeros around images (N, H, W, C); see `Padding` for the arguments."""

    axes = 2
    mode = "constant"


class ZeroPad3d(Padding):
    """Zeros around volumes (N, D, H, W, C); see `Padding` for the arguments."""

    axes = 3
    mode = "constant"


class ReflectionPad1d(Padding):
    """The mirror image around sequences (N, L, C); see `Padding` for the arguments.

    >>> import pullback as pb
    >>> pb.squeeze(ReflectionPad1d((2, 0))(pb.tensor([[1.0], [2.0], [3.0]])), axis=-1).tolist()
    [3.0, 2.0, 1.0, 2.0, 3.0]
    """

    axes = 1
    mode = "reflect"


class ReflectionPad2d(Padding):
    """The mirror image around images (N, H, W, C); see `Padding` for the arguments."""

    axes = 2
    mode = "reflect"


class ReflectionPad3d(Padding):
    """The mirror image around volumes (N, D, H, W, C); see `Padding` for the arguments."""

    axes = 3
    mode = "reflect"


class ReplicationPad1d(Padding):
    """The outermost elements repeated around sequences (N, L, C); see `Padding` for the arguments.

    >>> import pullback as pb
    >>> pb.squeeze(ReplicationPad1d((2, 0))(pb.tensor([[1.0], [2.0], [3.0]])), axis=-1).tolist()
    [1.0, 1.0, 1.0, 2.0, 3.0]
    """

    axes = 1
    mode = "replicate"


class ReplicationPad2d(Padding):
    """The outermost elements repeated around images (N, H, W, C); see `Padding` for the arguments."""

    axes = 2
    mode = "replicate"


class ReplicationPad3d(Padding):
    """The outermost elements repeated around volumes (N, D, H, W, C); see `Padding` for the arguments."""

    axes = 3
    mode = "replicate"


class CircularPad1d(Padding):
    """The elements of the other side around sequences (N, L, C); see `Padding` for the arguments.

    >>> import pullback as pb
    >>> pb.squeeze(CircularPad1d((2, 0))(pb.tensor([[1.0], [2.0], [3.0]])), axis=-1).tolist()
    [2.0, 3.0, 1.0, 2.0, 3.0]
    """

    axes = 1
    mode = "circular"


class CircularPad2d(Padding):
    """The elements of the other side around images (N, H, W, C); see `Padding` for the arguments."""

    axes = 2
    mode = "circular"


class CircularPad3d(Padding):
    """The elements of the other side around volumes (N, D, H, W, C); see `Padding` for the arguments."""

    axes = 3
    mode = "circular"


class _Windows(Module):
    def __init__(self, kernel_size: PerAxis, dilation: PerAxis, padding: PerAxis, stride: PerAxis) -> None:
        super().__init__()
        self.kernel_size = each_axis(kernel_size, 2, "kernel_size")
        self.dilation = each_axis(dilation, 2, "dilation")
        self.padding = each_axis(padding, 2, "padding", least=0)
        self.stride = each_axis(stride, 2, "stride")

    def _given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("kernel_size", "dilation", "padding", "stride")}

    def extra_repr(self) -> str:
        """The arguments."""
        return ", ".join(f"{name}={value}" for name, value in self._given().items())


class Unfold(_Windows):
    """The windows of images, each laid out in one row.

    kernel_size, dilation, padding, stride: a number for both spatial axes, or one for each.
    Takes (N, H, W, C), or one image. Returns (N, L, K * C): a row for each of the L positions, with the kernel's K
    elements in order, the channels of each together; in PyTorch (N, C * K, L).

    >>> import pullback as pb
    >>> Unfold(3)(pb.ones((2, 28, 28, 4))).shape
    (2, 676, 36)
    """

    def __init__(self, kernel_size: PerAxis, dilation: PerAxis = 1, padding: PerAxis = 0, stride: PerAxis = 1) -> None:
        super().__init__(kernel_size, dilation, padding, stride)

    def forward(self, x: Array) -> Array:
        """x: (N, H, W, C), or (H, W, C). Returns (N, L, K * C), or (L, K * C)."""
        return unfold(x, **self._given())


class Fold(_Windows):
    """Windows summed back to the images they lie in: the transpose of `Unfold`.

    output_size: the images' height and width. The other arguments and the layout of the rows as for `Unfold`.

    >>> import pullback as pb
    >>> Fold((28, 28), 3)(pb.ones((2, 676, 36))).shape
    (2, 28, 28, 4)
    """

    def __init__(
        self, output_size: PerAxis, kernel_size: PerAxis, dilation: PerAxis = 1, padding: PerAxis = 0,
        stride: PerAxis = 1,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = each_axis(output_size, 2, "output_size")

    def forward(self, x: Array) -> Array:
        """x: (N, L, K * C), or (L, K * C). Returns (N, H, W, C), or (H, W, C)."""
        return fold(x, self.output_size, **self._given())

    def extra_repr(self) -> str:
        """The arguments."""
        return f"output_size={self.output_size}, {super().extra_repr()}"
