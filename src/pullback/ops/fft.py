"""The standard's `fft` extension.

A Fourier transform is linear and its matrix symmetric: its vjp is the same transform of the gradient. Those between
real signals and halves of spectra are transposes of each other in pairs, rfft and hfft, ihfft and irfft, but for the
coefficients that stand for two: themselves and their mirror images.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, normal
from ..autodiff.op import Op, op
from ..autodiff.tensor import Tensor
from ..backends import Array, Namespace
from .creation import create
from .precision import in_float32
from .scatter import embed

__all__ = [
    "fft", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifftn", "ifftshift", "ihfft", "irfft", "irfftn", "rfft",
    "rfftfreq", "rfftn",
]  # fmt: skip

Axes = Sequence[int] | None


def _part(shape: tuple[int, ...], axis: int, part: slice) -> tuple[slice, ...]:
    """The key of a part along an axis, and of all along the others."""
    return tuple(part if i == axis % len(shape) else slice(None) for i in range(len(shape)))


def _fitted(x: Array, axis: int, length: int) -> Array:
    """The array cut, or filled up with zeros, to a length along an axis: what a transform does to its input first."""
    shape = tuple(x.shape)
    key = _part(shape, axis, slice(0, min(length, shape[axis])))
    if length == shape[axis]:
        return x
    if length < shape[axis]:
        return x[key]
    return embed(x, shape=tuple(length if i == axis % len(shape) else n for i, n in enumerate(shape)), key=key)


def _lengths(shape: tuple[int, ...], s: Axes, axes: Axes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of a transform, and the length along each."""
    if axes is None:
        if s is not None:
            raise ValueError(f"s={tuple(s)} needs axes=, that say what each length is of")
        axes = range(len(shape))
    if s is not None and len(s) != len(axes):
        raise ValueError(f"s and axes are as many; got s={tuple(s)}, axes={tuple(axes)}")
    sizes = [-1] * len(axes) if s is None else s
    return tuple(shape[a] if n == -1 else n for n, a in zip(sizes, axes, strict=True)), tuple(axes)


_COMPLEX = [
    example(normal(5, dtype="complex128")),
    example(normal(3, 4, dtype="complex128"), axis=0, norm="ortho"),
    example(normal(2, 4, dtype="complex128"), n=6, norm="forward"),
    example(normal(2, 4, dtype="complex128"), n=3),
]


