"""Parametrizations: the weight that is computed, its originals, and the way back."""

import copy
import pickle

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim
from pullback.compile import trace
from pullback.nn.parametrizations import (
    is_parametrized,
    register_parametrization,
    remove_parametrizations,
    spectral_norm,
    weight_norm,
)


class Symmetric(nn.Module):
    def forward(self, x):
        return pb.triu(x) + pb.triu(x, k=1).mT

    def right_inverse(self, value):
        return pb.triu(value)


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2.0

    def right_inverse(self, value):
        return value * 0.5


LAYERS = [
    nn.Linear(4, 3),
    nn.Conv2d(3, 4, 3),
    nn.ConvTranspose2d(3, 4, 3),
    nn.Embedding(7, 3),
    nn.Bilinear(2, 3, 4),
]


@pytest.fixture(params=LAYERS, ids=lambda layer: type(layer).__name__)
def layer(request):
    pb.manual_seed(0)
    return copy.deepcopy(request.param)


@pytest.mark.parametrize("dim", [0, -1, None])
def test_weight_norm_keeps_the_weight_and_learns_norms_and_directions(layer, dim):
    before, plain = layer.weight.numpy().copy(), type(layer)
    assert weight_norm(layer, dim=dim) is layer
    np.testing.assert_allclose(layer.weight.numpy(), before, rtol=1e-6)
    held = layer.parametrizations.weight
    axes = None if dim is None else tuple(a for a in range(before.ndim) if a != dim % before.ndim)
    norms = np.sqrt((before**2).sum(axis=axes, keepdims=dim is not None))
    np.testing.assert_allclose(held.original0.numpy(), norms, rtol=1e-6)
    held.original0.array = held.original0.array * 2
    held.original1.array = held.original1.array * 5
    np.testing.assert_allclose(layer.weight.numpy(), 2 * before, rtol=1e-6)
    remove_parametrizations(layer, "weight")
    assert type(layer) is plain
    assert isinstance(layer.weight, nn.Parameter)
    assert not is_parametrized(layer)
    np.testing.assert_allclose(layer.weight.numpy(), 2 * before, rtol=1e-6)


def test_spectral_norm_gives_a_largest_singular_value_of_one(layer):
    pb.manual_seed(1)
    outputs_last = isinstance(layer, nn.ConvTranspose2d)
    spectral_norm(layer, n_power_iterations=30)
    weight = np.moveaxis(layer.weight.numpy(), -1 if outputs_last else 0, 0)
    assert abs(np.linalg.norm(weight.reshape(weight.shape[0], -1), 2) - 1) < 1e-3
    before = layer.weight.numpy()
    remove_parametrizations(layer, "weight")
    np.testing.assert_allclose(layer.weight.numpy(), before, rtol=1e-3)


def test_power_iterations_run_in_training_only():
    layer = spectral_norm(nn.Linear(5, 6))
    held = layer.parametrizations.weight[0]
    before = held._u.numpy().copy()
    layer.eval()(pb.ones((1, 5)))
    np.testing.assert_array_equal(held._u.numpy(), before)
    layer.train()(pb.ones((1, 5)))
    assert (held._u.numpy() != before).any()


def test_what_is_assigned_is_what_is_read():
    layer = nn.Linear(3, 3, bias=False)
    register_parametrization(layer, "weight", Symmetric())
    register_parametrization(layer, "weight", Doubled())
    value = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]], dtype="float32")
    layer.weight = pb.asarray(value)
    np.testing.assert_array_equal(layer.weight.numpy(), value)
    np.testing.assert_array_equal(layer.parametrizations.weight.original.numpy(), np.triu(value) / 2)
    assert [name for name, _ in layer.named_parameters()] == ["parametrizations.weight.original"]
    with pytest.raises(ValueError, match="keeps its shape"):
        layer.weight = pb.ones((3, 4))
    remove_parametrizations(layer, "weight", leave_parametrized=False)
    np.testing.assert_array_equal(layer.weight.numpy(), np.triu(value) / 2)


def test_registering_keeps_the_parameter_itself():
    layer = nn.Linear(3, 3)
    weight = layer.weight
    register_parametrization(layer, "weight", Symmetric())
    assert layer.parametrizations.weight.original is weight
    remove_parametrizations(layer, "weight")
    assert layer.weight is weight


