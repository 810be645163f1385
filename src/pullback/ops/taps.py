"""Taps: which places along an axis each place of a result is made of, and with what weights.

Pooling and resampling are such maps along one axis after the other. They are constant, so they are worked out on
the host, once for each length, and an op is told them as metadata.
"""

from functools import cached_property, lru_cache
from typing import Any

from ..backends.host import host

__all__ = [
    "Taps", "adaptive", "cubic_far", "cubic_near", "identity", "nearest", "resampled", "sliding", "sliding_count",
]  # fmt: skip

_CACHED = 512
"""How many maps are remembered, of each kind."""


class Taps:
    """A linear map along an axis: `y[i] = sum over k of weights[i, k] * x[indices[i, k]]`.

    length: of the input's axis. indices, weights: (length of the result, taps), host arrays. A place that has fewer
    taps than others names one of them again, with the weight 0, so that a maximum over the taps is right too.
    """

    def __init__(self, length: int, indices: Any, weights: Any) -> None:
        self.length = length
        self.indices = host.ascontiguousarray(indices, dtype=host.int64)
        self.weights = host.ascontiguousarray(weights, dtype=host.float64)

    @property
    def count(self) -> int:
        """The length of the result's axis."""
        return int(self.indices.shape[0])

    @cached_property
    def is_selection(self) -> bool:
        """Whether every place is one of the input's, as it is."""
        return self.indices.shape[1] == 1 and bool((self.weights == 1).all())

    @cached_property
    def is_identity(self) -> bool:
        """Whether the result is the input."""
        return self.is_selection and host.array_equal(self.indices[:, 0], host.arange(self.length))

    @cached_property
    def slices(self) -> tuple[slice | None, ...]:
        """For each tap the slice of the input that it reads, where there is one."""
        return tuple(map(_slice_of, self.indices.T))

    @cached_property
    def transposed(self) -> "Taps":
        """The transpose of the map: from the result's axis back to the input's."""
        places, taps = host.nonzero(self.weights)
        read = self.indices[places, taps]
        order = host.argsort(read, kind="stable")
        read = read[order]
        starts, ends = (host.searchsorted(read, host.arange(self.length), side=side) for side in ("left", "right"))
        indices = host.zeros((self.length, max(int((ends - starts).max(initial=1)), 1)), dtype=host.int64)
        weights = host.zeros(indices.shape)
        indices += host.where(ends > starts, places[order][host.minimum(starts, len(order) - 1)], 0)[:, None]
        column = host.arange(len(read)) - starts[read]
        indices[read, column] = places[order]
        weights[read, column] = self.weights[places, taps][order]
        return Taps(self.count, indices, weights)

    def __repr__(self) -> str:
        return f"<{self.length} to {self.count}>"


def _slice_of(column: Any) -> slice | None:
    """The slice that reads these places, if they rise in equal steps."""
    if len(column) == 1:
        return slice(int(column[0]), int(column[0]) + 1)
    steps = column[1:] - column[:-1]
    if (steps != steps[0]).any() or steps[0] < 1:
        return None
    return slice(int(column[0]), int(column[-1]) + 1, int(steps[0]))


@lru_cache(_CACHED)
def identity(length: int) -> Taps:
    """The map that changes nothing."""
    return Taps(length, host.arange(length)[:, None], host.ones((length, 1)))


