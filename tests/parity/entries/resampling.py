"""Entries of resampling, and of pixels moved between channels and space."""

import pullback as pb

from .entry import Drawn, Entry, Generator, images, pick


def _target(rng: Generator, axes: int, least: int = 1) -> dict:
    """Either lengths or factors, one for all axes or one for each."""

    def size():
        return int(rng.integers(least, 14))

    def factor():
        return float(pick(rng, 0.5, 1.0, 2.0, 3.0, round(float(rng.uniform(0.4, 3.0)), 2)))

    kind, draw = pick(rng, ("size", size), ("scale_factor", factor))
    return {kind: pick(rng, draw(), tuple(draw() for _ in range(axes)))}


def _upsample(rng: Generator) -> Drawn:
    mode, axes = pick(
        rng,
        *(("nearest", n) for n in (1, 2, 3)),
        *(("nearest-exact", n) for n in (1, 2, 3)),
        *[("linear", 1), ("bilinear", 2), ("trilinear", 3)] * 2,
        *[("bicubic", 2)] * 3,
        ("area", 2),
    )
    options = {**_target(rng, axes), "mode": mode}
    if mode.endswith(("linear", "cubic")):
        options["align_corners"] = pick(rng, None, True, False)
    if "scale_factor" in options:
        options["recompute_scale_factor"] = pick(rng, None, True, False)
    return Drawn(options, (images(rng, 2, axes, least=3, most=8 if axes < 3 else 5),))


def _antialiased(rng: Generator) -> Drawn:
    options = {"antialias": True, "mode": pick(rng, "bilinear", "bicubic"), "align_corners": pick(rng, True, False)}
    # Of a result one pixel wide PyTorch 2.13 makes all rows the first.
    return Drawn({**options, **_target(rng, 2, least=2)}, (images(rng, 2, 2, least=5, most=12),))


def _upsampling(rng: Generator) -> Drawn:
    return Drawn(_target(rng, 2), (images(rng, 3, 2),))


def _shuffle(rng: Generator) -> Drawn:
    factor = int(rng.integers(1, 4))
    return Drawn({"upscale_factor": factor}, (images(rng, int(rng.integers(1, 4)) * factor**2, 2),))


def _unshuffle(rng: Generator) -> Drawn:
    factor = int(rng.integers(1, 4))
    lengths = factor * rng.integers(1, 5, 2)
    return Drawn({"downscale_factor": factor}, (rng.standard_normal((2, *map(int, lengths), 3)),))


def _channels(rng: Generator) -> Drawn:
    groups = int(rng.integers(1, 4))
    return Drawn({"groups": groups}, (images(rng, groups * int(rng.integers(1, 4)), 2),))


def _of(name: str):
    """A function of ours with its options."""
    return lambda **options: lambda *inputs: getattr(pb, name)(*inputs, **options)


def _of_torch(name: str):
    return lambda torch, **options: lambda *inputs: getattr(torch.nn.functional, name)(*inputs, **options)


def _grid(rng: Generator) -> Drawn:
    axes = pick(rng, 2, 2, 3)
    x = images(rng, 2, axes, least=2, most=6)
    grid = rng.uniform(-1.6, 1.6, (x.shape[0], *rng.integers(1, 6, axes), axes))
    options = {
        "mode": pick(rng, "bilinear", "nearest", *["bicubic"] * (axes == 2)),
        "padding_mode": pick(rng, "zeros", "border", "reflection"),
        "align_corners": pick(rng, True, False),
    }
    return Drawn(options, (x, grid))


def _affine(rng: Generator) -> Drawn:
    axes, n = pick(rng, 2, 3), int(rng.integers(1, 4))
    lengths = tuple(map(int, rng.integers(2, 6, axes)))  # PyTorch warns of a length of 1
    options = {"size": (n, *lengths, 4), "align_corners": pick(rng, True, False)}
    return Drawn(options, (rng.standard_normal((n, axes, axes + 1)),), theirs={"size": (n, 4, *lengths)})


# They are linear: their second derivatives are zero.
ENTRIES = [
    Entry("Upsample", _upsample, channels=(0,)),
    Entry("UpsamplingNearest2d", _upsampling, channels=(0,)),
    Entry("UpsamplingBilinear2d", _upsampling, channels=(0,)),
    Entry("PixelShuffle", _shuffle, channels=(0,)),
    Entry("PixelUnshuffle", _unshuffle, channels=(0,)),
    Entry("ChannelShuffle", _channels, channels=(0,)),
    Entry(
        "interpolate",
        _antialiased,
        channels=(0,),
        ours=_of("interpolate"),
        theirs=_of_torch("interpolate"),
    ),
    Entry(
        "grid_sample",
        _grid,
        channels=(0,),
        ours=_of("grid_sample"),
        theirs=_of_torch("grid_sample"),
    ),
    Entry("affine_grid", _affine, ours=_of("affine_grid"), theirs=_of_torch("affine_grid")),
]
