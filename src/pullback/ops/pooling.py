"""Pooling: the greatest or the mean of what lies in a window. Channels come last.

Of elements that tie for the greatest the first has the whole gradient, since pooling says which one it took; this
differs from `max`, whose ties share. NaN is greater than all else.
"""

from collections.abc import Sequence
from math import isfinite, prod
from numbers import Real
from typing import Any

from ..autodiff.examples import example, integers, normal, values
from ..autodiff.op import op
from ..autodiff.tensor import Tensor
from ..backends import Array, Namespace, array_beside, dtype_name
from .data_types import astype
from .elementwise import pow as power
from .floating import check_floating
from .indexing import take_along_axis
from .manipulation import reshape
from .random import Generator, default_generator, random_uniform
from .resampling import resample
from .scatter import scatter_add_along_axis
from .searching import where
from .sizes import PerAxis, axes_of, each_axis, is_whole, lengths_of, ratios, shape_of
from .taps import Taps, adaptive, sliding, sliding_count
from .utility import readable, somewhere

__all__ = [
    "adaptive_avg_pool", "adaptive_max_pool", "avg_pool", "fractional_max_pool", "global_avg_pool", "global_max_pool",
    "lp_pool", "max_pool", "max_unpool",
]  # fmt: skip

_TWICE = (sliding(4, 2, 2), sliding(6, 2, 2))
_PADDED = (sliding(4, 3, 2, 1, 1, True), sliding(6, 2, 1, 1, 2))


@op(
    examples=[
        example(normal(2, 4, 6, 3), taps=_TWICE),
        example(normal(2, 4, 6, 3), taps=_PADDED),
        example(normal(3, 5, 2), taps=(adaptive(5, 3),)),
        example(normal(4, 2, 3, 2), taps=(sliding(4, 2, 1), adaptive(2, 1), sliding(3, 3, 3))),
        example(integers(2, 6, 2, high=5), taps=(sliding(6, 3, 3),)),
    ]
)
def _max_pool(xp: Namespace, x: Array, /, *, taps: tuple[Taps, ...]) -> tuple[Array, Array]:
    """The greatest element of each window, and the number of the tap that it is at, counted row by row.

    The last axis goes first: then of those that tie the first row is found, and in it the first column.
    """
    narrow = prod(along.indices.shape[1] for along in taps) <= 256
    numbers: Any = xp.zeros_like(x, dtype=xp.uint8 if narrow else xp.int32)
    weight = 1
    for axis, along in zip(range(len(x.shape) - 2, -1, -1), reversed(taps), strict=False):
        read = [array_beside(x, column) for column in along.indices.T]
        best, number = xp.take(x, read[0], axis=axis), xp.take(numbers, read[0], axis=axis)
        for tap, places in enumerate(read[1:], 1):
            found = xp.take(x, places, axis=axis)
            better = (found > best) | (found != found)
            best = xp.where(better, found, best)
            number = xp.where(better, xp.take(numbers, places, axis=axis) + tap * weight, number)
        x, numbers = best, number
        weight *= along.indices.shape[1]
    return x, numbers


@_max_pool.vjp("x")
def _(xp: Namespace, g: tuple[Array, ...], y: tuple[Array, ...], *, taps: tuple[Taps, ...]) -> Array:
    return _max_unpool(g[0], y[1], taps=taps)


@op(
    examples=[
        example(normal(2, 2, 3, 3), integers(2, 2, 3, 3, high=4), taps=_TWICE),
        example(normal(2, 3, 6, 3), integers(2, 3, 6, 3, high=6), taps=_PADDED),
        example(normal(3, 3, 2), integers(3, 3, 2, high=2), taps=(adaptive(5, 3),)),
        example(normal(2, 1, 2), integers(2, 1, 2, high=700), taps=(adaptive(700, 1),)),
    ]
)
def _max_unpool(xp: Namespace, updates: Array, numbers: Array, /, *, taps: tuple[Taps, ...]) -> Array:
    """What was pooled put back where it was taken from, and summed there: the transpose of pooling."""
    lead, c = tuple(updates.shape[: len(updates.shape) - len(taps) - 1]), updates.shape[-1]
    rows = (prod(lead), prod(along.count for along in taps), c)
    lengths = [along.length for along in taps]
    places = xp.reshape(_places(numbers, taps=taps), rows)
    flat = scatter_add_along_axis(xp.reshape(updates, rows), places, size=prod(lengths), axis=1)
    return xp.reshape(flat, (*lead, *lengths, c))


