"""Text for models of characters: characters as numbers, and windows of it."""

from collections.abc import Iterable
from operator import index

from ..autodiff.tensor import Tensor
from ..backends import Array, backend
from ..backends.host import host
from ..ops.random import Generator, default_generator, random_uniform
from ..ops.sizes import whole

__all__ = ["CharacterVocabulary", "random_windows"]


class CharacterVocabulary:
    """The characters of a text, numbered in their order.

    text: what the characters are taken from.
    Raises TypeError for what is no text.

    >>> vocabulary = CharacterVocabulary("to be or not to be")
    >>> len(vocabulary), vocabulary.encode("to").tolist()
    (7, [6, 4])
    >>> vocabulary.decode([6, 4])
    'to'
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a vocabulary is made from a text, a str; got {type(text).__name__}")
        self.characters = "".join(sorted(set(text)))
        self._numbers = {character: number for number, character in enumerate(self.characters)}

    def encode(self, text: str) -> Array:
        """The number of each character: a host array (N,) of int64.

        Raises ValueError for a character that the vocabulary has not.
        """
        try:
            return host.asarray([self._numbers[character] for character in text], dtype=host.int64)
        except KeyError as error:
            raise ValueError(
                f"the vocabulary of {len(self)} characters has no {error}: make it from a text that has all of them"
            ) from None

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of numbers; a Tensor or an array of one axis will do.

        Raises TypeError for what are no whole numbers in a row, IndexError for one that no character has.
        """
        try:
            found = [index(number) for number in (numbers.tolist() if hasattr(numbers, "tolist") else numbers)]
        except TypeError:
            raise TypeError(f"decode takes whole numbers in a row; got {numbers!r}") from None
        beyond = next((number for number in found if not 0 <= number < len(self)), None)
        if beyond is not None:
            raise IndexError(f"the vocabulary's {len(self)} characters are numbered from 0 on; none has {beyond}")
        return "".join(self.characters[number] for number in found)

    def __len__(self) -> int:
        return len(self.characters)


def random_windows(
    tokens: Array, length: int, batch_size: int, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Windows of a long row of tokens at random places, and the same one token on: what comes next.

    tokens: (N,) a host array of integers. Returns two Tensors (batch_size, length) on the current backend.
    generator: where the places are drawn from, by default the default one.
    Raises ValueError for fewer than length + 1 tokens, for other than one row of them, and for a length or batch size
    below 1; TypeError for what are no integers.

    >>> import numpy
    >>> import pullback as pb
    >>> x, y = random_windows(numpy.arange(100), length=4, batch_size=2)
    >>> bool(pb.all(y == x + 1))
    True
    """
    length, batch_size = whole(length, "length"), whole(batch_size, "batch_size")
    tokens = host.asarray(tokens)
    if tokens.ndim != 1:
        raise ValueError(f"windows are of one row of tokens, (N,); got shape {tokens.shape}")
    if tokens.dtype.kind not in "iu":
        raise TypeError(f"tokens are integers; got {tokens.dtype}")
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
