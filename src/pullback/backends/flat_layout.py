"""Where arrays lie that share one buffer: in the optimizers, and in the kernels that go through all of them at once."""

from collections.abc import Sequence

__all__ = ["places_of"]


def places_of(sizes: Sequence[int], alignment: int) -> list[int]:
    """Where arrays of these sizes begin in a buffer of all of them, and behind that how long it is.

    alignment: of how many elements each place is a multiple.

    >>> places_of([3, 4, 5], 4)
    [0, 4, 8, 16]
    """
    places = [0]
    for size in sizes:
        places.append(places[-1] + -(-size // alignment) * alignment)
    return places