@_max_unpool.vjp("updates")
def _(xp: Namespace, g: Array, numbers: Array, updates_shape: tuple[int, ...], *, taps: tuple[Taps, ...]) -> Array:
    lead, c = updates_shape[: len(updates_shape) - len(taps) - 1], updates_shape[-1]
    flat = xp.reshape(g, (prod(lead), prod(along.length for along in taps), c))
    places = xp.reshape(_places(numbers, taps=taps), (prod(lead), prod(along.count for along in taps), c))
    return xp.reshape(take_along_axis(flat, places, axis=1), updates_shape)


@op(
    differentiable=False,
    examples=[
        example(integers(2, 2, 3, 3, high=4), taps=_TWICE),
        example(integers(2, 3, 6, 3, high=6), taps=_PADDED),
    ],
)
def _places(xp: Namespace, numbers: Array, /, *, taps: tuple[Taps, ...]) -> Array:
    """The places in the flattened spatial axes of the input that taps, by their numbers, are at."""
    rest = xp.astype(numbers, xp.int64)
    places, stride = xp.zeros_like(rest), 1
    for axis, along in enumerate(reversed(taps), 1):
        width = along.indices.shape[1]
        first = xp.reshape(xp.arange(along.count, dtype=xp.int64, device=rest.device) * width, (-1, *[1] * axis))
        read = xp.reshape(first + xp.remainder(rest, width), (-1,))
        table = array_beside(rest, along.indices.reshape(-1))
        places = places + xp.reshape(xp.take(table, read, axis=0), rest.shape) * stride
        rest = xp.floor_divide(rest, width)
        stride *= along.length
    return places


