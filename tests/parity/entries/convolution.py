"""Entries of convolutions and of windows."""

import warnings
from math import prod

import numpy as np

import pullback as pb
from pullback import nn

from .entry import Drawn, Entry, Generator, pick


def _lengths(rng: Generator, axes: int, least: int, most: int) -> tuple[int, ...]:
    return tuple(map(int, rng.integers(least, most + 1, axes)))


def _size(rng: Generator, axes: int, least: int, most: int):
    """One number for all axes, or one for each."""
    return pick(rng, int(rng.integers(least, most + 1)), _lengths(rng, axes, least, most))


def _each(size, axes: int) -> tuple[int, ...]:
    return (size,) * axes if isinstance(size, int) else size


def _channels(rng: Generator) -> dict[str, int]:
    groups = pick(rng, 1, 1, 2, 3)
    ins = groups * int(rng.integers(1, 4))
    out = pick(rng, groups * int(rng.integers(1, 4)), ins * 2)  # depthwise with a multiplier, where groups == ins
    return {"in_channels": ins, "out_channels": out, "groups": groups}


def _spans(kernel, dilation, axes: int) -> list[int]:
    return [d * (k - 1) + 1 for k, d in zip(_each(kernel, axes), _each(dilation, axes), strict=True)]


def _convolution(axes: int):
    most = (9, 7, 5)[axes - 1]

    def draw(rng: Generator) -> Drawn:
        mode = pick(rng, "zeros", "zeros", "reflect", "replicate", "circular")
        options = {
            **_channels(rng),
            "kernel_size": _size(rng, axes, 1, 3),
            "stride": _size(rng, axes, 1, 4),
            "padding": pick(rng, _size(rng, axes, 0, 4 if mode == "zeros" else 2), "same", "valid"),
            "dilation": _size(rng, axes, 1, 2 if axes < 3 else 1),
            "bias": pick(rng, True, False),
            "padding_mode": mode,
        }
        if options["padding"] == "same":
            options["stride"] = 1
        spans = _spans(options["kernel_size"], options["dilation"], axes)
        lengths = [int(rng.integers(max(n, 3 if mode != "zeros" else 1), most + 1)) for n in spans]
        batch = (int(rng.integers(1, 4)),)
        return Drawn(options, (rng.standard_normal((*batch, *lengths, options["in_channels"])),))

    return draw


def _transposed(axes: int):
    def draw(rng: Generator) -> Drawn:
        stride, dilation = _lengths(rng, axes, 1, 3), _lengths(rng, axes, 1, 2)
        kernel = _lengths(rng, axes, 1, 3)
        spans = _spans(kernel, dilation, axes)
        options = {
            **_channels(rng),
            "kernel_size": kernel,
            "stride": stride,
            "dilation": dilation,
            "padding": tuple(int(rng.integers(0, (n + 1) // 2 + 1)) for n in spans),
            "output_padding": tuple(int(rng.integers(0, max(pair))) for pair in zip(stride, dilation, strict=True)),
            "bias": pick(rng, True, False),
        }
        lengths = _lengths(rng, axes, 3, 5 if axes < 3 else 3)
        return Drawn(options, (rng.standard_normal((2, *lengths, options["in_channels"])),))

    return draw


def quiet(layer):
    """PyTorch's layer, without its remark that "same" may copy the input."""
    forward = layer.forward

    def call(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return forward(x)

    layer.forward = call
    return layer


def _quietly(name: str):
    return lambda torch, **options: quiet(getattr(torch.nn, name)(**options))


def _windows(rng: Generator) -> tuple[dict, tuple[int, ...]]:
    options = {
        "kernel_size": _size(rng, 2, 1, 3),
        "dilation": _size(rng, 2, 1, 2),
        "padding": _size(rng, 2, 0, 2),
        "stride": _size(rng, 2, 1, 3),
    }
    lengths = [int(rng.integers(n, 8)) for n in _spans(options["kernel_size"], options["dilation"], 2)]
    return options, tuple(lengths)


def _unfold(rng: Generator) -> Drawn:
    options, lengths = _windows(rng)
    return Drawn(options, (rng.standard_normal((2, *lengths, int(rng.integers(1, 4)))),))


def _fold(rng: Generator) -> Drawn:
    options, lengths = _windows(rng)
    count, channels = prod(_each(options["kernel_size"], 2)), int(rng.integers(1, 4))
    windows = nn.Unfold(**options)(np.zeros((1, *lengths, channels)))
    rows = rng.standard_normal((2, windows.shape[1], count * channels))
    return Drawn({**options, "output_size": lengths}, (rows,))


def _our_unfold(**options):
    layer = nn.Unfold(**options)

    def call(x):
        rows = layer(x)
        parted = pb.reshape(rows, (*rows.shape[:2], prod(layer.kernel_size), x.shape[-1]))
        return pb.reshape(pb.permute_dims(parted, (0, 3, 2, 1)), (x.shape[0], rows.shape[2], rows.shape[1]))

    return call


def _their_fold(torch, **options):
    layer, count = torch.nn.Fold(**options), prod(_each(options["kernel_size"], 2))

    def call(rows):
        parted = rows.reshape(*rows.shape[:2], count, rows.shape[2] // count)
        return layer(parted.permute(0, 3, 2, 1).reshape(rows.shape[0], rows.shape[2], rows.shape[1]))

    return call


_LAYOUT = "(N, L, K * C) for PyTorch's (N, C * K, L): a row for each window, as it lies in memory"

ENTRIES = [
    *(Entry(f"Conv{n}d", _convolution(n), channels=(0,), theirs=_quietly(f"Conv{n}d")) for n in (1, 2, 3)),
    *(Entry(f"ConvTranspose{n}d", _transposed(n), channels=(0,)) for n in (1, 2, 3)),
    Entry("Unfold", _unfold, channels=(0,), channels_out=False, ours=_our_unfold, differs=_LAYOUT),
    Entry("Fold", _fold, channels_out=True, theirs=_their_fold, differs=_LAYOUT),
]
