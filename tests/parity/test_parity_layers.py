"""Every layer and activation against PyTorch's: forward, and the gradients of inputs and parameters."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn

pytestmark = pytest.mark.parity

SHAPES = [(7,), (5, 4), (2, 3, 4)]
ACTIVATIONS = [
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("ReLU", {}),
    ("LeakyReLU", {}),
    ("LeakyReLU", {"negative_slope": 0.3}),
    ("ELU", {}),
    ("ELU", {"alpha": 0.4}),
    ("GELU", {}),
    ("GELU", {"approximate": "tanh"}),
    ("SiLU", {}),
    ("Softplus", {}),
    ("Softplus", {"beta": 2.5, "threshold": 3.0}),
    ("Identity", {}),
]
ALONG = [(name, dim) for name in ("Softmax", "LogSoftmax") for dim in (0, 1, -1, -2)]
LAYERS = [
    ("Linear", {"in_features": 4, "out_features": 3}, (4,)),
    ("Linear", {"in_features": 4, "out_features": 3}, (5, 4)),
    ("Linear", {"in_features": 4, "out_features": 3, "bias": False}, (5, 4)),
    ("Linear", {"in_features": 4, "out_features": 3}, (2, 5, 4)),
    ("Linear", {"in_features": 4, "out_features": 1}, (0, 4)),
    ("Flatten", {}, (2, 3, 4, 5)),
    ("Flatten", {"start_dim": 0}, (2, 3, 4)),
    ("Flatten", {"start_dim": 1, "end_dim": 2}, (2, 3, 4, 5)),
    ("Flatten", {"start_dim": -2}, (2, 3, 4)),
    ("Flatten", {}, (0, 3, 4)),
    ("Dropout", {"p": 0.0}, (3, 4)),
    ("Dropout", {"p": 1.0}, (3, 4)),
]


@pytest.fixture
def same(torch, dtype, agree):
    """Asserts that two modules with the same parameters give the same output and gradients."""

    def check(ours, theirs, x):
        theirs = theirs.to(getattr(torch, dtype))
        ours.to(dtype=dtype).load_state_dict({name: p.detach().numpy() for name, p in theirs.state_dict().items()})
        x = x.astype(dtype)
        mine, other = pb.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, expected = ours(mine), theirs(other)
        agree(y, expected, "forward")
        cotangent = np.random.default_rng(1).standard_normal(expected.shape).astype(dtype)
        y.backward(pb.tensor(cotangent))
        expected.backward(torch.tensor(cotangent))
        agree(mine.grad, other.grad, "gradient of the input")
        for (name, p), (other_name, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            assert name == other_name
            agree(p.grad, q.grad, f"gradient of {name}")

    return check


def values(shape):
    """Normal values of several sizes, with zeros among them, where the kinks are."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape) * rng.choice([0.1, 1.0, 5.0], size=shape)
    x.reshape(-1)[:2] = 0.0
    return x


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "options"), ACTIVATIONS)
def test_activations_agree(torch, same, name, options, shape):
    same(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), values(shape))


@pytest.mark.parametrize(("name", "options"), ACTIVATIONS)
def test_activations_agree_far_from_zero(torch, same, name, options):
    x = np.asarray([-800.0, -80.0, -30.0, -21.0, -9.0, 9.0, 19.9, 20.1, 30.0, 80.0, 800.0])
    same(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), x)


@pytest.mark.parametrize(("name", "dim"), ALONG)
def test_softmax_agrees_along_every_axis(torch, same, name, dim):
    same(getattr(nn, name)(dim=dim), getattr(torch.nn, name)(dim=dim), values((4, 5)) * 10)


@pytest.mark.parametrize(("name", "options", "shape"), LAYERS)
def test_layers_agree(torch, same, name, options, shape):
    same(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), np.random.default_rng(0).normal(size=shape))


def test_dropout_agrees_in_evaluation(torch, same):
    same(nn.Dropout(0.7).eval(), torch.nn.Dropout(0.7).eval(), values((3, 4)))


def test_a_deep_network_agrees(torch, same):
    def build(nn):
        return nn.Sequential(
            *(nn.Flatten(), nn.Linear(12, 16), nn.GELU(), nn.Linear(16, 16, bias=False), nn.ELU(0.5)),
            nn.Sequential(nn.Linear(16, 8), nn.SiLU(), nn.Linear(8, 5)),
            nn.LogSoftmax(dim=-1),
        )

    same(build(nn), build(torch.nn), values((6, 3, 4)))
