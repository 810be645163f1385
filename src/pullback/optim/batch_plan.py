"""How many updates a training run makes, and which samples each of them sees."""

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral

__all__ = ["BatchPlan"]


@dataclass(frozen=True)
class BatchPlan:
    """How a data set is cut into batches.

    samples: how many there are. batch_size: how many of them one update sees.
    epochs: how many passes are made over all of them.
    drop_last: leave out the last batch of an epoch when it is smaller than the others.
    Raises ValueError for a count below 1, TypeError for what is no whole number.

    >>> plan = BatchPlan(samples=50000, batch_size=256, epochs=10)
    >>> plan.batches_per_epoch, plan.iterations
    (196, 1960)
    """

    samples: int
    batch_size: int
    epochs: int = 1
    drop_last: bool = False

    def __post_init__(self) -> None:
        for name in ("samples", "batch_size", "epochs"):
            object.__setattr__(self, name, _count(name, getattr(self, name)))

    @property
    def batches_per_epoch(self) -> int:
        """Batches in one pass: the last may be smaller, and with `drop_last` is then not counted."""
        whole, rest = divmod(self.samples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    @property
    def samples_per_epoch(self) -> int:
        """Samples seen in one pass."""
        return min(self.batches_per_epoch * self.batch_size, self.samples)

    @property
    def iterations(self) -> int:
        """Updates in all: one for each batch of each epoch."""
        return self.epochs * self.batches_per_epoch

    def slices(self, first: int = 0) -> Iterator[slice]:
        """The batches of one epoch in order, from number `first` on, as slices of the samples.

        >>> list(BatchPlan(samples=5, batch_size=2).slices())
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
        """
        for start in range(first * self.batch_size, self.samples_per_epoch, self.batch_size):
            yield slice(start, min(start + self.batch_size, self.samples))


def _count(name: str, value: object) -> int:
    """A whole number of at least 1, as an int."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} is a whole number; got {value!r}")
    if value < 1:
        raise ValueError(f"{name} is at least 1; got {value}")
    return int(value)
