"""Entries of dropout, compared in evaluation: what is drawn in training has tests of its statistics."""

from .entry import Drawn, Entry, Generator, images, pick


def _of_channels(axes: int):
    def draw(rng: Generator) -> Drawn:
        return Drawn({"p": pick(rng, 0.0, 0.3, 1.0), "inplace": False}, (images(rng, 3, axes, least=2, most=4),))

    return draw


def _of_elements(rng: Generator) -> Drawn:
    shape = tuple(map(int, rng.integers(1, 4, rng.integers(1, 4))))
    return Drawn({"p": pick(rng, 0.0, 0.3, 1.0), "inplace": False}, (rng.standard_normal(shape),))


DRAWN = "Random numbers are Philox's, so other elements are dropped than PyTorch drops."

ENTRIES = [
    *(
        Entry(name, _of_elements, training=(False,), second_order=False, differs=DRAWN)
        for name in ("Dropout", "AlphaDropout")
    ),
    Entry("FeatureAlphaDropout", _of_channels(2), channels=(0,), training=(False,), second_order=False, differs=DRAWN),
    *(
        Entry(
            f"Dropout{n}d",
            _of_channels(n),
            channels=(0,),
            training=(False,),
            second_order=False,
            differs=f"Channels are last. {DRAWN}",
        )
        for n in (1, 2, 3)
    ),
]
