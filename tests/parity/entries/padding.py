"""Entries of padding layers."""

from pullback import nn

from .entry import Drawn, Entry, Generator, images, pick


def _padding(axes: int, *, least: int, most: int, constant: bool = False):
    def draw(rng: Generator) -> Drawn:
        sides = tuple(map(int, rng.integers(least, most + 1, 2 * axes)))
        options = {"padding": pick(rng, sides, sides, max(sides[0], 0))}
        if constant:
            options["value"] = float(rng.standard_normal())
        return Drawn(options, (images(rng, int(rng.integers(1, 4)), axes, 4, 6),))

    return draw


def _squared(modules, name: str):
    """The layer and a square behind it: the layer's own second derivative is nothing."""

    def make(options):
        layer = getattr(modules, name)(**options)
        return lambda x: layer(x) ** 2

    return make


def _entry(name: str, axes: int, **limits) -> Entry:
    return Entry(
        name,
        _padding(axes, **limits),
        channels=(0,),
        ours=lambda **options: _squared(nn, name)(options),
        theirs=lambda torch, **options: _squared(torch.nn, name)(options),
    )


ENTRIES = [
    _entry(f"{name}{axes}d", axes, **limits)
    for axes in (1, 2, 3)
    for name, limits in (
        ("ConstantPad", {"least": -1, "most": 5, "constant": True}),
        ("ZeroPad", {"least": -2, "most": 3}),
        ("ReflectionPad", {"least": -1, "most": 3}),
        ("ReplicationPad", {"least": -1, "most": 6}),
        ("CircularPad", {"least": -1, "most": 3}),
    )
]
