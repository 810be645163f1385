"""Resampling with channels last: images made larger or smaller, and pixels moved between channels and space."""

from collections.abc import Sequence

from ..backends import Array
from ..ops.resampling import channel_shuffle, interpolate, pixel_shuffle, pixel_unshuffle
from ..ops.sizes import whole
from .module import Module

__all__ = [
    "ChannelShuffle",
    "PixelShuffle",
    "PixelUnshuffle",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


class Upsample(Module):
    """Resamples the spatial axes of (N, *lengths, C) to `size`, or to `scale_factor` times their lengths.

    size, scale_factor: one number for all spatial axes, or one for each; one of the two is given.
    mode: `"nearest"`, `"nearest-exact"`, `"linear"`, `"bilinear"`, `"trilinear"`, `"bicubic"` or `"area"`.
    align_corners: whether the centres of the corner pixels stay where they are, rather than the image's edges.
    recompute_scale_factor: whether the factor is taken from the rounded lengths rather than as given.
    Raises ValueError in forward for arguments that do not go together.

    >>> import pullback as pb
    >>> Upsample(scale_factor=2)(pb.ones((1, 3, 4, 2))).shape
    (1, 6, 8, 2)
    """

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest", align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, x: Array) -> Array:
        """x: (N, *lengths, C). Returns (N, *new lengths, C)."""
        return interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)

    def extra_repr(self) -> str:
        """What the lengths become, and how."""
        given = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{given}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resamples images (N, H, W, C) by the nearest pixel; see `Upsample`."""

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Resamples images (N, H, W, C) linearly along both axes, corner pixels aligned; see `Upsample`."""

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """Makes (N, H, W, C * r * r) the larger image (N, H * r, W * r, C) (Shi et al., 2016).

    upscale_factor: r. The channels of the result are made of r * r neighbouring ones each, as PyTorch's are.
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = whole(upscale_factor, "PixelShuffle: upscale_factor")

    def forward(self, x: Array) -> Array:
        """x: (..., H, W, C * r * r). Returns (..., H * r, W * r, C)."""
        return pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Makes (N, H * r, W * r, C) the smaller image (N, H, W, C * r * r): the inverse of `PixelShuffle`.

    downscale_factor: r.
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = whole(downscale_factor, "PixelUnshuffle: downscale_factor")

    def forward(self, x: Array) -> Array:
        """x: (..., H * r, W * r, C). Returns (..., H, W, C * r * r)."""
        return pixel_unshuffle(x, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Takes the channels of `groups` groups in turn, so that a grouped convolution sees all (Zhang et al., 2018).

    >>> import pullback as pb
    >>> ChannelShuffle(2)(pb.reshape(pb.arange(4), (1, 1, 1, 4))).tolist()
    [[[[0, 2, 1, 3]]]]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = whole(groups, "ChannelShuffle: groups")

    def forward(self, x: Array) -> Array:
        """x: (..., C). Returns the same shape."""
        return channel_shuffle(x, self.groups)

    def extra_repr(self) -> str:
        """How many groups there are."""
        return f"groups={self.groups}"
