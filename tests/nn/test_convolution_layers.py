"""Convolution and padding layers where the parity table does not look: starts, single samples, sizes, messages."""

from math import sqrt

import numpy as np
import pytest

import pullback as pb
from pullback import nn
from pullback.interop.torch import to_torch_state_dict


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (nn.Conv1d(6, 8, 5), 30),
        (nn.Conv2d(6, 8, (3, 5), groups=2), 45),
        (nn.Conv3d(2, 64, 3), 54),
        (nn.ConvTranspose2d(6, 8, 3), 72),
        (nn.ConvTranspose1d(6, 8, 5, groups=2), 20),
    ],
    ids=repr,
)
def test_parameters_start_uniform_within_one_over_the_root_of_fan_in(layer, fan_in):
    pb.manual_seed(3)
    layer.reset_parameters()
    bound = 1 / sqrt(fan_in)
    values = layer.weight.numpy()
    assert abs(values).max() <= bound
    assert abs(values).max() > 0.9 * bound
    assert abs(values.var() / (bound**2 / 3) - 1) < 0.5
    assert 0 < abs(layer.bias.numpy()).max() <= bound


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Conv1d", {}),
        ("Conv2d", {"padding": "same", "groups": 2, "bias": False, "padding_mode": "reflect"}),
        ("Conv3d", {"stride": 2, "padding": (1, 0, 1), "dilation": 2}),
        ("ConvTranspose2d", {"stride": 2, "output_padding": 1, "padding": 1}),
    ],
)
def test_the_repr_is_pytorchs(name, options):
    torch = pytest.importorskip("torch")
    ours = repr(getattr(nn, name)(4, 8, 3, **options)).split("  #")[0]
    assert ours == repr(getattr(torch.nn, name)(4, 8, 3, **options))


@pytest.mark.parity
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_output_size_chooses_among_the_lengths_there_are(axes):
    torch = pytest.importorskip("torch")
    ours = getattr(nn, f"ConvTranspose{axes}d")(3, 4, 3, stride=3, padding=1)
    theirs = getattr(torch.nn, f"ConvTranspose{axes}d")(3, 4, 3, stride=3, padding=1)
    theirs.load_state_dict(
        {name: torch.from_dlpack(value.detach()) for name, value in to_torch_state_dict(ours).items()}
    )
    x = np.random.default_rng(0).standard_normal((2, *(4,) * axes, 3)).astype(np.float32)
    for length in (10, 11, 12):
        size = (length,) * axes
        expected = theirs(torch.tensor(np.moveaxis(x, -1, 1).copy()), output_size=size).detach().numpy()
        for asked in (size, (2, *size, 4)):
            got = ours(pb.tensor(x), output_size=asked)
            np.testing.assert_allclose(got.numpy(), np.moveaxis(expected, 1, -1), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            ours(pb.tensor(x[0]), output_size=(*size, 4)).numpy(), np.moveaxis(expected[0], 0, -1), rtol=1e-5, atol=1e-5
        )
    with pytest.raises(ValueError, match="gives lengths between"):
        ours(pb.tensor(x), output_size=(13,) * axes)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"),
        nn.ConvTranspose2d(3, 4, 3, stride=2),
        nn.ReflectionPad2d((1, 2, 3, 0)),
        nn.ConstantPad2d(-1, 2.0),
        nn.Unfold(3, padding=1),
    ],
    ids=repr,
)
def test_a_sample_alone_is_as_in_a_batch(layer):
    x = pb.random.normal((2, 6, 5, 3))
    np.testing.assert_allclose(layer(x[1]).numpy(), layer(x).numpy()[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "multiples of groups"),
        (lambda: nn.Conv2d(0, 4, 3), "in_channels is a whole number of 1 or more"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "padding_mode is 'zeros' or"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), "padding_mode is 'zeros'"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), "for each of the 2 spatial axes"),
        (lambda: nn.Conv2d(3, 4, 3)(pb.ones((2, 3, 8, 8))), r"takes \(N, H, W, 3\), channels last"),
        (lambda: nn.ConvTranspose2d(3, 4, 3)(pb.ones((2, 8, 8, 3)), output_size=(9,)), "each of the 2 spatial axes"),
        (lambda: nn.Conv2d(3, 4, 3, padding=8, padding_mode="reflect")(pb.ones((8, 8, 3))), "adds at most 7"),
        (lambda: nn.ReflectionPad1d(3)(pb.ones((3, 1))), "adds at most 2"),
        (lambda: nn.CircularPad1d(4)(pb.ones((3, 1))), "adds at most 3"),
        (lambda: nn.Unfold(9)(pb.ones((8, 8, 3))), "reaches over"),
        (lambda: nn.Fold(3, 2)(pb.ones((1, 5, 4))), "takes windows"),
        (lambda: nn.ZeroPad2d((1, 2)), "takes a whole number, or 4 of them"),
        (lambda: nn.ZeroPad2d(1)(pb.ones(3)), r"takes \(N, H, W, C\)"),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_no_array_is_told():
    with pytest.raises(TypeError, match="takes an array; got list"):
        nn.Conv1d(1, 1, 1)([[1.0]])


def test_a_layer_moves_to_another_dtype():
    layer = nn.Conv2d(1, 2, 3).to(dtype="float64")
    assert layer(pb.ones((1, 5, 5, 1), dtype="float64")).dtype == "float64"
