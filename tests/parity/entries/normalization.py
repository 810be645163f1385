"""Entries of normalization layers, of weight and spectral norm, and of what `pb.normalize` gives."""

import numpy as np

import pullback as pb
from pullback import nn

from .entry import Drawn, Entry, Generator, images, pick


def _batch_norm(axes: int):
    def draw(rng: Generator) -> Drawn:
        channels = int(rng.integers(1, 6))
        options = {
            "num_features": channels,
            "eps": pick(rng, 1e-5, 0.1),
            "momentum": pick(rng, 0.1, 0.7, None),
            "affine": pick(rng, True, True, False),
            "track_running_stats": pick(rng, True, True, False),
            "bias": pick(rng, True, True, False),
        }
        if axes == 1 and rng.random() < 0.5:
            return Drawn(options, (rng.standard_normal((int(rng.integers(2, 9)), channels)) * 3 + 1,))
        return Drawn(options, (images(rng, channels, axes, least=2, most=5) * 3 + 1,))

    return draw


def _instance_norm(axes: int):
    def draw(rng: Generator) -> Drawn:
        channels = int(rng.integers(1, 6))
        options = {
            "num_features": channels,
            "eps": pick(rng, 1e-5, 0.1),
            "momentum": pick(rng, 0.1, 0.7),
            "affine": pick(rng, True, False),
            "track_running_stats": pick(rng, True, False),
        }
        shape = int(rng.integers(2, 4)), *map(int, rng.integers(2, 6, axes)), channels
        # At least two samples: of one, PyTorch 2.13 misreads an output gradient that lies in memory channels last.
        return Drawn(options, (rng.standard_normal(shape) * 3 + 1,))

    return draw


def _group_norm(rng: Generator) -> Drawn:
    groups, each = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    options = {"num_groups": groups, "num_channels": groups * each, "eps": pick(rng, 1e-5, 0.1)}
    options |= {"affine": pick(rng, True, True, False), "bias": pick(rng, True, False)}
    return Drawn(options, (images(rng, groups * each, int(rng.integers(0, 4)), least=2, most=5) * 3 + 1,))


def _last_axes(rng: Generator, **arguments) -> Drawn:
    shape = tuple(map(int, rng.integers(2, 6, rng.integers(1, 3))))
    lead = tuple(map(int, rng.integers(1, 4, rng.integers(0, 3))))
    options = {"normalized_shape": shape[0] if len(shape) == 1 else shape, **arguments}
    options["elementwise_affine"] = pick(rng, True, True, False)
    return Drawn(options, (rng.standard_normal((*lead, *shape)) * 3 + 1,))


def _layer_norm(rng: Generator) -> Drawn:
    return _last_axes(rng, eps=pick(rng, 1e-5, 0.1), bias=pick(rng, True, False))


def _rms_norm(rng: Generator) -> Drawn:
    return _last_axes(rng, eps=pick(rng, None, 1e-5, 0.1))


def _local_response_norm(rng: Generator) -> Drawn:
    options = {"size": int(rng.integers(1, 8)), "alpha": pick(rng, 1e-4, 0.5), "beta": pick(rng, 0.75, 0.5)}
    options["k"] = pick(rng, 1.0, 2.0)
    return Drawn(options, (images(rng, int(rng.integers(1, 7)), int(rng.integers(1, 4)), least=2, most=4),))


def _normalize(rng: Generator) -> Drawn:
    shape = tuple(map(int, rng.integers(2, 5, rng.integers(1, 4))))
    options = {"p": pick(rng, 2.0, 1.0, 3.0), "axis": int(rng.integers(-len(shape), len(shape)))}
    options["eps"] = pick(rng, 1e-12, 2.0)
    return Drawn(options, (rng.standard_normal(shape),))


def _their_normalize(torch, p, axis, eps):
    return lambda x: torch.nn.functional.normalize(x, p=p, dim=axis, eps=eps)


def _bilinear(rng: Generator) -> Drawn:
    sizes = [int(n) for n in rng.integers(1, 6, 3)]
    options = dict(zip(("in1_features", "in2_features", "out_features"), sizes, strict=True))
    lead = tuple(map(int, rng.integers(1, 4, rng.integers(1, 3))))
    inputs = (rng.standard_normal((*lead, sizes[0])), rng.standard_normal((*lead, sizes[1])))
    return Drawn({**options, "bias": pick(rng, True, False)}, inputs)


def _parametrized(**extra):
    """Draws a linear map, an embedding's table or a convolution, and the arguments of a parametrization."""

    def draw(rng: Generator) -> Drawn:
        kind = pick(rng, "Linear", "Conv1d", "Conv2d", "ConvTranspose2d")
        sizes = [int(n) for n in rng.integers(1, 5, 2)]
        options = {name: pick(rng, *choices) for name, choices in extra.items()}
        if kind == "Linear":
            return Drawn({"kind": kind, "sizes": sizes, **options}, (rng.standard_normal((3, sizes[0])),))
        axes = int(kind[-2])
        x = np.moveaxis(images(rng, sizes[0], axes), -1, 1)  # both move the channels themselves
        return Drawn({"kind": kind, "sizes": [*sizes, 3], **options}, (x,))

    return draw


def _ours_parametrized(make):
    def ours(kind, sizes, **options):
        module = make(getattr(nn, kind)(*sizes), **options)
        if kind != "Linear":
            forward = module.forward
            object.__setattr__(module, "forward", lambda x: pb.moveaxis(forward(pb.moveaxis(x, 1, -1)), -1, 1))
        return module

    return ours


def _their_parametrized(name):
    def theirs(torch, kind, sizes, **options):
        return getattr(torch.nn.utils.parametrizations, name)(getattr(torch.nn, kind)(*sizes), **options)

    return theirs


AXES = "`dim` counts the axes of the layout that weights have here: a convolution's inputs are the last axis."
FEATURES = "Channels are last. An input whose channels are not `num_features` raises also without `affine`."

ENTRIES = [
    *(Entry(f"BatchNorm{n}d", _batch_norm(n), channels=(0,), differs=FEATURES) for n in (1, 2, 3)),
    *(Entry(f"InstanceNorm{n}d", _instance_norm(n), channels=(0,), differs=FEATURES) for n in (1, 2, 3)),
    Entry("GroupNorm", _group_norm, channels=(0,), differs="Channels are last."),
    Entry("LayerNorm", _layer_norm, differs="Over whole images, `normalized_shape` is (H, W, C)."),
    Entry("RMSNorm", _rms_norm, differs="Over whole images, `normalized_shape` is (H, W, C)."),
    Entry("LocalResponseNorm", _local_response_norm, channels=(0,), differs="Channels are last."),
    Entry("Bilinear", _bilinear),
    *(
        Entry(
            f"utils.parametrizations.{name}",
            _parametrized(**arguments),
            ours=_ours_parametrized(getattr(nn.parametrizations, name)),
            theirs=_their_parametrized(name),
            # PyTorch's second derivative of weight norm takes the norm for a constant, and is wrong.
            second_order=name != "weight_norm",
            differs=f"`nn.parametrizations.{name}`. {AXES}",
        )
        for name, arguments in {
            "weight_norm": {"dim": (0, 0, None)},
            "spectral_norm": {"n_power_iterations": (1, 3), "dim": (None, 0)},
        }.items()
    ),
    Entry(
        "functional.normalize",
        _normalize,
        ours=lambda **options: lambda x: pb.normalize(x, **options),
        theirs=_their_normalize,
        differs="`pb.normalize`, along the last axis by default: `axis=-1` for PyTorch's `dim=1`.",
    ),
]
