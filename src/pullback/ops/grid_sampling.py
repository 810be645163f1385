"""Images read at any points: grid_sample, and the points that an affine map gives. Channels come last."""

from collections.abc import Sequence
from itertools import product
from math import nan, prod
from typing import Any

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, normal, uniform, values
from ..autodiff.op import op
from ..backends import Array, Namespace
from .elementwise import abs as absolute
from .elementwise import clip, floor, isinf, isnan
from .floating import check_floating
from .linear_algebra import matmul, matrix_transpose
from .precision import in_float32
from .searching import where
from .sizes import each_axis
from .taps import cubic_far, cubic_near

__all__ = ["affine_grid", "grid_sample"]

_POINTS = uniform(2, 3, 2, 2, low=-0.9, high=0.9)
_BEYOND = values([[[[-1.3, 0.2], [0.45, 1.7]]]])


@autocasts_to("float32")
@op(
    examples=[
        example(normal(2, 4, 5, 3), _POINTS),
        example(normal(2, 4, 5, 1), _POINTS, mode="bicubic", align_corners=True),
        example(normal(1, 4, 5, 2), _BEYOND, padding_mode="reflection"),
        example(normal(1, 4, 5, 2), _BEYOND, padding_mode="reflection", align_corners=True),
        example(normal(1, 3, 4, 2), _BEYOND, padding_mode="border", mode="bicubic"),
        example(normal(1, 3, 4, 2), _BEYOND),
        example(normal(2, 3, 2, 4, 1), uniform(2, 2, 1, 3, 3, low=0.05, high=0.2), padding_mode="border"),
        example(normal(2, 4, 5, 3), _POINTS._replace(differentiable=False), mode="nearest"),
    ]
)
@in_float32
def grid_sample(
    xp: Namespace, x: Array, grid: Array, /, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Array:  # fmt: skip
    """An image read at given points, between its pixels too (Jaderberg et al., 2015).

    x: (N, H, W, C), or (N, D, H, W, C). grid: (N, *positions, 2), or (N, *positions, 3): for each position of the
        result the point (x, y), or (x, y, z), in which -1 and 1 are the ends of the width, the height and the depth.
    mode: `"bilinear"` (of volumes too), `"nearest"`, or `"bicubic"` for images.
    padding_mode: what lies outside: `"zeros"`, the nearest pixel of the `"border"`, or the `"reflection"` of the image.
        A coordinate that is NaN lies outside too, before the first pixel; in a reflection, an infinite one as well.
    align_corners: whether -1 and 1 are the centres of the corner pixels, rather than the image's edges.
    Returns (N, *positions, C).
    Raises ValueError for shapes and modes that do not go together, and for an image without a pixel; TypeError for
    arrays that are not floating.
    """
    check_floating("grid_sample", x)
    check_floating("grid_sample, as its points,", grid)
    shape, axes = tuple(x.shape), len(x.shape) - 2
    if axes not in (2, 3) or len(grid.shape) != axes + 2 or (grid.shape[0], grid.shape[-1]) != (shape[0], axes):
        raise ValueError(
            "grid_sample takes (N, H, W, C) with points (N, *positions, 2), or (N, D, H, W, C) with "
            f"(N, *positions, 3); got {shape} and {tuple(grid.shape)}"
        )
    (n, *lengths, c), positions = shape, tuple(grid.shape[1:-1])
    if 0 in lengths:
        raise ValueError(f"grid_sample takes images of at least one pixel; got shape {shape}")
    if mode not in ("bilinear", "nearest", "bicubic") or (mode == "bicubic" and axes == 3):
        raise ValueError(f"mode is 'bilinear', 'nearest' or, for images, 'bicubic'; got {mode!r} for {axes} axes")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"padding_mode is 'zeros', 'border' or 'reflection'; got {padding_mode!r}")
    along = []
    for axis, length in enumerate(lengths):
        point = xp.reshape(grid[..., axes - 1 - axis], (-1,))
        # Infinities make no sums: they are NaN, or end where there is nothing but the border.
        point = clip(point, -9.0, 9.0) if padding_mode == "border" else where(isinf(point), nan, point)
        place = (point + 1) * ((length - 1) / 2) if align_corners else ((point + 1) * length - 1) / 2
        along.append(_taps(xp, place, length, mode, padding_mode, align_corners))
    first = xp.arange(n, dtype=xp.int64, device=x.device)
    first = xp.reshape(xp.broadcast_to(xp.expand_dims(first, axis=1), (n, prod(positions))), (-1,))
    rows, total = xp.reshape(x, (n * prod(lengths), c)), 0.0
    for taps in product(*along):
        read, weight = first, 1.0
        for (places, share), length in zip(taps, lengths, strict=True):
            read, weight = read * length + places, weight * share
        total = total + xp.take(rows, read, axis=0) * xp.expand_dims(weight, axis=-1)
    return xp.reshape(total, (n, *positions, c))