@autocasts_to("float32")
@op(examples=_COMPLEX)
def fft(xp: Namespace, x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Discrete Fourier transform along an axis: the sums of x_j * exp(-2 pi i j k / n).

    x: complex. n: the length, to which x is cut or filled up with zeros; by default that of x.
    norm: "backward" divides nothing, "ortho" by sqrt(n), "forward" by n. Returns complex, of length n.
    """
    return xp.fft.fft(x, n=n, axis=axis, norm=norm)


@autocasts_to("float32")
@op(examples=_COMPLEX)
def ifft(xp: Namespace, x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Inverse of `fft`: the sums of x_k * exp(2 pi i j k / n), over n.

    norm: "backward" divides by n, "ortho" by sqrt(n), "forward" by nothing.
    """
    return xp.fft.ifft(x, n=n, axis=axis, norm=norm)


_COMPLEX_N = [
    example(normal(3, 4, dtype="complex128")),
    example(normal(2, 3, 4, dtype="complex128"), axes=(0, -1), norm="ortho"),
    example(normal(3, 4, dtype="complex128"), s=(5, 2), axes=(1, 0), norm="forward"),
    example(normal(3, 4, dtype="complex128"), s=(-1, 3), axes=(0, 1)),
]


@autocasts_to("float32")
@op(examples=_COMPLEX_N)
def fftn(xp: Namespace, x: Array, /, *, s: Axes = None, axes: Axes = None, norm: str = "backward") -> Array:
    """`fft` along several axes, by default all.

    s: the lengths along `axes`, to which x is cut or filled up; -1 for that of x.
    norm: as for `fft`, n the product of the lengths.
    """
    lengths, axes = _lengths(x.shape, s, axes)
    return xp.fft.fftn(x, s=lengths, axes=axes, norm=norm)


@autocasts_to("float32")
@op(examples=_COMPLEX_N)
def ifftn(xp: Namespace, x: Array, /, *, s: Axes = None, axes: Axes = None, norm: str = "backward") -> Array:
    """Inverse of `fftn`: `ifft` along several axes, by default all."""
    lengths, axes = _lengths(x.shape, s, axes)
    return xp.fft.ifftn(x, s=lengths, axes=axes, norm=norm)


def _symmetric(transform: Op[..., Array]) -> Callable[..., Array]:
    """The vjp of a transform whose matrix is symmetric."""

    def vjp(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, axis: int, norm: str) -> Array:
        return _fitted(transform(g, axis=axis, norm=norm), axis, x_shape[axis])

    return vjp


def _symmetric_n(transform: Op[..., Array]) -> Callable[..., Array]:
    def vjp(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, axes: Axes, norm: str) -> Array:
        axes = range(len(x_shape)) if axes is None else axes
        g = transform(g, axes=axes, norm=norm)
        for axis in axes:
            g = _fitted(g, axis, x_shape[axis])
        return g

    return vjp


fft.vjp("x")(_symmetric(fft))
ifft.vjp("x")(_symmetric(ifft))
fftn.vjp("x")(_symmetric_n(fftn))
ifftn.vjp("x")(_symmetric_n(ifftn))


@op(
    examples=[
        example(normal(2, 3, dtype="complex128"), n=5, axis=-1, factor=0.5),
        example(normal(4), n=6, axis=0, factor=2.0),
    ]
)
@in_float32
def scale_doubles(xp: Namespace, x: Array, /, *, n: int, axis: int, factor: float) -> Array:
    """Half a spectrum with the coefficients that stand for their mirror images too scaled: all but 0 and n / 2.

    x: of length n // 2 + 1 along the axis. n: the length of the signal.
    """
    shape, end = tuple(x.shape), min((n + 1) // 2, x.shape[axis])
    if end < 2:
        return x
    first, doubles, rest = (x[_part(shape, axis, part)] for part in (slice(0, 1), slice(1, end), slice(end, None)))
    return xp.concat((first, doubles * factor, rest), axis=axis)


@scale_doubles.vjp("x")
def _(xp: Namespace, g: Array, *, n: int, axis: int, factor: float) -> Array:
    return scale_doubles(g, n=n, axis=axis, factor=factor)


_REAL = [
    example(normal(5)),
    example(normal(4, 3), axis=0, norm="ortho"),
    example(normal(2, 4), n=7, norm="forward"),
    example(normal(2, 5), n=4),
    example(normal(3), n=1),
]
_HALF = [
    example(normal(4, dtype="complex128")),
    example(normal(3, 4, dtype="complex128"), axis=0, norm="ortho"),
    example(normal(2, 4, dtype="complex128"), n=5, norm="forward"),
    example(normal(2, 3, dtype="complex128"), n=8),
    example(normal(3, dtype="complex128"), n=1),
]


@autocasts_to("float32")
@op(examples=_REAL)
def rfft(xp: Namespace, x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """`fft` of a real signal: the n // 2 + 1 coefficients that the others are conjugates of.

    x: real. n: the length, to which x is cut or filled up with zeros; by default that of x.
    """
    return xp.fft.rfft(x, n=n, axis=axis, norm=norm)


@autocasts_to("float32")
@op(examples=_HALF)
def irfft(xp: Namespace, x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Inverse of `rfft`: the real signal of length n, by default 2 * (m - 1), from its m first coefficients.

    x: complex. The imaginary part of coefficient 0, and of n / 2 where n is even, is not looked at.
    """
    return xp.fft.irfft(x, n=n, axis=axis, norm=norm)


@autocasts_to("float32")
@op(examples=_HALF)
def hfft(xp: Namespace, x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """`fft` of a signal that is the conjugate of its mirror image, from its first half: n real coefficients.

    x: complex, of which n // 2 + 1 elements are used. n: by default 2 * (m - 1) for m elements.
    """
    return xp.fft.hfft(x, n=n, axis=axis, norm=norm)


@autocasts_to("float32")
@op(examples=_REAL)
def ihfft(xp: Namespace, x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Inverse of `hfft`: the first n // 2 + 1 elements of the signal from its n real coefficients."""
    return xp.fft.ihfft(x, n=n, axis=axis, norm=norm)


def _halving(transpose: Op[..., Array]) -> Callable[..., Array]:
    """The vjp of a transform from a real signal to half a spectrum."""

    def vjp(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, n: int | None, axis: int, norm: str) -> Array:
        n = x_shape[axis] if n is None else n
        g = transpose(scale_doubles(g, n=n, axis=axis, factor=0.5), n=n, axis=axis, norm=norm)
        return _fitted(g, axis, x_shape[axis])

    return vjp


def _doubling(transpose: Op[..., Array]) -> Callable[..., Array]:
    """The vjp of a transform from half a spectrum to a real signal."""

    def vjp(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, axis: int, norm: str) -> Array:
        g = scale_doubles(transpose(g, axis=axis, norm=norm), n=g.shape[axis], axis=axis, factor=2.0)
        return _fitted(g, axis, x_shape[axis])

    return vjp


rfft.vjp("x")(_halving(hfft))
ihfft.vjp("x")(_halving(irfft))
hfft.vjp("x")(_doubling(rfft))
irfft.vjp("x")(_doubling(ihfft))


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 4)),
        example(normal(2, 3, 5), axes=(0, -1), norm="ortho"),
        example(normal(3, 4), s=(5, 2), axes=(1, 0), norm="forward"),
        example(normal(3, 4), s=(-1,), axes=(1,)),
    ]
)
def rfftn(xp: Namespace, x: Array, /, *, s: Axes = None, axes: Axes = None, norm: str = "backward") -> Array:
    """`rfft` along the last of several axes, by default all, then `fft` along the others.

    s: the lengths along `axes`, to which x is cut or filled up; -1 for that of x.
    """
    lengths, axes = _lengths(x.shape, s, axes)
    return xp.fft.rfftn(x, s=lengths, axes=axes, norm=norm)


