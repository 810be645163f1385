import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

import pullback as pb
from pullback.data import Standardizer

VALUES = st.floats(-1e6, 1e6, width=32)


@settings(deadline=None, max_examples=60)
@given(arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 4)), elements=VALUES))
def test_columns_get_mean_0_and_deviation_1_and_come_back(X):
    standardizer = Standardizer()
    Z = standardizer.fit_transform(X)
    spread = X.std(axis=0)
    varied = spread > 1e-6 * (1 + np.abs(X).max(axis=0))
    assert_allclose(Z.mean(axis=0)[varied], 0, atol=1e-6)
    assert_allclose(Z.std(axis=0)[varied], 1, atol=1e-6)
    constant = np.ptp(X, axis=0) == 0
    assert_array_equal(standardizer.scale[constant], 1)
    assert_allclose(Z[:, constant], 0, atol=1e-8)
    assert_allclose(standardizer.inverse_transform(Z), X, rtol=1e-9, atol=1e-8)


def test_statistics_are_double_precision_and_results_keep_the_dtype():
    X = (np.random.default_rng(0).normal(size=(1000, 2)) + 1e4).astype("float32")
    standardizer = Standardizer().fit(X)
    assert standardizer.mean.dtype == standardizer.scale.dtype == np.float64
    assert_allclose(standardizer.mean, X.astype("float64").mean(axis=0), rtol=1e-12)
    assert_allclose(standardizer.scale, X.astype("float64").std(axis=0), rtol=1e-12)
    assert standardizer.transform(X).dtype == np.float32
    assert standardizer.transform(X.astype("float64")).dtype == np.float64
    assert standardizer.transform(X.astype("int32")).dtype == np.float32


def test_a_constant_column_that_float32_cannot_hold_exactly_is_left_unscaled():
    X = np.full((1001, 1), 0.1)
    standardizer = Standardizer().fit(X)
    assert standardizer.scale[0] == 1


def test_test_data_is_scaled_by_what_was_learnt_from_the_training_data():
    standardizer = Standardizer().fit(np.asarray([[0.0], [2.0]]))
    assert_array_equal(standardizer.transform(np.asarray([[4.0]])), [[3.0]])


def test_the_state_makes_another_alike():
    X = np.random.default_rng(0).normal(size=(5, 2, 3))
    first, second = Standardizer().fit(X), Standardizer()
    second.load_state_dict(first.state_dict())
    assert_array_equal(first.transform(X), second.transform(X))
    first.state_dict()["mean"][...] = 0
    assert_array_equal(first.transform(X), second.transform(X))


def test_what_cannot_be_standardized_is_refused():
    standardizer = Standardizer()
    with pytest.raises(ValueError, match="call fit first"):
        standardizer.transform([[1.0]])
    with pytest.raises(ValueError, match="call fit first"):
        standardizer.state_dict()
    with pytest.raises(ValueError, match=r"X\[1, 0\] is nan"):
        standardizer.fit([[1.0, 2.0], [float("nan"), 3.0]])
    with pytest.raises(ValueError, match="samples along the first axis"):
        standardizer.fit(np.ones((0, 3)))
    with pytest.raises(TypeError, match="host arrays"):
        standardizer.fit(pb.ones((3, 2)))
    with pytest.raises(TypeError, match="real numbers"):
        standardizer.fit([["a"]])
    with pytest.raises(ValueError, match=r"shape \(2,\); these have \(3,\)"):
        standardizer.fit(np.ones((4, 2))).transform(np.ones((4, 3)))
    with pytest.raises(ValueError, match="belong together"):
        standardizer.load_state_dict({"mean": [0.0], "scale": [1.0, 2.0]})


def test_values_too_large_to_be_squared_are_refused():
    with pytest.raises(ValueError, match=r"X\[:, 1\] are too large to be standardized"):
        Standardizer().fit(np.asarray([[1.0, 1e200], [2.0, -1e200]]))