def sliding_count(length: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows there are along an axis; none or fewer where none fits.

    ceil_mode: count one that reaches past the end too, if it starts before it.
    """
    room = length + 2 * padding - dilation * (kernel - 1) - 1
    count = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    return count - (ceil_mode and (count - 1) * stride >= length + padding)


@lru_cache(_CACHED)
def sliding(
    length: int, kernel: int, stride: int, padding: int = 0, dilation: int = 1, ceil_mode: bool = False,
    divisor: str = "one",
) -> Taps:  # fmt: skip
    """The taps of windows at equal distances; what lies in the padding has the weight 0.

    divisor: the weights are 1 divided by `"one"`, by how many taps the window has `"inside"` the input, or by how
        many it has there and in the `"padding"`.
    """
    count = sliding_count(length, kernel, stride, padding, dilation, ceil_mode)
    starts = host.arange(count)[:, None] * stride - padding
    taps = host.broadcast_to(host.arange(kernel)[None, :], (count, kernel))
    places = starts + taps * dilation
    inside = (places >= 0) & (places < length)
    if not inside.any(axis=1).all():
        raise ValueError(
            f"some windows of {kernel} places, {dilation} apart, over a length of {length} lie wholly in a padding of "
            f"{padding}; make it or the dilation smaller, or the input longer"
        )
    first, last = inside.argmax(axis=1)[:, None], kernel - 1 - inside[:, ::-1].argmax(axis=1)[:, None]
    totals = {
        "one": host.ones((count, 1)),
        "inside": inside.sum(axis=1, keepdims=True),
        "padding": host.minimum(starts + kernel, length + padding) - starts,
    }
    return Taps(length, starts + host.clip(taps, first, last) * dilation, inside / totals[divisor])


@lru_cache(_CACHED)
def adaptive(length: int, count: int) -> Taps:
    """The means of `count` regions that cover an axis, as equal in length as can be; they may overlap by one place."""
    places = host.arange(count)
    starts, ends = places * length // count, -((-(places + 1) * length) // count)
    sizes = (ends - starts)[:, None]
    taps = host.arange(int(sizes.max(initial=1)))[None, :]
    return Taps(length, starts[:, None] + host.minimum(taps, sizes - 1), (taps < sizes) / sizes)


@lru_cache(_CACHED)
def nearest(length: int, count: int, scale: float | None, centred: bool, flat: bool, double: bool) -> Taps:
    """The taps of the nearest place, which is not quite the nearest unless `centred`.

    scale: by how much the axis was said to become longer, or None. flat: whether there are two spatial axes. double:
    whether the values are in double precision. PyTorch rounds both ways, and ignores the scale where an image stays as
    it is or doubles; a product near a whole number shows it.
    """
    kind: Any = host.float64 if double and not flat else host.float32
    step = 1 / scale if scale else length / count
    if flat and not centred and count in (length, 2 * length):
        step = length / count
    source = (host.arange(count).astype(kind) + kind(0.5 if centred else 0)) * kind(step)
    places = host.floor(source.astype(host.float32)).astype(host.int64)
    return Taps(length, host.minimum(places, length - 1)[:, None], host.ones((count, 1)))


@lru_cache(_CACHED)
def resampled(length: int, count: int, mode: str, scale: float | None, align_corners: bool, antialias: bool) -> Taps:
    """The taps of an interpolation along one axis.

    mode: `"linear"` or `"cubic"`. scale: by how much the axis was said to become longer, or None.
    """
    places: Any = host.arange(count)
    if align_corners:
        step = (length - 1) / (count - 1) if count > 1 else 0.0
    else:
        step = 1 / scale if scale else length / count
    if antialias:
        return _smoothed(length, count, mode, step)
    source = places * step if align_corners else (places + 0.5) * step - 0.5
    if mode == "linear":
        source = places if count == length else host.maximum(source, 0)
    start = host.floor(source).astype(host.int64)
    taps = host.arange(2)[None, :] if mode == "linear" else host.arange(-1, 3)[None, :]
    weight = _triangle if mode == "linear" else _cubic
    distances = (source - start)[:, None] - taps
    return Taps(length, host.clip(start[:, None] + taps, 0, length - 1), weight(distances))


def _smoothed(length: int, count: int, mode: str, step: float) -> Taps:
    """Interpolation that, where the axis becomes shorter, takes in all places that a result's place covers."""
    wide = max(step, 1.0)
    reach = (1 if mode == "linear" else 2) * wide
    centres = step * (host.arange(count) + 0.5)
    starts = host.maximum((centres - reach + 0.5).astype(host.int64), 0)
    ends = host.minimum((centres + reach + 0.5).astype(host.int64), length)
    sizes = (ends - starts)[:, None]
    taps = host.arange(int(sizes.max()))[None, :]
    distances = (taps + starts[:, None] - centres[:, None] + 0.5) / wide
    weights = host.where(taps < sizes, _triangle(distances) if mode == "linear" else _cubic(distances, -0.5), 0.0)
    return Taps(length, starts[:, None] + host.minimum(taps, sizes - 1), weights / weights.sum(axis=1, keepdims=True))


def _triangle(x: Any) -> Any:
    return host.maximum(1 - host.abs(x), 0)


def _cubic(x: Any, a: float = -0.75) -> Any:
    x = host.abs(x)
    return host.where(x <= 1, cubic_near(x, a), host.where(x < 2, cubic_far(x, a), 0.0))


def cubic_near(t: Any, a: float = -0.75) -> Any:
    """Cubic convolution (Keys, 1981) at distances up to 1; `a` is its slope there."""
    return ((a + 2) * t - (a + 3)) * t * t + 1


def cubic_far(t: Any, a: float = -0.75) -> Any:
    """Cubic convolution at distances between 1 and 2, where it ends."""
    return a * (((t - 5) * t + 8) * t - 4)
