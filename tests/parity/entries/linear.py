"""Entries of linear maps."""

from .entry import Drawn, Entry, Generator, pick


def _linear(rng: Generator) -> Drawn:
    sizes = {"in_features": int(rng.integers(1, 6)), "out_features": int(rng.integers(1, 6))}
    lead = tuple(map(int, rng.integers(1, 4, rng.integers(0, 3))))
    return Drawn({**sizes, "bias": pick(rng, True, False)}, (rng.standard_normal((*lead, sizes["in_features"])),))


ENTRIES = [Entry("Linear", _linear)]
