from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import pullback as pb
from pullback.backends import open_backend
from pullback.optim.divergence import Diverged
from pullback.optim.gradient_descent import gradient_descent

X_TAUGHT, Y_TAUGHT = [[1, 2], [1, 3], [1, 4], [1, 5]], [3, 4, 5, 6]


def taught(X, y, theta, alpha, batches):
    """The loop of the textbook, over the rows of each iteration."""
    X, y, theta = (np.asarray(a, dtype="float64") for a in (X, y, theta))
    history = []
    for rows in batches:
        m = len(y[rows])
        h = X[rows] @ theta
        history.append(np.sum((h - y[rows]) ** 2) / (2 * m))
        theta = theta - alpha * X[rows].T @ (h - y[rows]) / m
    return theta, history


def shuffled_batches(m, size, seed):
    generator = pb.random.Generator(seed)
    while True:
        order = pb.random.permutation(m, generator=generator)
        for start in range(0, m, size):
            yield order[start : start + size]


def problem(seed, m, n, *k):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(m, n))
    return X, X @ generator.normal(size=(n, *k)) + 0.1 * generator.normal(size=(m, *k))


@pytest.mark.on_numpy
@pytest.mark.parametrize(
    "kind",
    [list, np.asarray, lambda a: np.asarray(a, dtype="float64"), lambda a: pb.tensor(a, dtype="float64")],
    ids=["lists", "integer arrays", "arrays", "Tensors"],
)
def test_the_taught_example_gives_what_the_taught_loop_gives(kind):
    result = gradient_descent(kind(X_TAUGHT), kind(Y_TAUGHT), kind([0, 0]), alpha=0.01, num_iters=1000)
    expected, history = taught(X_TAUGHT, Y_TAUGHT, [0, 0], 0.01, [slice(None)] * 1000)
    theta, J_history = result
    assert_allclose(np.asarray(theta), expected, rtol=0, atol=1e-12)
    assert_allclose(J_history, history, rtol=0, atol=1e-12)
    assert result.loss == pytest.approx(np.sum((np.asarray(X_TAUGHT) @ expected - Y_TAUGHT) ** 2) / 8, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(m=st.integers(1, 20), n=st.integers(1, 4), size=st.integers(1, 25), seed=st.integers(0, 2**64 - 1))
def test_every_batch_size_is_the_same_loop_over_other_rows(m, n, size, seed):
    X, y = problem(0, m, n)
    theta, J_history = gradient_descent(X, y, np.zeros(n), 0.01, 30, batch_size=size, seed=seed)
    batches = shuffled_batches(m, size, seed) if size < m else [slice(None)] * 30
    expected, history = taught(X, y, np.zeros(n), 0.01, islice(batches, 30))
    assert_allclose(theta, expected, rtol=1e-10, atol=1e-12)
    assert_allclose(J_history, history, rtol=1e-10, atol=1e-12)
    assert len(J_history) == 30


@settings(deadline=None, max_examples=25)
@given(m=st.integers(1, 20), more=st.integers(0, 5), seed=st.integers(0, 1000))
def test_a_batch_of_all_samples_is_batch_gradient_descent_to_the_bit(m, more, seed):
    X, y = problem(seed, m, 3, 2)
    start = np.zeros((3, 2))
    all_rows = gradient_descent(X, y, start, 0.05, 20)
    one_batch = gradient_descent(X, y, start, 0.05, 20, batch_size=m + more, seed=seed)
    assert_array_equal(one_batch.theta, all_rows.theta)
    assert one_batch.J_history == all_rows.J_history


@pytest.mark.parametrize("batch_size", [None, 1, 16])
def test_all_three_kinds_find_the_solution_of_a_solvable_system(batch_size):
    X = np.random.default_rng(0).normal(size=(64, 3))
    solution = np.asarray([1.0, -2.0, 0.5])
    theta, _ = gradient_descent(X, X @ solution, np.zeros(3), 0.05, 2000, batch_size)
    assert_allclose(theta, solution, atol=1e-9)


@pytest.mark.parametrize("batch_size", [None, 3])
def test_every_backend_gives_the_same_descent_where_its_arrays_live(batch_size):
    X, y = problem(0, 10, 2)
    expected = gradient_descent(X, y, np.zeros(2), 0.1, 25, batch_size, seed=3)
    strict = open_backend("array_api_strict", "device1")
    arrays = [strict.asarray(a) for a in (X, y, np.zeros(2))]
    found = gradient_descent(*arrays, 0.1, 25, batch_size, seed=3)
    assert found.theta.device == strict.device
    assert_allclose(strict.to_host(found.theta), expected.theta, rtol=1e-12)
    assert_allclose(found.J_history, expected.J_history, rtol=1e-12)
    with pb.use("array_api_strict", "device1"):
        from_lists = gradient_descent(X.tolist(), y.tolist(), [0, 0], 0.1, 25, batch_size, seed=3)
    assert from_lists.theta.device == strict.device


def test_results_keep_the_kind_and_precision_of_what_came_in():
    X, y = (a.astype("float32") for a in problem(0, 10, 2))
    start = np.zeros(2, dtype="float32")
    assert gradient_descent(X, y, start, 0.1, 5).theta.dtype == np.float32
    assert_array_equal(start, [0, 0])
    found = gradient_descent(pb.tensor(X), pb.tensor(y), pb.tensor(start), 0.1, 5)
    assert isinstance(found.theta, pb.Tensor)
    assert found.theta.dtype == pb.float32
    with pytest.raises(pb.BackendMismatch, match="gradient_descent got"):
        gradient_descent(X, open_backend("array_api_strict").asarray(y), start, 0.1, 5)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_the_greatest_learning_rate_is_two_over_the_greatest_eigenvalue(seed):
    X, y = problem(seed, 12, 3)
    limit = 2 / np.linalg.eigvalsh(X.T @ X / 12)[-1]
    below = gradient_descent(X, y, np.zeros(3), 0.98 * limit, 3000)
    assert below.loss < below.J_history[0]
    with pytest.raises(Diverged):
        gradient_descent(X, y, np.zeros(3), 1.05 * limit, 3000)


@pytest.mark.on_numpy
def test_divergence_names_the_iteration_the_rate_and_the_last_good_loss():
    with pytest.raises(Diverged, match=r"iteration \d+, learning rate 1: the loss is .*last good loss was") as caught:
        gradient_descent(X_TAUGHT, Y_TAUGHT, [0, 0], alpha=1.0, num_iters=1000)
    error = caught.value
    assert error.rate == 1.0
    assert error.iteration == len(error.history) + 1
    assert error.last_loss == error.history[-1]
    X, y = np.asarray(X_TAUGHT), np.asarray(Y_TAUGHT)
    assert np.sum((X @ error.theta - y) ** 2) / 8 == pytest.approx(error.last_loss, rel=1e-12)
    assert f"iteration {error.iteration}" in str(error)
    assert f"{error.last_loss:.6g}" in str(error)


@pytest.mark.on_numpy
@pytest.mark.parametrize("alpha", [1e100, 1e308])
def test_an_overflow_is_noticed_without_a_warning(alpha):
    with pytest.raises(Diverged, match=r"loss is (inf|nan)") as caught:
        gradient_descent(X_TAUGHT, Y_TAUGHT, [0, 0], alpha, 10, divergence_bound=1e308)
    assert np.all(np.isfinite(caught.value.theta))


@pytest.mark.on_numpy
def test_the_last_update_is_watched_too():
    with pytest.raises(Diverged) as caught:
        gradient_descent(X_TAUGHT, Y_TAUGHT, [0, 0], 1e9, num_iters=1)
    assert_array_equal(caught.value.theta, [0, 0])
    assert caught.value.iteration == 1


def test_nan_in_the_data_is_named_as_a_likely_cause():
    with pytest.raises(Diverged, match="Look for NaN") as caught:
        gradient_descent([[1.0], [float("nan")]], [1, 2], [0], 0.1, 5)
    assert caught.value.last_loss is None


def test_rounding_at_a_perfect_start_is_no_divergence():
    X, _ = problem(0, 64, 40)
    theta, J_history = gradient_descent(X, X @ np.ones(40), np.ones(40), 0.01, 50, batch_size=1)
    assert max(J_history) > 0  # a row's product is rounded otherwise than that of the whole
    assert_allclose(theta, np.ones(40), atol=1e-12)


@pytest.mark.on_numpy
def test_restarts_keep_the_best_and_report_all():
    X, y = problem(0, 20, 2)
    result = gradient_descent(X, y, np.zeros(2), 0.01, 15, restarts=4, seed=10)
    assert [r.seed for r in result.restarts] == [10, 11, 12, 13]
    assert len({r.loss for r in result.restarts}) == 4
    assert result.loss == min(r.loss for r in result.restarts)
    for r in result.restarts:
        start = pb.random.normal((2,), dtype="float64", generator=pb.random.Generator(r.seed)).array
        alone = gradient_descent(X, y, start, 0.01, 15)
        assert_array_equal(r.theta, alone.theta)
        assert r.loss == alone.loss
        assert r.diverged is None


def test_a_restart_that_diverges_is_reported_and_not_fatal():
    # The second feature is unstable: how far the cost grows in 40 steps depends on where its coefficient starts.
    X, y = np.diag([1.0, 10.0]), np.asarray([30.0, 0.0])
    result = gradient_descent(X, y, np.zeros(2), 0.041, 40, restarts=8, divergence_bound=5.0)
    gone = [r for r in result.restarts if r.diverged]
    assert 0 < len(gone) < 8
    assert all(r.loss == np.inf and isinstance(r.diverged, Diverged) for r in gone)
    assert result.loss == min(r.loss for r in result.restarts)
    with pytest.raises(Diverged):
        gradient_descent(X, y, np.zeros(2), 1.0, 100, restarts=3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"alpha": 0}, "alpha.*positive"),
        ({"alpha": float("nan")}, "alpha.*positive"),
        ({"num_iters": -1}, "num_iters"),
        ({"batch_size": 0}, "batch_size is at least 1"),
        ({"restarts": 0}, "restarts"),
        ({"divergence_bound": 0}, "bound"),
        ({"theta": [0, 0, 0]}, "one row for each of the 2 columns"),
        ({"y": [[3], [4], [5], [6]]}, r"y has shape \(4, 1\)"),
        ({"X": [[1, 2], [3]]}, "X is no table of numbers"),
        ({"X": [1, 2, 3, 4]}, "X is a table"),
    ],
)
def test_a_bad_argument_is_named(changed, message):
    arguments = {"X": X_TAUGHT, "y": Y_TAUGHT, "theta": [0, 0], "alpha": 0.1, "num_iters": 5, **changed}
    with pytest.raises(ValueError, match=message):
        gradient_descent(**arguments)


@pytest.mark.on_numpy
def test_the_callback_sees_every_iteration_before_its_update():
    X, y = [[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]], [1.0, 2.0, 4.0]
    seen = []
    _, costs = gradient_descent(X, y, [0.0, 0.0], 0.05, 5, 2, callback=lambda *step: seen.append(step))
    assert [iteration for iteration, _, _ in seen] == [1, 2, 3, 4, 5]
    assert [J for _, _, J in seen] == costs
    assert np.asarray(seen[0][1]).tolist() == [0.0, 0.0]
    again, _ = gradient_descent(X, y, [0.0, 0.0], 0.05, 4, 2)
    np.testing.assert_array_equal(seen[4][1], again)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"alpha": "0.1"}, "alpha, the learning rate, is a Python number, not str"),
        ({"alpha": pb.tensor(0.1)}, "not Tensor"),
        ({"X": np.ones((2, 1), dtype=complex)}, "X is complex"),
    ],
)
def test_what_is_no_real_number_is_refused(changed, message):
    given = {"X": [[1.0], [2.0]], "y": [1.0, 2.0], "theta": [0.0], "alpha": 0.1, "num_iters": 1, **changed}
    with pytest.raises(TypeError, match=message):
        gradient_descent(**given)
