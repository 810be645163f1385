"""Kernels of convolutions: compiled tiles, or windows gathered for a block of images and one matrix product for it.

The windows of a block fit into the processor's cache, so that they cost little time and no memory. The gradient with
respect to the input gathers windows of the output's gradient (the kernel mirrored), or adds products to where their
windows lie, whichever moves less.
"""

from itertools import product
from math import prod
from typing import Any, TypeAlias

from ..bfloat16 import rounded_once
from ..host import host as np
from ..memory import empty
from ..numba_kernels import convolution as direct
from ..numba_kernels.compiling import is_float, is_worthwhile
from .linear import sum_of_rows
from .parallel import in_blocks
from .table import kernel

__all__: list[str] = []

Lengths: TypeAlias = tuple[int, ...]
Pairs: TypeAlias = tuple[tuple[int, int], ...]

BLOCK = 2**18
"""How many elements the windows of a block have, at most: they fit into a processor's second cache."""
SHORT = 16
"""Of windows with shorter rows of memory, one element at all positions is copied at a time."""


class Windows:
    """The windows of x, as matrices (positions, elements of the kernel and channels) of a block of units at a time.

    A unit is an image, or some of the positions along the first axis of one, where a whole one would be too much.
    """

    def __init__(
        self, x: Any, kernel: Lengths, stride: Lengths, padding: Pairs, dilation: Lengths, groups: int = 1
    ) -> None:
        self.x, self.kernel, self.stride, self.padding, self.dilation = x, kernel, stride, padding, dilation
        self.span = [step * (n - 1) + 1 for n, step in zip(kernel, dilation, strict=True)]
        each = zip(x.shape[1:-1], padding, self.span, stride, strict=True)
        self.positions = tuple((n + sum(pair) - reach) // step + 1 for n, pair, reach, step in each)
        self.channels = x.shape[-1] // groups
        self.width = prod(kernel) * self.channels
        image = prod(self.positions) * self.width
        self.chunks = min(self.positions[0], -(-image // BLOCK))
        self.step = max(1, BLOCK // image) if self.chunks == 1 else 1
        self.units = x.shape[0] * self.chunks
        self.plain = prod(kernel) == 1 and set(stride) == {1}
        run = self.channels * (kernel[-1] if dilation[-1] == 1 else 1)
        self.by_element = run < SHORT

    def blocks(self, start: int, stop: int) -> Any:
        """The blocks of some of the units: images, and positions along the first axis."""
        first = self.positions[0]
        for unit in range(start, stop, self.step):
            if self.chunks == 1:
                yield slice(unit, min(unit + self.step, stop)), slice(0, first)
            else:
                image, chunk = divmod(unit, self.chunks)
                yield slice(image, image + 1), slice(*(first * (chunk + i) // self.chunks for i in (0, 1)))

    def scratch(self) -> Any:
        """Memory for one block."""
        rows = self.step * -(-self.positions[0] // self.chunks) * prod(self.positions[1:])
        return np.empty(0 if self.plain else rows * self.width, self.x.dtype)

    def part(self, images: slice, first: slice, channels: slice) -> Any:
        """What of x, with its padding, is under the kernel at these positions."""
        ends = [(n - 1) * step + reach for n, step, reach in zip(self.positions, self.stride, self.span, strict=True)]
        low, high = [0] * len(ends), ends
        low[0], high[0] = first.start * self.stride[0], (first.stop - 1) * self.stride[0] + self.span[0]
        low = [a - before for a, (before, _) in zip(low, self.padding, strict=True)]
        high = [b - before for b, (before, _) in zip(high, self.padding, strict=True)]
        lengths = self.x.shape[1:-1]
        inner = [slice(max(a, 0), max(min(b, n), 0)) for a, b, n in zip(low, high, lengths, strict=True)]
        part = self.x[(images, *inner, channels)]
        if all(a >= 0 and b <= n for a, b, n in zip(low, high, lengths, strict=True)):
            return part
        whole = np.zeros((part.shape[0], *(b - a for a, b in zip(low, high, strict=True)), part.shape[-1]), part.dtype)
        if part.size:
            places = [slice(max(-a, 0), max(-a, 0) + n) for a, n in zip(low, part.shape[1:-1], strict=True)]
            whole[(slice(None), *places)] = part
        return whole

    def matrix(self, images: slice, first: slice, group: int, scratch: Any) -> Any:
        """The windows of a block, of the channels of one group."""
        start = group * self.channels
        positions = (first.stop - first.start, *self.positions[1:])
        rows = (images.stop - images.start) * prod(positions)
        part = self.part(images, first, slice(start, start + self.channels))
        if self.plain:
            return part.reshape(rows, self.channels)
        image, *axes, channel = part.strides
        steps = [size * step for size, step in zip(axes, self.stride, strict=True)]
        offsets = [size * step for size, step in zip(axes, self.dilation, strict=True)]
        outer, inner = (part.shape[0], *positions), (*self.kernel, self.channels)
        if self.by_element:
            shape, strides = (*inner, *outer), (*offsets, channel, image, *steps)
        else:
            shape, strides = (*outer, *inner), (image, *steps, *offsets, channel)
        gathered = scratch[: rows * self.width].reshape(shape)
        np.copyto(gathered, np.lib.stride_tricks.as_strided(part, shape, strides))
        return gathered.reshape(self.width, rows).T if self.by_element else gathered.reshape(rows, self.width)


def _is_direct(x: Any, of: direct.Geometry, channels: int, positions: Lengths) -> bool:
    """Whether compiled tiles take it. Where no windows overlap it is one matrix product, and BLAS's."""
    size = x.shape[0] * max(prod(of.lengths) * of.ins, prod(of.positions) * of.out)
    plain = prod(of.kernel) == 1 and set(of.stride) == {1}
    return is_worthwhile(size) and not plain and direct.is_direct(of, channels, positions, x.itemsize)


def _same_floats(*arrays: Any) -> bool:
    """Whether BLAS has products of them."""
    kind = arrays[0].dtype
    return is_float(kind) and all(a is None or a.dtype == kind for a in arrays)


def _convolved(x: Any, weight: Any, bias: Any, windows: Windows, groups: int) -> Any:
    out = weight.shape[0] // groups
    y = empty((x.shape[0], *windows.positions, weight.shape[0]), x.dtype)
    matrices = weight.reshape(groups, out, windows.width).swapaxes(1, 2)

    def run(start: int, stop: int) -> None:
        scratch = windows.scratch()
        for images, first in windows.blocks(start, stop):
            rows = y[images, first].reshape(-1, weight.shape[0])
            for group in range(groups):
                matrix = windows.matrix(images, first, group, scratch)
                np.matmul(matrix, matrices[group], out=rows[:, group * out : (group + 1) * out])
            if bias is not None:
                rows += bias

    in_blocks(run, windows.units, y.size * windows.width)
    return y


@kernel("conv", declines=True)
@rounded_once
def _(x: Any, weight: Any, bias: Any = None, *, stride: Lengths, padding: Pairs, dilation: Lengths, groups: int) -> Any:
    if not _same_floats(x, weight, bias):
        return NotImplemented
    kernel = weight.shape[1:-1]
    windows = Windows(x, kernel, stride, padding, dilation, groups)
    shape = (x.shape[1:-1], windows.positions, x.shape[-1], weight.shape[0])
    of = direct.Geometry(*shape, kernel, stride, padding, dilation, groups)
    if _is_direct(x, of, of.out, of.positions):
        return direct.convolved(x, weight, bias, of)
    return _convolved(x, weight, bias, windows, groups)


@kernel("conv_weight", declines=True)
@rounded_once
def _(
    x: Any, cotangent: Any, *, kernel: Lengths, stride: Lengths, padding: Pairs, dilation: Lengths, groups: int
) -> Any:
    if not _same_floats(x, cotangent):
        return NotImplemented
    windows = Windows(x, kernel, stride, padding, dilation, groups)
    shape = (x.shape[1:-1], windows.positions, x.shape[-1], cotangent.shape[-1])
    of = direct.Geometry(*shape, kernel, stride, padding, dilation, groups)
    if of.out * windows.width <= direct.LARGEST and _is_direct(x, of, of.out, of.positions):
        return direct.weight_gradient(x, cotangent, of)
    out = cotangent.shape[-1] // groups
    totals: dict[int, Any] = {}

    def run(start: int, stop: int) -> None:
        scratch = windows.scratch()
        total = totals[start] = np.zeros((groups, out, windows.width), x.dtype)
        one = np.empty((out, windows.width), x.dtype)
        for images, first in windows.blocks(start, stop):
            rows = cotangent[images, first].reshape(-1, cotangent.shape[-1])
            for group in range(groups):
                matrix = windows.matrix(images, first, group, scratch)
                total[group] += np.matmul(rows[:, group * out : (group + 1) * out].T, matrix, out=one)

    in_blocks(run, windows.units, cotangent.size * windows.width)
    total, *others = (totals[start] for start in sorted(totals))  # in order, so that it is the same every time
    for other in others:
        total += other
    return total.reshape(cotangent.shape[-1], *kernel, windows.channels)


@kernel("conv_transpose", declines=True)
@rounded_once
def _(x: Any, weight: Any, bias: Any = None, *, stride: Lengths, padding: Pairs, dilation: Lengths, groups: int) -> Any:
    if not _same_floats(x, weight, bias):
        return NotImplemented
    kernel = weight.shape[1:-1]
    span = [step * (n - 1) + 1 for n, step in zip(kernel, dilation, strict=True)]
    each = zip(x.shape[1:-1], span, stride, padding, strict=True)
    lengths = tuple((n - 1) * step + reach - sum(pair) for n, reach, step, pair in each)
    shape = (lengths, x.shape[1:-1], weight.shape[-1] * groups, x.shape[-1])
    of = direct.Geometry(*shape, kernel, stride, padding, dilation, groups)
    if _is_direct(x, of, of.ins, tuple(-(-n // step) for n, step in zip(lengths, stride, strict=True))):
        return direct.spread(x, weight, bias, of)
    if set(stride) == {1} and weight.shape[0] <= weight.shape[-1] * groups:
        mirrored = np.flip(weight, axis=tuple(range(1, weight.ndim - 1))).reshape(groups, -1, *weight.shape[1:])
        turned = np.ascontiguousarray(mirrored.swapaxes(1, -1)).reshape(-1, *kernel, weight.shape[0] // groups)
        around = tuple((n - 1 - a, n - 1 - b) for n, (a, b) in zip(span, padding, strict=True))
        return _convolved(x, turned, bias, Windows(x, kernel, stride, around, dilation, groups), groups)
    return _spread(x, weight, bias, span, stride, padding, dilation, groups)


def _spread(
    x: Any, weight: Any, bias: Any, span: list[int], stride: Lengths, padding: Pairs, dilation: Lengths, groups: int
) -> Any:
    """Products added up where their windows lie, for some images at a time."""
    kernel, positions, channels = weight.shape[1:-1], x.shape[1:-1], weight.shape[-1]
    ends = [(n - 1) * step + reach for n, step, reach in zip(positions, stride, span, strict=True)]
    lengths = [n - before - after for n, (before, after) in zip(ends, padding, strict=True)]
    y = empty((x.shape[0], *lengths, groups * channels), x.dtype)
    matrices = weight.reshape(groups, weight.shape[0] // groups, -1)
    width = matrices.shape[2]
    kept = [max(n - max(a, 0) - max(b, 0), 0) for n, (a, b) in zip(ends, padding, strict=True)]
    source = [slice(max(a, 0), max(a, 0) + n) for n, (a, _) in zip(kept, padding, strict=True)]
    place = [slice(max(-a, 0), max(-a, 0) + n) for n, (a, _) in zip(kept, padding, strict=True)]
    exact = all(pair == (0, 0) for pair in padding)
    each = max(1, BLOCK // (prod(positions) * width))
    offsets = list(product(*map(range, kernel)))
    keys = [
        tuple(
            slice(i * far, i * far + step * (n - 1) + 1, step)
            for i, far, step, n in zip(at, dilation, stride, positions, strict=True)
        )
        for at in offsets
    ]

    def run(start: int, stop: int) -> None:
        columns = np.empty((min(each, stop - start) * prod(positions), width), x.dtype)
        for i in range(start, stop, each):
            images = slice(i, min(i + each, stop))
            rows = x[images].reshape(-1, x.shape[-1])
            target = y[images] if exact else np.empty((images.stop - i, *ends, y.shape[-1]), x.dtype)
            target[...] = 0
            for group, matrix in enumerate(matrices):
                n = len(matrix)
                found = np.matmul(rows[:, group * n : (group + 1) * n], matrix, out=columns[: len(rows)])
                parted = found.reshape(images.stop - i, *positions, len(offsets), channels)
                inside = target[..., group * channels : (group + 1) * channels]
                for number, key in enumerate(keys):
                    inside[(slice(None), *key)] += parted[..., number, :]
            if not exact:
                y[images] = 0
                y[(images, *place)] = target[(slice(None), *source)]
            if bias is not None:
                y[images] += bias

    in_blocks(run, x.shape[0], x.size // groups * width)
    return y


@kernel("conv.vjp(bias)")
@kernel("conv_transpose.vjp(bias)")
def _(g: Any) -> Any:
    return sum_of_rows(g.reshape(-1, g.shape[-1]))
