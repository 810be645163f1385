"""Entries of what only rearranges axes, or does nothing."""

from .entry import Drawn, Entry, Generator, pick


def _shape(rng: Generator, least: int) -> tuple[int, ...]:
    return tuple(map(int, rng.integers(1, 4, rng.integers(least, 5))))


def _flatten(rng: Generator) -> Drawn:
    shape = _shape(rng, 2)
    start = int(rng.integers(-len(shape), len(shape)))
    end = int(rng.integers(start % len(shape), len(shape)))
    return Drawn({"start_dim": start, "end_dim": pick(rng, end, end - len(shape))}, (rng.standard_normal(shape),))


def _unflatten(rng: Generator) -> Drawn:
    shape, sizes = list(_shape(rng, 1)), _shape(rng, 1)
    dim = int(rng.integers(len(shape)))
    shape[dim] = 1
    for size in sizes:
        shape[dim] *= size
    place = int(rng.integers(len(sizes)))
    found = (*sizes[:place], -1, *sizes[place + 1 :])
    options = {"dim": pick(rng, dim, dim - len(shape)), "unflattened_size": pick(rng, sizes, found)}
    return Drawn(options, (rng.standard_normal(shape),))


def _identity(rng: Generator) -> Drawn:
    return Drawn({}, (rng.standard_normal(_shape(rng, 0)),))


ENTRIES = [
    Entry("Flatten", _flatten, differs="of images, (H, W, C) in this order"),
    Entry("Unflatten", _unflatten),
    Entry("Identity", _identity),
]
