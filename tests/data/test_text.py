"""Characters as numbers, and windows of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pullback as pb
from pullback import data


@given(st.text(min_size=1))
def test_a_text_comes_back(text):
    vocabulary = data.CharacterVocabulary(text)
    numbers = vocabulary.encode(text)
    assert numbers.dtype == "int64"
    assert vocabulary.decode(numbers) == text
    assert set(numbers.tolist()) == set(range(len(vocabulary)))


def test_an_unknown_character_is_named():
    with pytest.raises(ValueError, match="the vocabulary of 3 characters has no 'z'"):
        data.CharacterVocabulary("abc").encode("az")


@pytest.mark.parametrize(("numbers", "error"), [
    ([-1], IndexError), ([3], IndexError), (pb.asarray([0, 7]), IndexError), ([0.5], TypeError), ([[1]], TypeError),
    (1, TypeError), ("ab", TypeError),
])  # fmt: skip
def test_numbers_that_no_character_has_are_refused(numbers, error):
    with pytest.raises(error, match=r"numbered from 0 on|whole numbers in a row"):
        data.CharacterVocabulary("abc").decode(numbers)


def test_a_vocabulary_is_made_from_a_text():
    with pytest.raises(TypeError, match="from a text, a str; got bytes"):
        data.CharacterVocabulary(b"abc")


@pytest.mark.parametrize(("tokens", "length", "batch", "error", "complaint"), [
    (np.arange(9), 0, 1, ValueError, "length is a whole number of 1 or more; got 0"),
    (np.arange(9), 2.0, 1, TypeError, "length is a whole number"),
    (np.arange(9), 2, 0, ValueError, "batch_size is a whole number of 1 or more; got 0"),
    (np.zeros((9, 2), int), 2, 1, ValueError, r"one row of tokens, \(N,\); got shape \(9, 2\)"),
    (np.zeros(9), 2, 1, TypeError, "tokens are integers; got float64"),
])  # fmt: skip
def test_windows_that_cannot_be_are_refused(tokens, length, batch, error, complaint):
    with pytest.raises(error, match=complaint):
        data.random_windows(tokens, length, batch)


def test_windows_lie_everywhere_and_are_followed_by_what_comes_next(place):
    tokens = np.arange(10)
    x, y = data.random_windows(tokens, 4, 500, pb.random.Generator(1))
    assert pb.backend() is place
    assert x.shape == y.shape == (500, 4)
    np.testing.assert_array_equal(y.numpy(), x.numpy() + 1)
    np.testing.assert_array_equal(np.diff(x.numpy(), axis=1), 1)
    assert set(x.numpy()[:, 0]) == set(range(6))
    with pytest.raises(ValueError, match="windows of 10 tokens and the one behind need 11; got 10"):
        data.random_windows(tokens, 10, 1)
