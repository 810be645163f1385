"""What dropout draws: shares, what is dropped together, means and variances."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn


@pytest.fixture(autouse=True)
def seeded():
    pb.manual_seed(5)


@pytest.mark.parametrize("size", [1_000, 200_001], ids=["in one go", "piece by piece"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.7, 0.999])
def test_the_mask_is_that_of_uniform_numbers(size, dtype, p):
    uniform = pb.random.uniform((size,), dtype=dtype, generator=pb.Generator(3)).numpy()
    dropped = pb.dropout(pb.ones(size, dtype=dtype), p=p, generator=pb.Generator(3)).numpy()
    expected = np.where(uniform >= np.dtype(dtype).type(p), 1 / (1 - p), 0)
    np.testing.assert_allclose(dropped, expected, rtol=1e-6)


def test_gradients_pass_where_values_did():
    x = pb.random.normal((200, 300)).requires_grad_()
    y = pb.dropout(x, p=0.4)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.where(y.numpy() == 0, 0, 1 / 0.6), rtol=1e-6)


def test_what_is_dropped_is_zero_even_if_it_was_infinite():
    y = nn.Dropout(0.5)(pb.full(100, float("inf"))).numpy()
    assert set(y) == {0.0, np.inf}


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (nn.Dropout1d(0.4), (300, 7, 5), (0, 2)),
        (nn.Dropout1d(0.4), (7, 900), (1,)),
        (nn.Dropout2d(0.4), (300, 3, 4, 5), (0, 3)),
        (nn.Dropout2d(0.4), (300, 3, 5), (0, 2)),
        (nn.Dropout3d(0.4), (300, 2, 3, 2, 5), (0, 4)),
        (nn.Dropout3d(0.4), (2, 3, 2, 900), (3,)),
        (nn.DropPath(0.4), (900, 3, 4), (0,)),
    ],
    ids=str,
)
def test_whole_channels_are_dropped_each_by_itself(layer, shape, axes):
    y = layer(pb.ones(shape)).numpy()
    others = tuple(axis for axis in range(len(shape)) if axis not in axes)
    assert (y.min(axis=others) == y.max(axis=others)).all()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.6], rtol=1e-6)
    kept = y.min(axis=others) != 0
    assert abs(kept.mean() - 0.6) < 4 * (0.24 / kept.size) ** 0.5
    assert (layer.eval()(pb.ones(shape)).numpy() == 1).all()


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Dropout1d(), (2, 3, 4, 5)), (nn.Dropout2d(), (3, 4)), (nn.Dropout3d(), (2, 3))]
)
def test_shapes_that_have_no_channels_to_drop_are_refused(layer, shape):
    with pytest.raises(ValueError, match=r"channels last; got shape"):
        layer(pb.ones(shape))


@pytest.mark.parametrize("p", [0.05, 0.3, 0.6])
def test_alpha_dropout_keeps_mean_and_variance(p):
    x = pb.random.normal((200_000,), dtype="float64")
    y = nn.AlphaDropout(p)(x).numpy()
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02
    values, counts = np.unique(y, return_counts=True)
    assert abs(counts.max() / y.size - p) < 0.01
    saturated = -1.7580993408473766
    scale = ((1 - p) * (1 + p * saturated**2)) ** -0.5
    np.testing.assert_allclose(values[counts.argmax()], scale * saturated * (1 - p))


def test_feature_alpha_dropout_takes_whole_channels():
    y = nn.FeatureAlphaDropout(0.5)(pb.zeros((100, 3, 4, 6))).numpy()
    assert (y.min(axis=(1, 2)) == y.max(axis=(1, 2))).all()
    assert len(np.unique(y)) == 2


def test_a_path_may_keep_its_scale():
    y = nn.DropPath(0.5, scale_by_keep=False)(pb.ones((100, 3))).numpy()
    assert set(y.ravel()) == {0.0, 1.0}


@pytest.mark.parametrize("make", [nn.Dropout, nn.AlphaDropout, nn.Dropout2d, nn.FeatureAlphaDropout, nn.DropPath])
def test_shares_reach_from_nothing_to_all(make):
    x = pb.ones((4, 5, 5, 3))
    assert (make(0.0)(x).numpy() == 1).all()
    assert (make(1.0)(x).numpy() == 0).all()
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            make(p)