def test_two_tensors_of_one_module_come_and_go_by_themselves():
    layer = nn.Linear(3, 3)
    register_parametrization(layer, "bias", Doubled())
    weight_norm(layer)
    assert is_parametrized(layer, "bias")
    remove_parametrizations(layer, "bias")
    assert is_parametrized(layer, "weight")
    assert not is_parametrized(layer, "bias")
    assert isinstance(layer.bias, nn.Parameter)
    assert isinstance(layer, nn.Linear)


@pytest.mark.parametrize("take", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_are_parametrized_for_themselves(take):
    layer = spectral_norm(weight_norm(nn.Linear(3, 4)), "bias")
    twin = take(layer)
    np.testing.assert_array_equal(twin.weight.numpy(), layer.weight.numpy())
    assert type(twin) is type(layer)
    twin.parametrizations.weight.original0.array = twin.parametrizations.weight.original0.array * 2
    np.testing.assert_allclose(twin.weight.numpy(), 2 * layer.weight.numpy(), rtol=1e-6)


def test_originals_are_trained_and_states_move():
    pb.manual_seed(0)
    model = nn.Sequential(weight_norm(nn.Linear(3, 8)), nn.Tanh(), spectral_norm(nn.Linear(8, 1)))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    x = pb.random.normal((64, 3))
    target = x[:, :1] * x[:, 1:2]
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = pb.mse_loss(model(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    other = nn.Sequential(weight_norm(nn.Linear(3, 8)), nn.Tanh(), spectral_norm(nn.Linear(8, 1)))
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.eval()(x).numpy(), model.eval()(x).numpy())
    slopes = pb.grad(lambda p: nn.functional_call(model, p, x).sum())(
        {"2.parametrizations.weight.original": model[2].parametrizations.weight.original.detach()}
    )
    assert np.any(slopes["2.parametrizations.weight.original"].numpy())


def test_a_traced_step_finds_singular_vectors_as_an_eager_one_does():
    pb.manual_seed(0)
    eager = spectral_norm(nn.Linear(3, 4))
    traced = copy.deepcopy(eager)
    x = pb.ones((2, 3))
    step = trace(lambda x: traced(x), x, state=[*traced.parameters(), *traced.buffers()])
    for _ in range(3):
        np.testing.assert_allclose(step(x).numpy(), eager(x).numpy(), rtol=1e-6)
    with pytest.raises(TypeError, match="pass the module's buffers"):
        trace(lambda x: eager(x), x, state=eager.parameters())


def test_a_checkpoint_iterates_once():
    pb.manual_seed(0)
    layer = spectral_norm(nn.Linear(3, 4))
    plain, x = copy.deepcopy(layer), pb.ones((2, 3)).requires_grad_()
    plain(x).sum().backward()
    expected = x.grad.numpy()
    x.grad = None
    pb.checkpoint(layer, x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected)
    np.testing.assert_array_equal(
        layer.parametrizations.weight[0]._u.numpy(), plain.parametrizations.weight[0]._u.numpy()
    )


class Flattened(nn.Module):
    def forward(self, x):
        return pb.reshape(x, (-1,))


def test_what_cannot_be_is_refused():
    layer = nn.Linear(3, 3, bias=False)
    for make in (weight_norm, spectral_norm):
        with pytest.raises(ValueError, match="no parameter or buffer 'bias'"):
            make(layer, "bias")
    with pytest.raises(ValueError, match="no axis 2"):
        spectral_norm(layer, dim=2)
    with pytest.raises(ValueError, match="one power iteration or more"):
        spectral_norm(layer, n_power_iterations=0)
    with pytest.raises(ValueError, match=r"float32 of shape \(9,\)"):
        register_parametrization(layer, "weight", Flattened())
    assert isinstance(layer.weight, nn.Parameter)
    register_parametrization(layer, "weight", Flattened(), unsafe=True)
    assert layer.weight.shape == (9,)
    with pytest.raises(TypeError, match="no right_inverse"):
        layer.weight = pb.ones(9)
    with pytest.raises(ValueError, match="no parametrization of 'bias'"):
        remove_parametrizations(layer, "bias")
    with pytest.raises(ValueError, match="several originals"):
        remove_parametrizations(weight_norm(nn.Linear(2, 2)), "weight", leave_parametrized=False)