def _taps(
    xp: Namespace, place: Array, length: int, mode: str, padding_mode: str, align_corners: bool
) -> list[tuple[Array, Array]]:
    """The pixels that points along one axis are made of, and with what weights: 0 for those outside."""

    def tap(at: Array, weight: Array) -> tuple[Array, Array]:
        at = _inside(xp, at, length, padding_mode, align_corners) if mode == "bicubic" else at
        held = clip(at, 0.0, length - 1.0)
        known = where(isnan(held), 0.0, held)  # what NaN is as a whole number depends on the machine
        return xp.astype(known, xp.int64), where(held == at, weight, 0.0)

    if mode != "bicubic":
        place = _inside(xp, place, length, padding_mode, align_corners)
    if mode == "nearest":
        nearest = xp.round(place)
        return [tap(nearest, xp.ones_like(place))]
    start = floor(place)
    t = where(isnan(place), 0.0, place - start)
    if mode == "bilinear":
        return [tap(start, 1 - t), tap(start + 1, t)]
    weights = (cubic_far(t + 1), cubic_near(t), cubic_near(1 - t), cubic_far(2 - t))
    return [tap(start + shift, weight) for shift, weight in enumerate(weights, -1)]


def _inside(xp: Namespace, place: Array, length: int, padding_mode: str, align_corners: bool) -> Array:
    """Points outside an axis taken back to it, and those that are nowhere to its start."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        least, span = (0.0, length - 1.0) if align_corners else (-0.5, float(length))
        distance = absolute(place - least)
        turns = floor(distance / (span or 1.0))
        rest = distance - turns * span
        place = where(xp.remainder(turns, 2.0) == 0, rest + least, span - rest + least)
    return where(isnan(place), 0.0, clip(place, 0.0, length - 1.0))


@autocasts_to("float32")
@op(
    examples=[
        example(normal(2, 2, 3), size=(2, 3, 4, 1)),
        example(normal(1, 3, 4), size=(1, 2, 3, 2, 1), align_corners=True),
    ]
)
def affine_grid(xp: Namespace, theta: Array, /, size: Sequence[int], align_corners: bool = False) -> Array:
    """The points that affine maps give for each pixel of a result: the grid of `grid_sample`.

    theta: (N, 2, 3) for images, (N, 3, 4) for volumes: matrices that are applied to (x, y, 1), or (x, y, z, 1).
    size: the result's shape, (N, H, W, C) or (N, D, H, W, C). align_corners: as for `grid_sample`.
    Returns (N, H, W, 2), or (N, D, H, W, 3).
    Raises ValueError where theta and the size do not go together.
    """
    axes = len(size) - 2 if hasattr(size, "__len__") else 0
    if axes not in (2, 3) or tuple(theta.shape) != (size[0], axes, axes + 1):
        raise ValueError(
            f"affine_grid takes theta (N, 2, 3) with size (N, H, W, C), or (N, 3, 4) with (N, D, H, W, C); got "
            f"{tuple(theta.shape)} and {size!r}"
        )
    lengths = each_axis(size[1:-1], axes, "affine_grid: size")
    columns: list[Any] = []
    for axis, length in enumerate(lengths):
        end = 0.0 if length == 1 else 1.0 if align_corners else 1 - 1 / length
        line = xp.linspace(-end, end, length, dtype=theta.dtype, device=theta.device)
        line = xp.reshape(line, (-1, *[1] * (axes - 1 - axis)))
        columns.append(xp.reshape(xp.broadcast_to(line, lengths), (-1,)))
    points = xp.stack([*reversed(columns), xp.ones_like(columns[0])], axis=-1)
    return xp.reshape(matmul(points, matrix_transpose(theta)), (size[0], *lengths, axes))
