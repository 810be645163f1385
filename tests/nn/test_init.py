"""Initializers: where they write, what they draw from, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, truncnorm

import pullback as pb
from pullback import nn
from pullback.nn import init

RANDOM = [
    (init.uniform_, {"a": -1.0}),
    (init.normal_, {"std": 2.0}),
    (init.trunc_normal_, {"b": 0.5}),
    (init.sparse_, {"sparsity": 0.0}),
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


@pytest.mark.parity
@each_random
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_pytorch_gets_the_same_bits_too(fill, options, dtype):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pullback[parity]'")
    pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")
    weights = []
    for name in ("torch", "numpy"):
        with pb.use(name):
            filled = fill(pb.empty((31, 17), dtype=dtype), **options, generator=pb.random.Generator(3))
            weights.append(filled.astype("float64").numpy())
    np.testing.assert_array_equal(*weights)


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


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0.0, 1.0, -2.0, 2.0), (0.0, 0.02, -2.0, 2.0), (1.0, 0.5, 1.5, 1.6), (0.0, 1.0, 4.0, 5.0), (3.0, 2.0, -9.0, 3.0)],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_truncated_normals_are_normal_within_their_bounds(mean, std, a, b, dtype):
    w = init.trunc_normal_(pb.empty((100, 200), dtype=dtype), mean, std, a, b, pb.random.Generator(2)).numpy()
    assert np.asarray(a, dtype=dtype) <= w.min()
    assert w.max() <= np.asarray(b, dtype=dtype)
    exact = truncnorm((a - mean) / std, (b - mean) / std, loc=mean, scale=std)
    assert kstest(w.reshape(-1).astype("float64"), exact.cdf).pvalue > 1e-3


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 12), columns=st.integers(1, 12), sparsity=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_each_column_of_a_sparse_weight_has_its_share_of_zeros(rows, columns, sparsity, seed):
    w = init.sparse_(pb.empty((rows, columns)), sparsity, generator=pb.random.Generator(seed)).numpy()
    np.testing.assert_array_equal((w == 0).sum(axis=0), np.ceil(sparsity * rows))


def test_sparse_weights_are_normal_and_their_zeros_anywhere():
    w = init.sparse_(pb.empty((40, 500)), 0.25, std=2.0, generator=pb.random.Generator(1)).numpy()
    assert kstest(w[w != 0], "norm", (0, 2)).pvalue > 1e-3
    counts = (w == 0).sum(axis=1)  # 125 expected in each row
    assert 70 < counts.min() <= counts.max() < 190


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_convolution_of_dirac_weights_gives_its_input_back(axes, groups, place):
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](4, 4, 3, padding=1, groups=groups, bias=False)
    assert init.dirac_(layer.weight, groups) is layer.weight
    x = pb.random.normal((2, *[5] * axes, 4))
    np.testing.assert_array_equal(layer(x).numpy(), x.numpy())


def test_a_linear_map_of_the_identity_keeps_what_it_can(place):
    for features in (2, 3, 5):
        layer = nn.Linear(3, features, bias=False, dtype="float64")
        init.eye_(layer.weight)
        assert layer.weight.device == pb.zeros(1).device
        expected = np.eye(features, 3)
        np.testing.assert_array_equal(layer(pb.eye(3, dtype="float64")).numpy(), expected.T)


REFUSED = {
    "eye_ of one axis": (lambda: init.eye_(pb.empty(3)), r"eye_ fills a weight of 2 axes; got shape \(3,\)"),
    "sparse_ of three axes": (lambda: init.sparse_(pb.empty((3, 3, 3)), 0.1), "sparse_ fills a weight of 2 axes"),
    "dirac_ of two axes": (lambda: init.dirac_(pb.empty((3, 3))), "dirac_ fills a weight of 3 or 4 or 5 axes"),
    "groups that divide nothing": (lambda: init.dirac_(pb.empty((4, 3, 1)), 3), "groups divide the 4 outputs"),
    "more than all zeros": (lambda: init.sparse_(pb.empty((3, 3)), 1.5), "sparsity is a share between 0 and 1"),
    "bounds that are none": (lambda: init.trunc_normal_(pb.empty(3), a=1.0, b=1.0), "a below b"),
    "bounds far from the mean": (lambda: init.trunc_normal_(pb.empty(3), mean=9.1), "at most 7"),
    "no deviation": (lambda: init.trunc_normal_(pb.empty(3), std=0.0), "positive std"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_filled_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("fill", [f for f, _ in RANDOM[4:]])
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
