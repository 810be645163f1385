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
