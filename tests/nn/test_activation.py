"""Activations: what no comparison with another library can say."""

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

import pullback as pb
from pullback import nn


def test_rrelu_draws_slopes_uniformly_while_training():
    x = np.linspace(-3, 3, 20_001)
    y = nn.RReLU(0.1, 0.4)(pb.tensor(x)).numpy()
    np.testing.assert_array_equal(y[x >= 0], x[x >= 0])
    slopes = y[x < 0] / x[x < 0]
    assert kstest(slopes, "uniform", (0.1, 0.3)).pvalue > 1e-4


def test_rrelu_is_decided_by_the_seed_and_its_gradient_is_its_slope(place):
    layer, x = nn.RReLU(), (pb.random.normal((5, 40)) - 1).requires_grad_()
    pb.manual_seed(1)
    first, second = layer(x), layer(x)
    assert (first.numpy() != second.numpy()).any()
    pb.manual_seed(1)
    np.testing.assert_array_equal(layer(x).numpy(), first.numpy())
    first.sum().backward()
    np.testing.assert_allclose(x.grad.numpy() * x.numpy(), first.numpy(), rtol=1e-6)


def test_prelu_has_a_slope_for_each_channel_of_the_last_axis():
    layer = nn.PReLU(3)
    layer.weight.array[...] = np.asarray([0.0, 0.5, 2.0])
    assert layer(pb.tensor([[-1.0, -1.0, -1.0], [1.0, 2.0, 3.0]])).tolist() == [[0, -0.5, -2], [1, 2, 3]]
    with pytest.raises(ValueError, match=r"a slope for each channel, which are the last axis; got shape \(3, 2\)"):
        layer(pb.ones((3, 2)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.PReLU(0), "whole number of 1 or more; got 0"),
        (lambda: nn.RReLU(0.5, 0.1), "between lower and upper; got lower=0.5, upper=0.1"),
        (lambda: pb.rrelu(pb.ones(2), lower=0.5, upper=0.1), "between lower and upper"),
        (lambda: nn.Hardtanh(1.0, 1.0), "min_val lies below max_val"),
        (lambda: nn.CELU(0), "divides by alpha"),
        (lambda: nn.Softshrink(-1), "lambd, which is 0 or more"),
        (lambda: pb.softshrink(pb.ones(2), lambd=-1.0), "lambd, which is 0 or more"),
        (lambda: nn.GLU()(pb.ones((2, 3))), r"halves the axis -1, so it must be of even length; got shape \(2, 3\)"),
        (lambda: nn.Softmax2d()(pb.ones((2, 3))), r"\(N, H, W, C\) or \(H, W, C\); got shape \(2, 3\)"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("layer", "shown"),
    [
        (nn.RReLU(0.125, 0.5, True), "RReLU(lower=0.125, upper=0.5)"),
        (nn.PReLU(3), "PReLU(num_parameters=3)  # 3 parameters"),
        (nn.Hardtanh(-2, 2), "Hardtanh(min_val=-2, max_val=2)"),
        (nn.ReLU6(), "ReLU6()"),
        (nn.CELU(0.5), "CELU(alpha=0.5)"),
        (nn.Threshold(1, 2), "Threshold(threshold=1, value=2)"),
        (nn.Softshrink(), "Softshrink(0.5)"),
        (nn.Softmin(), "Softmin(dim=-1)"),
        (nn.GLU(), "GLU(dim=-1)"),
    ],
    ids=str,
)
def test_activations_show_their_options(layer, shown):
    assert repr(layer) == shown


@pytest.mark.parametrize(
    "name", ["ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "RReLU", "SiLU", "Mish", "Hardswish", "Hardsigmoid"]
)
def test_in_place_is_accepted_and_overwrites_nothing(name):
    x = pb.tensor([-2.0, 0.5, 4.0])
    before = x.numpy().copy()
    getattr(nn, name)(inplace=True)(x)
    np.testing.assert_array_equal(x.numpy(), before)


FLOATING = {
    **{name: getattr(pb, name) for name in pb.ops.activation.__all__ if name not in ("relu", "prelu", "threshold")},
    "prelu": lambda x: pb.prelu(x, pb.ones(1)),
    "threshold": lambda x: pb.threshold(x, threshold=0.0, value=0.5),
    "rrelu in training": lambda x: pb.rrelu(x, training=True),
    "Dropout": nn.Dropout(0.5),
    "DropPath": nn.DropPath(0.5),
    "AlphaDropout": nn.AlphaDropout(0.5),
}


@pytest.mark.parametrize("kind", ["int64", "bool"])
@pytest.mark.parametrize("function", FLOATING.values(), ids=FLOATING.keys())
def test_integers_are_refused(function, kind, place):
    with pytest.raises(TypeError, match=rf"takes a floating array; got {kind}\. Cast it: x\.astype"):
        function(pb.ones((2, 4), dtype=kind))


def test_the_relu_of_integers_is_of_integers(place):
    assert pb.relu(pb.asarray([-2, 3])).tolist() == [0, 3]
    assert pb.relu(pb.asarray([-2, 3])).dtype == pb.int64


@pytest.mark.parametrize("size", [5, 40_000], ids=["small", "large"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("celu", {"alpha": 0.5}),
        ("elu", {"alpha": 0.5}),
        ("hardshrink", {"lambd": 0.5}),
        ("hardtanh", {"min_val": -0.5, "max_val": 0.25}),
        ("leaky_relu", {"negative_slope": 0.25}),
        ("rrelu", {"lower": 0.25, "upper": 0.5}),
        ("softplus", {"beta": 0.5, "threshold": 4.0}),
        ("softshrink", {"lambd": 0.5}),
        ("threshold", {"threshold": 0.5, "value": 2.0}),
        ("gumbel_softmax", {"tau": 0.5}),
    ],
)
@pytest.mark.parametrize("tensor", [True, False])
def test_numpy_numbers_for_options_are_the_numbers_they_are(name, options, size, tensor):
    x = np.linspace(-3, 3, size, dtype="float32")
    given = {key: np.float64(value) for key, value in options.items()}
    results = []
    for each in (options, given):
        pb.manual_seed(1)
        results.append(np.asarray(getattr(pb, name)(pb.tensor(x) if tensor else x, **each)))
    assert results[1].dtype == "float32"
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("function", [pb.softmax, pb.log_softmax, pb.softmin, pb.gumbel_softmax])
@pytest.mark.parametrize(("shape", "axis"), [((3, 0), -1), ((3, 0), 0), ((0, 3), 0), ((2, 0, 3), 1)])
def test_there_is_a_softmax_of_nothing(function, shape, axis, place):
    x = pb.zeros(shape).requires_grad_()
    y = function(x, axis=axis)
    y.backward(pb.ones_like(y.detach()))
    assert y.shape == x.grad.shape == shape
    assert y.dtype == pb.float32


@pytest.mark.parametrize("function", [pb.softmax, pb.log_softmax])
def test_softmax_is_of_real_numbers_in_a_floating_type(function, place):
    x = pb.ones((2, 3))
    for given, asked in ((x, "int32"), (x, "complex64"), (x.astype("complex64"), "float32")):
        with pytest.raises(TypeError, match=r"softmax takes real numbers to a real floating dtype; got "):
            function(given, dtype=asked)
    for given in ([1.0, 2.0], 3.0):
        with pytest.raises(TypeError):
            function(given, dtype="float32")
    assert function(x.astype("int64"), dtype="float32").dtype == pb.float32
    assert function(x, dtype=pb.float64).dtype == pb.float64
    assert pb.float64 == function(x.array, dtype="float64").dtype


@pytest.mark.parametrize("size", [1, 40_000], ids=["small", "large"])
@pytest.mark.parametrize("name", ["elu", "selu", "celu", "softplus", "sigmoid", "silu", "gelu", "mish", "softsign"])
def test_the_gradient_at_nan_is_nan(name, size):
    x = pb.full(size, float("nan")).requires_grad_()
    getattr(pb, name)(x).sum().backward()
    assert np.isnan(x.grad.numpy()).all()


@pytest.mark.parametrize("tau", [0.3, 2.0])
@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax_draws_each_class_as_often_as_softmax_says(tau, hard):
    logits = pb.tensor([0.5, -1.0, 2.0, 0.0])
    y = pb.gumbel_softmax(pb.broadcast_to(logits, (4000, 4)), tau=tau, hard=hard, generator=pb.Generator(1)).numpy()
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)
    if hard:
        assert set(np.unique(y)) == {0.0, 1.0}
    counts = np.bincount(y.argmax(axis=1), minlength=4)
    expected = pb.softmax(logits.astype("float64")).numpy()
    assert chisquare(counts, 4000 * expected / expected.sum()).pvalue > 1e-3


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_hard_classes_have_the_gradients_of_soft_ones(axis, place):
    x, weights = pb.random.normal((3, 4, 5)).requires_grad_(), pb.random.normal((3, 4, 5))
    gradients = []
    for hard in (False, True):
        y = pb.gumbel_softmax(x, hard=hard, axis=axis, generator=pb.Generator(2))
        x.grad = None
        (y * weights).sum().backward()
        gradients.append(x.grad.numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-7)
    assert (y.numpy().sum(axis=axis) == 1).all()
    assert (y.numpy() == pb.gumbel_softmax(x.detach(), hard=True, axis=axis, generator=pb.Generator(2)).numpy()).all()


def test_the_noise_of_gumbel_softmax_is_the_same_on_every_backend(place):
    logits = [[0.1, 2.0, -1.0]] * 20
    here = pb.gumbel_softmax(pb.asarray(logits), generator=pb.Generator(3)).numpy()
    with pb.use("numpy"):
        expected = pb.gumbel_softmax(pb.asarray(logits), generator=pb.Generator(3)).numpy()
    np.testing.assert_allclose(here, expected, rtol=1e-6)


def test_a_temperature_is_positive():
    with pytest.raises(ValueError, match="tau, the temperature, is positive; got 0"):
        pb.gumbel_softmax(pb.zeros(3), tau=0)
