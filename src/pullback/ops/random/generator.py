"""Generators: a seed, and how much of its stream was drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ...autodiff.checkpoint import repeatable

__all__ = ["Generator", "default_generator", "manual_seed", "use_generator"]


class Generator:
    """A stream of random numbers: a seed, and how many blocks of four words were drawn.

    seed: a whole number, not negative. Two generators with one seed give the same numbers.
    """

    def __init__(self, seed: int = 0) -> None:
        if not isinstance(seed, int) or not 0 <= seed < 1 << 64:
            raise ValueError(f"a seed is a whole number from 0 to 2**64 - 1; got {seed!r}")
        self.seed = seed
        self.offset = 0

    def advance(self, words: int) -> int:
        """Reserve so many words of the stream; returns the block at which they start."""
        return repeatable(lambda: self._reserve(words))

    def _reserve(self, words: int) -> int:
        start = self.offset
        self.offset += -(-words // 4)
        return start

    def state_dict(self) -> dict[str, int]:
        """The whole state: two numbers."""
        return {"seed": self.seed, "offset": self.offset}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where another generator stood."""
        self.seed, self.offset = state["seed"], state["offset"]

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, offset={self.offset})"


_default: ContextVar[Generator | None] = ContextVar("pullback_generator", default=None)


def default_generator() -> Generator:
    """The generator that is used where none is given: a context variable, seeded with 0 until `manual_seed`."""
    found = _default.get()
    if found is None:
        found = Generator(0)
        _default.set(found)
    return found


def manual_seed(seed: int) -> Generator:
    """Start the default generator anew from a seed.

    >>> import pullback as pb
    >>> pb.manual_seed(0)
    Generator(seed=0, offset=0)
    """
    generator = Generator(seed)
    _default.set(generator)
    return generator


@contextmanager
def use_generator(generator: Generator) -> Iterator[Generator]:
    """Make a generator the default inside a `with` block."""
    token = _default.set(generator)
    try:
        yield generator
    finally:
        _default.reset(token)
