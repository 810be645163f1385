import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import pullback as pb
from pullback.backends import open_backend
from pullback.data import ArrayDataset, load_digits, split

WEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(
    weights=WEIGHTS, samples=st.integers(4, 80), classes=st.integers(1, 5), seed=st.integers(0, 1000), data=st.data()
)
def test_parts_are_disjoint_complete_and_within_one_sample_of_their_share(weights, samples, classes, seed, data):
    fractions = [w / sum(weights) for w in weights]
    assume(min(fractions) * samples >= 1)
    labels = np.asarray(data.draw(st.lists(st.integers(0, classes - 1), min_size=samples, max_size=samples)))
    for stratify in (None, labels):
        parts = split(np.arange(samples), labels, fractions=fractions, seed=seed, stratify=stratify)
        sizes = [len(x) for x, _ in parts]
        assert sum(sizes) == samples
        assert all(abs(size - f * samples) < 1 for size, f in zip(sizes, fractions, strict=True))
        assert sorted(np.concatenate([x for x, _ in parts]).tolist()) == list(range(samples))
        assert all(np.array_equal(labels[x], y) for x, y in parts)
        if stratify is not None:
            left, whole = np.bincount(labels, minlength=classes), samples
            for (_, y), size in zip(parts, sizes, strict=True):
                own = np.bincount(y, minlength=classes)
                assert np.all(np.abs(own - left * size / whole) < 1)
                left, whole = left - own, whole - size


def test_the_digits_split_alike_in_every_class():
    digits = load_digits()
    train, test = split(digits, fractions=(0.8, 0.2), seed=1, stratify=digits.arrays[1])
    assert isinstance(train, ArrayDataset)
    assert (len(train), len(test)) == (1438, 359)
    counts, own = np.bincount(digits.arrays[1]), np.bincount(test.arrays[1])
    assert np.all(np.abs(own - counts * 359 / 1797) < 1)


def test_the_seed_alone_decides_whatever_the_arrays_are():
    x = np.arange(30)
    first = [part[0] for part in split(x, seed=4)]
    assert_array_equal(first[0], split(x, seed=4)[0][0])
    assert not np.array_equal(first[0], split(x, seed=5)[0][0])
    strict = open_backend("array_api_strict", "device1")
    moved = split(strict.asarray(x), pb.asarray(x), seed=4, stratify=pb.zeros(30))
    assert moved[0][0].device == strict.device
    assert_array_equal(strict.to_host(moved[0][0]), first[0])
    assert_array_equal(moved[1][1].numpy(), first[1])


def test_labels_may_be_words():
    words = np.asarray(["cat", "dog"] * 5)
    train, test = split(np.arange(10), fractions=(0.6, 0.4), stratify=words)
    assert sorted(words[train[0]]) == ["cat"] * 3 + ["dog"] * 3
    assert sorted(words[test[0]]) == ["cat"] * 2 + ["dog"] * 2


@pytest.mark.parametrize("fractions", [(), (0.5, 0.6), (1.2, -0.2), (0.5, 0.4), (float("nan"), 0.5)])
def test_fractions_that_are_no_shares_are_refused(fractions):
    with pytest.raises(ValueError, match="fractions are positive and sum to 1"):
        split(np.arange(10), fractions=fractions)


@pytest.mark.parametrize("fractions", [0.8, "ab", ("0.5", "0.5"), None])
def test_fractions_that_are_no_numbers_are_refused(fractions):
    with pytest.raises(TypeError, match="fractions is a sequence of numbers, one for each part"):
        split(np.ones(10), fractions=fractions)


def test_a_part_without_samples_is_refused():
    with pytest.raises(ValueError, match="leave part 1 empty"):
        split(np.arange(3), fractions=(0.9, 0.1))


def test_stratifying_needs_a_label_for_each_sample():
    with pytest.raises(ValueError, match="one label for each of 4 samples"):
        split(np.arange(4), stratify=[0, 1])
