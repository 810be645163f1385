"""Resampling: pixels read between pixels, and pixels moved between channels and space. Channels come last."""

from collections.abc import Sequence
from math import floor

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, integers, normal
from ..autodiff.op import op
from ..backends import Array, Namespace, array_beside, dtype_name
from .floating import check_floating
from .manipulation import permute_dims, reshape
from .sizes import each_axis, ratios, shape_of, whole
from .taps import Taps, adaptive, identity, nearest, resampled, sliding

__all__ = ["channel_shuffle", "interpolate", "pixel_shuffle", "pixel_unshuffle"]

_MODES = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2, "nearest": 0, "nearest-exact": 0, "area": 0}
"""The modes, and for how many spatial axes each is; 0 for any."""
_UP = resampled(3, 7, "linear", None, False, False)
_CUBIC = resampled(5, 4, "cubic", None, True, False)


@autocasts_to("float32")
@op(
    examples=[
        example(normal(2, 5, 3), taps=(sliding(5, 3, 2, 1, divisor="inside"),)),
        example(normal(2, 4, 5, 3), taps=(sliding(4, 2, 2), adaptive(5, 3))),
        example(normal(1, 3, 5, 2), taps=(_UP, _CUBIC)),
        example(normal(7, 4, 1), taps=(_UP.transposed, identity(4))),
        example(integers(2, 3, 2, high=9), taps=(nearest(3, 6, None, False, False, False),)),
        example(normal(0, 4, 2), taps=(sliding(4, 2, 1),)),
        example(normal(2, 4, 2, dtype="complex128"), taps=(adaptive(4, 3),)),
    ]
)
def resample(xp: Namespace, x: Array, /, *, taps: tuple[Taps, ...]) -> Array:
    """A linear map along each of the spatial axes, which stand before the last axis."""
    first = len(x.shape) - 1 - len(taps)
    for axis, along in enumerate(taps, first):
        if along.is_identity:
            continue
        parts = []
        for tap in range(along.indices.shape[1]):
            part = xp.take(x, array_beside(x, along.indices[:, tap]), axis=axis)
            if not along.is_selection:
                column = along.weights[:, tap].reshape(-1, *[1] * (len(x.shape) - axis - 1))
                part = part * xp.astype(array_beside(x, column), x.dtype)
            parts.append(part)
        x = parts[0]
        for part in parts[1:]:
            x = x + part
    return x


@resample.vjp("x")
def _(xp: Namespace, g: Array, *, taps: tuple[Taps, ...]) -> Array:
    return resample(g, taps=tuple(along.transposed for along in taps))


def interpolate(
    x: Array, /, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest", align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:  # fmt: skip
    """An array resampled to other lengths along its spatial axes.

    x: (N, *lengths, C), floating; of any dtype for the nearest pixel.
    size, scale_factor: the new lengths, or by how much they grow (rounded down): one number, or one for each axis.
    mode: `"nearest"`, `"nearest-exact"` (whose pixels are centred, as in other libraries), `"linear"`, `"bilinear"` or
        `"trilinear"` for 1, 2 or 3 spatial axes, `"bicubic"` (Keys, 1981) for 2, or `"area"`, the mean of what a pixel
        covers.
    align_corners: whether the centres of the corner pixels stay where they are, rather than the image's edges.
    recompute_scale_factor: whether the factor is taken from the rounded lengths rather than as given.
    antialias: whether bilinear and bicubic take in all that a pixel covers where an image becomes smaller.
    Returns (N, *new lengths, C) in the dtype of x.
    Raises ValueError for a mode that is not one of these axes, and for arguments that do not go together; TypeError for
    lengths that are no whole numbers.

    >>> import pullback as pb
    >>> interpolate(pb.asarray([[[0.0], [1.0]]]), scale_factor=2, mode="linear").tolist()
    [[[0.0], [0.25], [0.75], [1.0]]]
    """
    shape = shape_of("interpolate", x)
    axes, lengths = len(shape) - 2, shape[1:-1]
    _check_mode(mode, axes, align_corners, antialias, shape)
    if not mode.startswith("nearest"):
        check_floating(f"interpolate with mode={mode!r}", x)
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate takes either size or scale_factor; got {size!r} and {scale_factor!r}")
    scales: tuple[float | None, ...] = (None,) * axes
    if scale_factor is not None:
        factors = ratios(scale_factor, axes, "interpolate: scale_factor")
        scales, counts = factors, tuple(floor(n * factor) for n, factor in zip(lengths, factors, strict=True))
    else:
        counts = each_axis(size, axes, "interpolate: size")
    if recompute_scale_factor:
        if scale_factor is None:
            raise ValueError("recompute_scale_factor goes with scale_factor, not with size")
        scales = (None,) * axes
    if min(counts) < 1 or min(lengths) < 1:
        raise ValueError(f"interpolate makes at least one pixel of at least one; got {lengths} to {counts}")
    if mode == "area":
        return resample(x, taps=tuple(map(adaptive, lengths, counts)))
    facts = list(zip(lengths, counts, scales, strict=True))
    if mode.startswith("nearest"):
        rounding = mode == "nearest-exact", axes == 2, dtype_name(x.dtype) == "float64"
        return resample(x, taps=tuple(nearest(*fact, *rounding) for fact in facts))
    kind = "cubic" if mode == "bicubic" else "linear"
    return resample(x, taps=tuple(resampled(n, m, kind, s, bool(align_corners), antialias) for n, m, s in facts))


def _check_mode(mode: str, axes: int, align_corners: bool | None, antialias: bool, shape: tuple[int, ...]) -> None:
    if not isinstance(mode, str) or mode not in _MODES:
        raise ValueError(f"mode is one of {', '.join(_MODES)}; got {mode!r}")
    wanted = _MODES[mode]
    if axes < 1 or (wanted and wanted != axes):
        raise ValueError(
            f"interpolate with mode={mode!r} takes (N, *lengths, C) with {wanted or '1 or more'} lengths; "
            f"got shape {shape}"
        )
    if align_corners is not None and not mode.endswith(("linear", "cubic")):
        raise ValueError(f"align_corners goes with the modes that are linear or cubic; got mode={mode!r}")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"antialias goes with the modes bilinear and bicubic; got mode={mode!r}")


