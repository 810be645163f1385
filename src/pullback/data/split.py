"""Splitting a data set: training, validation, test."""

from collections.abc import Sequence
from math import floor
from numbers import Real
from typing import Any

from ..autodiff.tensor import Tensor
from ..backends import Array, backend_of, find_backend_of
from ..backends.host import host
from ..ops.random import Generator, permutation
from .dataset import ArrayDataset, take_rows

__all__ = ["split"]


def split(*data: Any, fractions: Sequence[float] = (0.8, 0.2), seed: int = 0, stratify: Any = None) -> list[Any]:
    """Random parts of a data set that have no sample in common and together hold every one.

    data: arrays whose first axes count the same samples, or one `ArrayDataset`.
    fractions: the share of each part; they sum to 1. Sizes are rounded by largest remainder: within one
        sample of their share, and with none left over.
    seed: decides which samples go where.
    stratify: labels, one for each sample: every part then gets its share of every label, rounded alike.
    Returns a list with a tuple of arrays for each part, or an `ArrayDataset` for each when one was given.
    Raises ValueError when the fractions do not sum to 1, or a part would be left empty.

    >>> X, y = [[1.0], [2.0], [3.0], [4.0]], [0, 0, 1, 1]
    >>> (X_train, y_train), (X_test, y_test) = split(X, y, fractions=(0.5, 0.5), stratify=y)
    >>> X_train.shape, sorted(y_test.tolist())
    ((2, 1), [0, 1])
    """
    given = data[0] if len(data) == 1 and isinstance(data[0], ArrayDataset) else None
    dataset = given or ArrayDataset(*data)
    order = permutation(len(dataset), generator=Generator(seed))
    sizes = _sizes(len(dataset), fractions)
    labels = host.zeros(len(dataset), dtype=host.int64) if stratify is None else _labels(stratify, len(dataset))
    parts = [tuple(take_rows(a, rows) for a in dataset.arrays) for rows in _deal(order, labels, sizes)]
    return parts if given is None else [ArrayDataset(*arrays) for arrays in parts]


def _sizes(samples: int, fractions: Sequence[float]) -> list[int]:
    """How many samples each part gets: its share rounded down, and one more for the largest remainders."""
    if not isinstance(fractions, Sequence) or not all(isinstance(f, Real) for f in fractions):
        raise TypeError(f"fractions is a sequence of numbers, one for each part; got {fractions!r}")
    if not fractions or any(not f > 0 for f in fractions) or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions are positive and sum to 1; got {tuple(fractions)}")
    shares = [f * samples for f in fractions]
    sizes = [floor(share) for share in shares]
    by_remainder = sorted(range(len(sizes)), key=lambda part: sizes[part] - shares[part])
    for part in by_remainder[: samples - sum(sizes)]:
        sizes[part] += 1
    if 0 in sizes:
        raise ValueError(f"{samples} samples in the fractions {tuple(fractions)} leave part {sizes.index(0)} empty")
    return sizes


def _labels(stratify: Any, samples: int) -> Array:
    """The labels as numbers from 0, on the host."""
    if isinstance(stratify, Tensor):
        stratify = stratify.numpy()
    elif find_backend_of(stratify) is not None:
        stratify = backend_of(stratify).to_host(stratify)
    labels = host.asarray(stratify)
    if labels.shape != (samples,):
        raise ValueError(f"stratify takes one label for each of {samples} samples; got the shape {labels.shape}")
    return host.unique(labels, return_inverse=True)[1]


def _deal(order: Array, labels: Array, sizes: Sequence[int]) -> list[Array]:
    """The samples of each part, in random order.

    Part after part takes its share of what is left of every label, so that the sizes come out exact.
    """
    shuffled = labels[order]
    waiting = [host.flatnonzero(shuffled == label) for label in range(int(labels.max()) + 1)]
    parts = []
    for size in sizes:
        counts = _apportion(size, [len(places) for places in waiting])
        taken = [places[:count] for places, count in zip(waiting, counts, strict=True)]
        waiting = [places[count:] for places, count in zip(waiting, counts, strict=True)]
        parts.append(order[host.sort(host.concatenate(taken))])
    return parts


def _apportion(size: int, available: Sequence[int]) -> list[int]:
    """`size` in proportion to what is available of each label, rounded by largest remainder."""
    whole = sum(available)
    counts = [size * n // whole for n in available]
    by_remainder = sorted(range(len(available)), key=lambda label: -(size * available[label] % whole))
    for label in by_remainder[: size - sum(counts)]:
        counts[label] += 1
    return counts
