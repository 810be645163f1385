"""Activations: what no comparison with another library can say."""

import numpy as np
import pytest
from scipy.stats import kstest

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
        (lambda: nn.PReLU(0), "1 slope or more"),
        (lambda: nn.RReLU(0.5, 0.1), "between lower and upper; got lower=0.5, upper=0.1"),
        (lambda: pb.rrelu(pb.ones(2), lower=0.5, upper=0.1), "between lower and upper"),
        (lambda: nn.Hardtanh(1.0, 1.0), "min_val lies below max_val"),
        (lambda: nn.CELU(0), "divides by alpha"),
        (lambda: nn.Softshrink(-1), "lambd, which is 0 or more"),
        (lambda: pb.softshrink(pb.ones(2), lambd=-1.0), "lambd, which is 0 or more"),
        (lambda: nn.GLU()(pb.ones((2, 3))), r"halves the axis -1, so it must be of even length; got shape \(2, 3\)"),
        (lambda: nn.GLU(2)(pb.ones((2, 2))), "halves the axis 2"),
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