def pixel_shuffle(x: Array, /, upscale_factor: int) -> Array:
    """Channels laid out in space: each pixel becomes a square of `upscale_factor` pixels a side (Shi et al., 2016).

    x: (..., H, W, C * r * r). Returns (..., H * r, W * r, C). A channel of the result is made of r * r neighbouring
    channels of x, row by row.
    Raises ValueError where the channels cannot be parted so.

    >>> import pullback as pb
    >>> pixel_shuffle(pb.reshape(pb.arange(4), (1, 1, 4)), 2)[..., 0]
    Tensor([[0, 1],
            [2, 3]], dtype=int64)
    """
    r, shape = whole(upscale_factor, "pixel_shuffle: upscale_factor"), shape_of("pixel_shuffle", x)
    if len(shape) < 3 or shape[-1] % (r * r):
        raise ValueError(f"pixel_shuffle by {r} takes (..., H, W, C * {r} * {r}); got shape {shape}")
    (*lead, h, w, c), n = shape, len(shape) - 3
    parted = reshape(x, (*lead, h, w, c // (r * r), r, r))
    moved = permute_dims(parted, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return reshape(moved, (*lead, h * r, w * r, c // (r * r)))


def pixel_unshuffle(x: Array, /, downscale_factor: int) -> Array:
    """Space laid out in channels: the inverse of `pixel_shuffle`.

    x: (..., H * r, W * r, C). Returns (..., H, W, C * r * r).
    Raises ValueError where the lengths are no multiples of r.
    """
    r, shape = whole(downscale_factor, "pixel_unshuffle: downscale_factor"), shape_of("pixel_unshuffle", x)
    if len(shape) < 3 or shape[-3] % r or shape[-2] % r:
        raise ValueError(f"pixel_unshuffle by {r} takes (..., H * {r}, W * {r}, C); got shape {shape}")
    (*lead, h, w, c), n = shape, len(shape) - 3
    parted = reshape(x, (*lead, h // r, r, w // r, r, c))
    moved = permute_dims(parted, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return reshape(moved, (*lead, h // r, w // r, c * r * r))


def channel_shuffle(x: Array, /, groups: int) -> Array:
    """The channels of `groups` groups taken in turn, so that a grouped convolution sees all (Zhang et al., 2018).

    x: (..., C). Returns the same shape. Raises ValueError where C is no multiple of `groups`.

    >>> import pullback as pb
    >>> channel_shuffle(pb.arange(6), 2)
    Tensor([0, 3, 1, 4, 2, 5], dtype=int64)
    """
    groups, shape = whole(groups, "channel_shuffle: groups"), shape_of("channel_shuffle", x)
    if not shape or shape[-1] % groups:
        raise ValueError(f"channel_shuffle takes (..., C) with C a multiple of groups={groups}; got shape {shape}")
    (*lead, c), n = shape, len(shape) - 1
    parted = reshape(x, (*lead, groups, c // groups))
    return reshape(permute_dims(parted, (*range(n), n + 1, n)), shape)
