"""Initializers: where they write, what they draw from, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback import nn
from pullback.nn import init

RANDOM = [
    (init.uniform_, {"a": -1.0}),
    (init.normal_, {"std": 2.0}),
    (init.xavier_uniform_, {}),
    (init.xavier_normal_, {}),
    (init.kaiming_uniform_, {}),
    (init.kaiming_normal_, {}),
    (init.orthogonal_, {}),
]
each_random = pytest.mark.parametrize(("fill", "options"), RANDOM, ids=lambda x: getattr(x, "__name__", ""))


@each_random
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_they_fill_in_place_with_the_same_bits_on_every_backend(place, fill, options, dtype):
    p = nn.Parameter(pb.empty((6, 5), dtype=dtype))
    assert fill(p, **options, generator=pb.random.Generator(3)) is p
    assert p.requires_grad
    assert p.dtype == dtype
    assert p.device == pb.zeros(1).device
    with pb.use("numpy"):
        expected = fill(pb.empty((6, 5), dtype=dtype), **options, generator=pb.random.Generator(3))
    np.testing.assert_array_equal(p.numpy(), expected.numpy())


def test_a_tensor_is_filled_where_it_lives_whatever_the_current_backend():
    with pb.use("array_api_strict", "device1"):
        p = nn.Parameter(pb.empty((4, 3)))
    for fill, options in RANDOM:
        fill(p, **options)
        assert "device1" in str(p.device)
    assert "device1" in str(init.ones_(p).device)


@each_random
def test_the_default_generator_is_used_and_goes_on(fill, options):
    pb.manual_seed(1)
    first, second = (fill(pb.empty((4, 4)), **options).numpy() for _ in range(2))
    assert (first != second).all()
    pb.manual_seed(1)
    np.testing.assert_array_equal(fill(pb.empty((4, 4)), **options).numpy(), first)


def test_uniform_and_normal_draw_what_pb_random_draws():
    for fill, draw in ((init.uniform_, pb.random.uniform), (init.normal_, pb.random.normal)):
        mine, its = pb.random.Generator(9), pb.random.Generator(9)
        for _ in range(2):
            expected = draw((3, 5), generator=its).numpy()
            np.testing.assert_array_equal(fill(pb.empty((3, 5)), generator=mine).numpy(), expected)
        assert mine.state_dict() == its.state_dict()


def test_constants():
    x = pb.empty((2, 2))
    assert init.zeros_(x).tolist() == [[0, 0], [0, 0]]
    assert init.ones_(x).tolist() == [[1, 1], [1, 1]]
    assert init.constant_(x, 2.5).tolist() == [[2.5, 2.5], [2.5, 2.5]]


@settings(max_examples=25, deadline=None)
@given(
    shape=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    gain=st.floats(0.1, 3),
    seed=st.integers(0, 2**32),
)
def test_orthogonal_rows_or_columns_are_orthonormal(shape, gain, seed):
    x = pb.empty(tuple(shape), dtype="float64")
    w = init.orthogonal_(x, gain, generator=pb.random.Generator(seed)).numpy().reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=1e-12)


@pytest.mark.parametrize("fill", [f for f, _ in RANDOM[2:]])
def test_weights_of_one_axis_have_no_fans(fill):
    with pytest.raises(ValueError, match=r"at least two axes; got shape \(3,\)"):
        fill(pb.empty(3))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="no gain for 'swish'; choose one of linear, "):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="mode is 'fan_in' or 'fan_out'; got 'fan'"):
        init.kaiming_uniform_(pb.empty((2, 2)), mode="fan")


def test_the_gradient_and_the_optimizer_of_a_parameter_survive():
    layer = nn.Linear(3, 2)
    optimizer = pb.optim.SGD(layer.parameters(), lr=1.0, momentum=0.5)
    for _ in range(2):
        layer.zero_grad()
        layer(pb.ones((1, 3))).sum().backward()
        init.zeros_(layer.weight)
        assert layer.weight.grad.tolist() == [[1] * 3] * 2
        optimizer.step()
    assert layer.weight.tolist() == [[-1.5] * 3] * 2
