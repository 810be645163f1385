"""Sizes: which numbers are taken for one, and what is said of others, by ops and by layers."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn

pytestmark = pytest.mark.on_numpy

X = np.random.default_rng(0).standard_normal((2, 8, 8, 4))
WEIGHT = np.random.default_rng(1).standard_normal((4, 3, 3, 2))
WHOLE = np.random.default_rng(1).standard_normal((4, 3, 3, 4))

# Each works with 2 in place of n.
OPS = {
    "conv stride": lambda n: pb.conv(X, WHOLE, stride=n),
    "conv dilation": lambda n: pb.conv(X, WHOLE, dilation=(1, n)),
    "conv padding": lambda n: pb.conv(X, WHOLE, padding=n),
    "conv groups": lambda n: pb.conv(X, WEIGHT, groups=n),
    "conv_transpose output_padding": lambda n: pb.conv_transpose(X, WHOLE, stride=3, output_padding=n),
    "conv_weight kernel_size": lambda n: pb.conv_weight(X, np.ones((2, 7, 7, 4)), n),
    "conv_weight groups": lambda n: pb.conv_weight(X, np.ones((2, 6, 6, 4)), 3, groups=n),
    "unfold kernel_size": lambda n: pb.unfold(X, n),
    "fold output_size": lambda n: pb.fold(np.ones((1, 3, 4)), (n, 4), (2, 2)),
    "pad": lambda n: pb.pad(X, ((0, 0), (n, 0), (0, n), (0, 0))),
    "max_pool kernel_size": lambda n: pb.max_pool(X, n),
    "max_pool dilation": lambda n: pb.max_pool(X, 2, dilation=n),
    "avg_pool divisor": lambda n: pb.avg_pool(X, 2, divisor_override=n),
    "adaptive_avg_pool": lambda n: pb.adaptive_avg_pool(X, n),
    "adaptive_max_pool": lambda n: pb.adaptive_max_pool(X, (n, None)),
    "lp_pool kernel_size": lambda n: pb.lp_pool(X, 2, n),
    "max_unpool output_size": lambda n: pb.max_unpool(
        X[:, :1], np.zeros((2, 1, 8, 4), int), (2, 1), output_size=(n, 8)
    ),
    "fractional_max_pool output_size": lambda n: pb.fractional_max_pool(X, 2, n, samples=np.full((2, 4, 2), 0.5)),
    "interpolate size": lambda n: pb.interpolate(X, (n, 3)),
    "pixel_shuffle": lambda n: pb.pixel_shuffle(X, n),
    "pixel_unshuffle": lambda n: pb.pixel_unshuffle(X, n),
    "channel_shuffle": lambda n: pb.channel_shuffle(X, n),
    "affine_grid size": lambda n: pb.affine_grid(np.ones((1, 2, 3)), (1, n, 3, 1)),
}
LAYERS = {
    "Conv2d in_channels": lambda n: nn.Conv2d(n, 4, 3),
    "Conv2d kernel_size": lambda n: nn.Conv2d(3, 4, n),
    "Conv2d stride": lambda n: nn.Conv2d(3, 4, 3, stride=n),
    "Conv2d groups": lambda n: nn.Conv2d(4, 4, 3, groups=n),
    "ConvTranspose1d output_padding": lambda n: nn.ConvTranspose1d(3, 4, 3, stride=3, output_padding=n),
    "MaxPool2d": lambda n: nn.MaxPool2d(n),
    "AvgPool1d": lambda n: nn.AvgPool1d(2, stride=n),
    "AdaptiveAvgPool2d": lambda n: nn.AdaptiveAvgPool2d((None, n)),
    "AdaptiveMaxPool1d": lambda n: nn.AdaptiveMaxPool1d(n),
    "LPPool2d": lambda n: nn.LPPool2d(2, n),
    "MaxUnpool2d": lambda n: nn.MaxUnpool2d(n),
    "FractionalMaxPool2d": lambda n: nn.FractionalMaxPool2d(2, output_size=n),
    "ZeroPad2d": lambda n: nn.ZeroPad2d((1, n, 1, 1)),
    "ConstantPad1d": lambda n: nn.ConstantPad1d(n, 1.0),
    "Unfold": lambda n: nn.Unfold(n),
    "Fold": lambda n: nn.Fold(n, 2),
    "PixelShuffle": lambda n: nn.PixelShuffle(n),
    "PixelUnshuffle": lambda n: nn.PixelUnshuffle(n),
    "ChannelShuffle": lambda n: nn.ChannelShuffle(n),
    "Flatten": lambda n: nn.Flatten(n),
    "Unflatten dim": lambda n: nn.Unflatten(n, (2, 2)),
    "Unflatten length": lambda n: nn.Unflatten(1, (n, 2)),
}


@pytest.mark.parametrize("kind", [np.int64, np.uint8])
@pytest.mark.parametrize("call", OPS.values(), ids=OPS)
def test_an_op_takes_the_whole_numbers_of_numpy(call, kind):
    np.testing.assert_array_equal(call(kind(2)), call(2))


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_layer_takes_the_whole_numbers_of_numpy_and_keeps_those_of_python(make):
    assert repr(make(np.int64(2))) == repr(make(2))


@pytest.mark.parametrize("value", [2.0, np.float32(2), "2", True], ids=repr)
@pytest.mark.parametrize("call", [*OPS.values(), *LAYERS.values()], ids=[*OPS, *LAYERS])
def test_what_is_no_whole_number_is_told(call, value):
    with pytest.raises((TypeError, ValueError), match="whole number"):
        call(value)


def test_sizes_may_lie_in_an_array():
    np.testing.assert_array_equal(pb.interpolate(X, np.asarray([5, 3])), pb.interpolate(X, (5, 3)))
    np.testing.assert_array_equal(pb.max_pool(X, np.asarray([2, 4])), pb.max_pool(X, (2, 4)))
    np.testing.assert_array_equal(pb.pad(X[0, 0, 0], np.asarray([[1, 2]])), pb.pad(X[0, 0, 0], [(1, 2)]))


@pytest.mark.parametrize("call", [
    lambda x: pb.conv(x, WHOLE), lambda x: pb.conv(X, x), lambda x: pb.conv(X, WHOLE, x), lambda x: pb.unfold(x, 2),
    lambda x: pb.pad(x, ((1, 1),)), lambda x: pb.max_pool(x, 2), lambda x: pb.avg_pool(x, 2),
    lambda x: pb.adaptive_avg_pool(x, 2), lambda x: pb.global_avg_pool(x), lambda x: pb.interpolate(x, 2),
    lambda x: pb.pixel_shuffle(x, 2), lambda x: pb.channel_shuffle(x, 2), nn.Conv1d(1, 1, 1), nn.MaxPool2d(2),
    nn.ZeroPad1d(1), nn.Upsample(3),
])  # fmt: skip
def test_what_is_no_array_is_told(call):
    with pytest.raises(TypeError, match="takes an array; got list"):
        call([[1.0, 2.0]])
