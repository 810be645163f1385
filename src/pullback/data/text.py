"""Text for models of characters: characters as numbers, and windows of it."""

from collections.abc import Iterable

from ..autodiff.tensor import Tensor
from ..backends import Array, backend
from ..backends.host import host
from ..ops.random import Generator, default_generator, random_uniform

__all__ = ["CharacterVocabulary", "random_windows"]


class CharacterVocabulary:
    """The characters of a text, numbered in their order.

    text: what the characters are taken from.

    >>> vocabulary = CharacterVocabulary("to be or not to be")
    >>> len(vocabulary), vocabulary.encode("to").tolist()
    (7, [6, 4])
    >>> vocabulary.decode([6, 4])
    'to'
    """

    def __init__(self, text: str) -> None:
        self.characters = "".join(sorted(set(text)))
        self._numbers = {character: number for number, character in enumerate(self.characters)}

    def encode(self, text: str) -> Array:
        """The number of each character: a host array (N,) of int64.

        Raises ValueError for a character that the vocabulary has not.
        """
        try:
            return host.asarray([self._numbers[character] for character in text], dtype=host.int64)
        except KeyError as error:
            raise ValueError(f"the vocabulary of {len(self)} characters has no {error}") from None

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of numbers; a Tensor or an array of one axis will do."""
        return "".join(self.characters[int(number)] for number in numbers)

    def __len__(self) -> int:
        return len(self.characters)


def random_windows(
    tokens: Array, length: int, batch_size: int, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Windows of a long row of tokens at random places, and the same one token on: what comes next.

    tokens: (N,) a host array of integers. Returns two Tensors (batch_size, length) on the current backend.
    generator: where the places are drawn from, by default the default one.
    Raises ValueError for fewer than length + 1 tokens.

    >>> import numpy
    >>> import pullback as pb
    >>> x, y = random_windows(numpy.arange(100), length=4, batch_size=2)
    >>> bool(pb.all(y == x + 1))
    True
    """
    places = len(tokens) - length
    if places < 1:
        raise ValueError(f"windows of {length} tokens and the one behind need {length + 1}; got {len(tokens)}")
    drawn = _uniform(batch_size, generator or default_generator())
    starts = host.minimum((drawn * places).astype(host.int64), places - 1)
    rows = starts[:, None] + host.arange(length)
    owner = backend()
    return Tensor(owner.from_host(tokens[rows])), Tensor(owner.from_host(tokens[rows + 1]))


def _uniform(size: int, generator: Generator) -> Array:
    """Values in [0, 1), on the host."""
    offset = generator.advance(size)
    return random_uniform(host.zeros(1), seed=generator.seed, offset=offset, shape=(size,))