@rfftn.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, s: Axes, axes: Axes, norm: str) -> Array:
    (*_, n), (*others, last) = _lengths(x_shape, s, axes)
    g = fftn(g, axes=others, norm=norm) if others else g
    g = hfft(scale_doubles(g, n=n, axis=last, factor=0.5), n=n, axis=last, norm=norm)
    for axis in (*others, last):
        g = _fitted(g, axis, x_shape[axis])
    return g


@autocasts_to("float32")
@op(
    examples=[
        example(normal(3, 4, dtype="complex128")),
        example(normal(2, 3, 4, dtype="complex128"), axes=(0, -1), norm="ortho"),
        example(normal(3, 4, dtype="complex128"), s=(5, 3), axes=(1, 0), norm="forward"),
        example(normal(3, 4, dtype="complex128"), s=(-1, 6), axes=(0, 1)),
    ]
)
def irfftn(xp: Namespace, x: Array, /, *, s: Axes = None, axes: Axes = None, norm: str = "backward") -> Array:
    """Inverse of `rfftn`: `ifft` along all but the last of several axes, then `irfft` along that.

    s: the lengths of the result along `axes`; the last is by default 2 * (m - 1) for m elements of x.
    """
    lengths, axes = _lengths(x.shape, s, axes)
    last = 2 * (x.shape[axes[-1]] - 1) if s is None or s[-1] == -1 else s[-1]
    return xp.fft.irfftn(x, s=(*lengths[:-1], last), axes=axes, norm=norm)


@irfftn.vjp("x")
def _(xp: Namespace, g: Array, x_shape: tuple[int, ...], *, s: Axes, axes: Axes, norm: str) -> Array:
    *others, last = _lengths(x_shape, s, axes)[1]
    g = scale_doubles(ihfft(g, axis=last, norm=norm), n=g.shape[last], axis=last, factor=2.0)
    g = ifftn(g, axes=others, norm=norm) if others else g
    for axis in (*others, last):
        g = _fitted(g, axis, x_shape[axis])
    return g


_SHIFTED = [
    example(normal(5)),
    example(normal(3, 4), axes=0),
    example(normal(2, 3, 5, dtype="complex128"), axes=(0, -1)),
]


@op(examples=_SHIFTED)
def fftshift(xp: Namespace, x: Array, /, *, axes: int | Axes = None) -> Array:
    """A spectrum with its coefficient 0 in the middle of one or several axes, by default of all."""
    return xp.fft.fftshift(x, axes=axes)


@op(examples=_SHIFTED)
def ifftshift(xp: Namespace, x: Array, /, *, axes: int | Axes = None) -> Array:
    """Inverse of `fftshift`: coefficient 0 first."""
    return xp.fft.ifftshift(x, axes=axes)


fftshift.vjp("x")(lambda xp, g, *, axes: ifftshift(g, axes=axes))
ifftshift.vjp("x")(lambda xp, g, *, axes: fftshift(g, axes=axes))


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies that the coefficients of `fft` belong to, in cycles per unit of the spacing.

    n: the length. d: the spacing of the samples. dtype: float32 by default. Made by the current backend.

    >>> fftfreq(4, d=0.5)
    Tensor([ 0. ,  0.5, -1. , -0.5], dtype=float32)
    """
    return create("fft.fftfreq", n, d=d, dtype=dtype, device=device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies that the coefficients of `rfft` belong to: as `fftfreq`, without the negative ones.

    >>> rfftfreq(4, d=0.5)
    Tensor([0. , 0.5, 1. ], dtype=float32)
    """
    return create("fft.rfftfreq", n, d=d, dtype=dtype, device=device)