def max_pool(
    x: Array, /, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0, dilation: PerAxis = 1,
    *, ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest element of each window.

    x: (N, *lengths, C), or, where `kernel_size` is a tuple, any axes before the spatial ones.
    kernel_size, stride, padding, dilation: a number for all spatial axes, or one for each; the stride is by default the
        kernel's size. Padding counts as minus infinity.
    ceil_mode: whether a last window may reach past the end.
    Returns (N, *positions, C). With `return_indices` also where each was, int64, in the same shape: its place in the
    flattened spatial axes of x, the same number for a pixel whichever its channel.
    Raises ValueError where a window does not fit, and where padding is more than half of one.

    >>> import pullback as pb
    >>> x = pb.reshape(pb.asarray([1.0, 5.0, 2.0, 3.0]), (1, 4, 1))
    >>> y, indices = max_pool(x, 2, return_indices=True)
    >>> y.tolist(), indices.tolist()
    ([[[5.0], [3.0]]], [[[1], [3]]])
    """
    axes = axes_of("max_pool", x, kernel_size)
    given = _sizes("max_pool", x, axes, kernel_size, stride, padding, dilation, ceil_mode)
    return _pooled(x, tuple(sliding(*facts, ceil_mode) for facts in given), return_indices)


def adaptive_max_pool(
    x: Array, /, output_size: int | Sequence[int | None] | None, *, return_indices: bool = False
) -> Any:
    """The greatest element of each of so many regions, as equal in size as can be; see `max_pool`.

    output_size: how many regions along each axis, one number for all or one for each; None keeps an axis as it is.
    """
    return _pooled(x, _regions("adaptive_max_pool", x, output_size), return_indices)


def _pooled(x: Array, taps: tuple[Taps, ...], return_indices: bool) -> Any:
    y, numbers = _max_pool(x, taps=taps)
    return (y, _places(numbers, taps=taps)) if return_indices else y


def avg_pool(
    x: Array, /, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    *, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Array:  # fmt: skip
    """The mean of each window.

    x, kernel_size, stride, padding, ceil_mode: as for `max_pool`; padding counts as 0.
    count_include_pad: whether the padding counts among the elements of a window.
    divisor_override: what sums are divided by instead of the number of elements.
    Returns (N, *positions, C) in the dtype of x.
    Raises ValueError where a window does not fit, and TypeError for integers.

    >>> import pullback as pb
    >>> avg_pool(pb.reshape(pb.asarray([1.0, 5.0, 2.0, 3.0]), (1, 4, 1)), 2).tolist()
    [[[3.0], [2.5]]]
    """
    axes = axes_of("avg_pool", x, kernel_size)
    if divisor_override is not None and (not is_whole(divisor_override) or divisor_override == 0):
        raise ValueError(f"divisor_override is a whole number, and not 0; got {divisor_override!r}")
    divisor = "one" if divisor_override is not None else "padding" if count_include_pad else "inside"
    check_floating("avg_pool", x)
    given = _sizes("avg_pool", x, axes, kernel_size, stride, padding, 1, ceil_mode)
    y = resample(x, taps=tuple(sliding(*facts, ceil_mode, divisor) for facts in given))
    return y if divisor_override is None else y / divisor_override


def adaptive_avg_pool(x: Array, /, output_size: int | Sequence[int | None] | None) -> Array:
    """The mean of each of so many regions, as equal in size as can be.

    x: (N, *lengths, C), or, where `output_size` is a tuple, any axes before the spatial ones.
    output_size: how many regions along each axis, one number for all or one for each; None keeps an axis as it is.

    >>> import pullback as pb
    >>> adaptive_avg_pool(pb.reshape(pb.asarray([1.0, 5.0, 3.0]), (1, 3, 1)), 2).tolist()
    [[[3.0], [4.0]]]
    """
    taps = _regions("adaptive_avg_pool", x, output_size)
    check_floating("adaptive_avg_pool", x)
    return resample(x, taps=taps)


def lp_pool(
    x: Array, /, norm_type: float, kernel_size: PerAxis, stride: PerAxis | None = None, *, ceil_mode: bool = False
) -> Array:
    """The p-norm of each window: the p-th root of the sum of p-th powers, for p = `norm_type`.

    x, kernel_size, stride, ceil_mode: as for `avg_pool`. Where the sum is 0, so is the gradient; where it is negative,
    as it can be for odd p, the result is NaN.
    Raises ValueError for a `norm_type` that is 0 or not finite.
    """
    check_norm_type("lp_pool", norm_type)
    axes = axes_of("lp_pool", x, kernel_size)
    count = prod(each_axis(kernel_size, axes, "kernel_size"))
    total = avg_pool(power(x, float(norm_type)), kernel_size, stride, ceil_mode=ceil_mode) * count
    safe = where(total == 0, 1.0, total)
    return where(total == 0, 0.0, power(safe, 1.0 / norm_type))


def check_norm_type(what: str, norm_type: Any) -> None:
    """Raises ValueError where there is no such norm of sums."""
    if not isinstance(norm_type, Real) or not isfinite(norm_type) or norm_type == 0:
        raise ValueError(
            f"{what} takes a finite norm_type that is not 0; got {norm_type!r}. That of infinity is max_pool(abs(x))"
        )


def global_avg_pool(x: Array, /, *, keepdims: bool = False) -> Array:
    """The mean over all spatial axes, those between the first and the last.

    x: (N, *lengths, C). Returns (N, C), or (N, 1, ..., 1, C) with `keepdims`.
    """
    y = adaptive_avg_pool(reshape(x, _flat(x)), 1)
    return reshape(y, (x.shape[0], *[1] * (len(x.shape) - 2 if keepdims else 0), x.shape[-1]))


def global_max_pool(x: Array, /, *, keepdims: bool = False) -> Array:
    """The greatest element over all spatial axes, those between the first and the last.

    x: (N, *lengths, C). Returns (N, C), or (N, 1, ..., 1, C) with `keepdims`.
    """
    y = adaptive_max_pool(reshape(x, _flat(x)), 1)
    return reshape(y, (x.shape[0], *[1] * (len(x.shape) - 2 if keepdims else 0), x.shape[-1]))


def _flat(x: Array) -> tuple[int, ...]:
    """The shape of x with its spatial axes made one."""
    shape = shape_of("pooling", x)
    if len(shape) < 3 or 0 in shape[1:-1]:
        raise ValueError(f"pooling takes (N, *lengths, C), with at least one pixel; got shape {shape}")
    return shape[0], prod(shape[1:-1]), shape[-1]


@op(
    examples=[
        example(normal(2, 3, 2), values([[[0, 4], [2, 1], [5, 5]]] * 2, differentiable=False), size=6),
        example(normal(1, 2, 1), values([[[0], [1]]], differentiable=False), size=3),
    ]
)
def _put_along_axis(xp: Namespace, x: Array, indices: Array, /, *, size: int) -> Array:
    """Zeros (N, size, C) in which each element of x (N, L, C) stands at its index; of several the last.

    Sorted by index, the elements of one place stand together, and the last of them is found by bisection.
    """
    (n, length, c), columns = x.shape, x.shape[0] * x.shape[2]
    first = xp.arange(columns, dtype=xp.int64, device=x.device) * size
    flat = xp.reshape(xp.permute_dims(indices, (0, 2, 1)), (columns, length)) + xp.reshape(first, (-1, 1))
    flat = xp.reshape(flat, (-1,))
    order = xp.argsort(flat, stable=True)
    ranked, places = xp.take(flat, order), xp.arange(columns * size, dtype=xp.int64, device=x.device)
    last = xp.searchsorted(ranked, places, side="right") - 1
    last = xp.where(last < 0, xp.zeros_like(last), last)
    found = xp.take(xp.reshape(xp.permute_dims(x, (0, 2, 1)), (-1,)), xp.take(order, last))
    y = xp.where(xp.take(ranked, last) == places, found, xp.zeros_like(found))
    return xp.permute_dims(xp.reshape(y, (n, c, size)), (0, 2, 1))


@_put_along_axis.vjp("x")
def _(xp: Namespace, g: Array, indices: Array, *, size: int) -> Array:
    count = prod(indices.shape)
    numbers = xp.reshape(xp.arange(count, dtype=xp.int64, device=indices.device), indices.shape)
    stays = take_along_axis(_put_along_axis(numbers, indices, size=size), indices, axis=1) == numbers
    read = take_along_axis(g, indices, axis=1)
    return xp.where(stays, read, xp.zeros_like(read))


def max_unpool(
    x: Array, indices: Array, /, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    *, output_size: Sequence[int] | None = None,
) -> Array:  # fmt: skip
    """Zeros, and each element of x at its index: what `max_pool` took, back in its place.

    x, indices: (N, *positions, C), as `max_pool` with `return_indices` gives them. Of elements with one index the last
        one stays, and has the gradient.
    kernel_size, stride, padding: those of the pooling; they say how long the result is where `output_size` does not.
    output_size: the spatial lengths of the result, or its whole shape (N, *lengths, C).
    Returns (N, *lengths, C).

    >>> import pullback as pb
    >>> x = pb.reshape(pb.asarray([1.0, 5.0, 3.0, 2.0]), (1, 4, 1))
    >>> max_unpool(*max_pool(x, 2, return_indices=True), 2).tolist()
    [[[0.0], [5.0], [3.0], [0.0]]]
    """
    axes = axes_of("max_unpool", x, kernel_size)
    kernel = each_axis(kernel_size, axes, "kernel_size")
    steps = kernel if stride is None else each_axis(stride, axes, "stride")
    pads = each_axis(padding, axes, "padding", least=0)
    positions = tuple(x.shape[-1 - axes : -1])
    if tuple(indices.shape) != tuple(x.shape):
        raise ValueError(f"max_unpool takes an index for each element; got shapes {x.shape} and {indices.shape}")
    if "int" not in dtype_name(indices.dtype):
        raise TypeError(f"max_unpool takes integers for indices; got {dtype_name(indices.dtype)}")
    usual = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(positions, steps, pads, kernel, strict=True))
    lengths = usual if output_size is None else lengths_of(output_size, axes)
    if min(lengths) < 1 or any(abs(n - m) >= s for n, m, s in zip(lengths, usual, steps, strict=True)):
        raise ValueError(
            f"max_unpool gives lengths of 1 or more, less than a stride from {usual}; got output_size={output_size}"
        )
    indices = astype(indices, "int64", copy=False)  # a narrow type may not hold the number of pixels
    if readable(indices) and somewhere((indices < 0) | (indices >= prod(lengths))):
        raise ValueError(f"max_unpool takes indices from 0 to {prod(lengths) - 1}, for the lengths {lengths}")
    lead, c = tuple(x.shape[: -1 - axes]), x.shape[-1]
    rows = (prod(lead), prod(positions), c)
    flat = _put_along_axis(reshape(x, rows), reshape(indices, rows), size=prod(lengths))
    return reshape(flat, (*lead, *lengths, c))


@op(
    differentiable=False,
    examples=[example(normal(2, 5, 6, 2), values([[[0.1, 0.9]] * 2] * 2), kernel=(2, 3), counts=(3, 2))],
)
def _fractional_places(
    xp: Namespace, x: Array, samples: Array, /, *, kernel: tuple[int, ...], counts: tuple[int, ...]
) -> Array:
    """Where the greatest element of each random window is, in the flattened spatial axes: (N, *counts, C)."""
    n, *lengths, c = x.shape
    axes = len(lengths)
    starts = []
    for axis, (length, size, count) in enumerate(zip(lengths, kernel, counts, strict=True)):
        # PyTorch's samples of two axes are for the width first.
        sample = xp.reshape(samples[:, :, axis if axes == 3 else axes - 1 - axis], (n, 1, c))
        numbers = xp.astype(xp.arange(count, dtype=xp.int64, device=x.device), x.dtype)
        step = (length - size) / (count - 1) if count > 1 else 0.0
        first = xp.astype((xp.reshape(numbers, (1, -1, 1)) + sample) * step, xp.int64) - xp.astype(
            sample * step, xp.int64
        )
        last = xp.reshape(numbers == count - 1, (1, -1, 1))
        first = xp.where(last, xp.full_like(first, length - size), first)
        starts.append(xp.reshape(first, (n, *[1] * axis, count, *[1] * (axes - 1 - axis), c)))
    flat = xp.reshape(x, (n, prod(lengths), c))
    best: Any = None
    for number in range(prod(kernel)):
        rest, stride, places = number, 1, 0
        for axis in range(axes - 1, -1, -1):
            places = places + (starts[axis] + rest % kernel[axis]) * stride
            rest, stride = rest // kernel[axis], stride * lengths[axis]
        rows = xp.reshape(places, (n, prod(counts), c))
        found = xp.take_along_axis(flat, rows, axis=1)
        if best is None:
            best, chosen = found, rows
            continue
        better = (found > best) | (found != found)
        best, chosen = xp.where(better, found, best), xp.where(better, rows, chosen)
    return xp.reshape(chosen, (n, *counts, c))


def fractional_max_pool(
    x: Array, /, kernel_size: PerAxis, output_size: PerAxis | None = None,
    *, output_ratio: float | Sequence[float] | None = None, return_indices: bool = False, samples: Any = None,
    generator: Generator | None = None,
) -> Any:  # fmt: skip
    """The greatest element of each of so many windows at random distances (Graham, 2014).

    x: (N, *lengths, C) with 2 or 3 lengths, or, where `kernel_size` is a tuple, one sample without N.
    output_size: how many windows there are along each axis; or output_ratio: that number as a share of the length.
    samples: values in [0, 1) that decide where the windows of each image and channel start, (N, C, axes); uniformly
        drawn where they are not given.
    Returns (N, *positions, C), with `return_indices` also where each was; see `max_pool`.
    Raises ValueError where the windows do not fit, and where not exactly one of output_size and output_ratio is given.
    """
    axes = axes_of("fractional_max_pool", x, kernel_size)
    if len(x.shape) == axes + 1:
        whole = fractional_max_pool(
            reshape(x, (1, *x.shape)), kernel_size, output_size, output_ratio=output_ratio,
            return_indices=return_indices, samples=samples, generator=generator,
        )  # fmt: skip
        return (whole[0][0], whole[1][0]) if return_indices else whole[0]
    n, *lengths, c = x.shape
    kernel = each_axis(kernel_size, axes, "kernel_size")
    output_size, output_ratio = fractions("fractional_max_pool", axes, output_size, output_ratio)
    if output_ratio is not None:
        output_size = tuple(int(length * ratio) for length, ratio in zip(lengths, output_ratio, strict=True))
    counts = each_axis(output_size, axes, "the number of windows")
    if any(count + size - 1 > length for count, size, length in zip(counts, kernel, lengths, strict=True)):
        raise ValueError(
            f"{counts} windows of {kernel} do not fit into {tuple(lengths)}: output + kernel - 1 <= length"
        )
    if samples is None:
        generator = generator or default_generator()
        offset = generator.advance(n * c * axes)
        like = x.detach() if isinstance(x, Tensor) else x
        samples = random_uniform(like, seed=generator.seed, offset=offset, shape=(n, c, axes))
    if shape_of("fractional_max_pool, as its samples,", samples) != (n, c, axes):
        raise ValueError(f"the random samples are (N, C, axes) = {(n, c, axes)}; got shape {tuple(samples.shape)}")
    places = _fractional_places(x, samples, kernel=kernel, counts=counts)
    flat = reshape(x, (n, prod(lengths), c))
    y = take_along_axis(flat, reshape(places, (n, prod(counts), c)), axis=1)
    y = reshape(y, (n, *counts, c))
    return (y, places) if return_indices else y


def fractions(
    what: str, axes: int, output_size: PerAxis | None, output_ratio: float | Sequence[float] | None
) -> tuple[tuple[int, ...] | None, tuple[float, ...] | None]:
    """How many windows there are along each axis, or their shares of the lengths, whichever is given."""
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{what} takes either output_size or output_ratio; got {output_size!r} and {output_ratio!r}")
    if output_ratio is None:
        return each_axis(output_size, axes, f"{what}: output_size"), None
    shares = ratios(output_ratio, axes, f"{what}: output_ratio")
    if max(shares) >= 1:
        raise ValueError(f"{what}: output_ratio is between 0 and 1 for each of {axes} axes; got {output_ratio!r}")
    return None, shares


def _sizes(
    what: str, x: Array, axes: int, kernel_size: PerAxis, stride: PerAxis | None, padding: PerAxis, dilation: PerAxis,
    ceil_mode: bool,
) -> list[tuple[int, int, int, int, int]]:  # fmt: skip
    """For each spatial axis its length, and the kernel's size, stride, padding and dilation."""
    kernel = each_axis(kernel_size, axes, "kernel_size")
    steps = kernel if stride is None else each_axis(stride, axes, "stride")
    pads, gaps = each_axis(padding, axes, "padding", least=0), each_axis(dilation, axes, "dilation")
    found = list(zip(tuple(x.shape[-1 - axes : -1]), kernel, steps, pads, gaps, strict=True))
    for length, size, step, pad, gap in found:
        if 2 * pad > gap * (size - 1) + 1:
            raise ValueError(f"{what}: the padding is at most half of the kernel's {gap * (size - 1) + 1}; got {pad}")
        if length < 1 or sliding_count(length, size, step, pad, gap, ceil_mode) < 1:
            raise ValueError(
                f"{what}: a kernel of {size}, {gap} apart, does not fit into a length of {length} with a padding of "
                f"{pad}; make it smaller, or the input larger"
            )
    return found


def _regions(what: str, x: Array, output_size: Any) -> tuple[Taps, ...]:
    axes = axes_of(what, x, output_size)
    lengths = tuple(x.shape[-1 - axes : -1])
    counts = each_axis(output_size, axes, f"{what}: output_size", optional=True)
    if min(lengths) < 1:
        raise ValueError(f"{what} takes at least one pixel; got lengths {lengths}")
    return tuple(adaptive(n, n if count is None else count) for n, count in zip(lengths, counts, strict=True))
