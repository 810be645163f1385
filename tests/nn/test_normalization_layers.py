"""Normalization layers: running statistics in every way that a model is called, and what is refused."""

import copy

import numpy as np
import pytest

import pullback as pb
from pullback import nn
from pullback.compile import trace


def batch(*shape, seed=0):
    return pb.asarray(np.random.default_rng(seed).standard_normal(shape) * 3 + 1, dtype="float32")


def running(layer):
    return [layer.running_mean.numpy().copy(), layer.running_var.numpy().copy(), layer.num_batches_tracked.item()]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_without_momentum_all_batches_count_alike():
    layer, batches = nn.BatchNorm1d(3, momentum=None), [batch(8, 3, seed=i) for i in range(4)]
    for x in batches:
        layer(x)
    whole = np.stack([x.numpy() for x in batches])
    np.testing.assert_allclose(layer.running_mean.numpy(), whole.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), whole.var(axis=1, ddof=1).mean(axis=0), rtol=1e-5)
    assert layer.num_batches_tracked.item() == 4


def test_evaluation_uses_what_was_tracked_and_changes_nothing():
    layer, x = nn.BatchNorm2d(2), batch(4, 3, 3, 2)
    layer(x)
    before = running(layer)
    y = layer.eval()(x).numpy()
    np.testing.assert_allclose(y, (x.numpy() - before[0]) / np.sqrt(before[1] + 1e-5), rtol=1e-5, atol=1e-5)
    assert_same(running(layer), before)
    layer.reset_running_stats()
    assert_same(running(layer), [np.zeros(2), np.ones(2), 0])


def test_a_copy_tracks_for_itself():
    layer = nn.BatchNorm1d(3)
    twin = copy.deepcopy(layer)
    layer(batch(8, 3))
    assert_same(running(twin), [np.zeros(3), np.ones(3), 0])
    twin.load_state_dict(layer.state_dict())
    assert_same(running(twin), running(layer))


def test_a_functional_call_leaves_the_buffers_it_is_given():
    layer, x = nn.BatchNorm1d(3), batch(8, 3)
    state = {name: value + 0 for name, value in layer.state_dict().items()}
    y = nn.functional_call(layer, state, x)
    assert_same(running(layer), [np.zeros(3), np.ones(3), 0])
    np.testing.assert_allclose(y.numpy(), layer(x).numpy(), rtol=1e-6)
    gradients = pb.grad(lambda p: pb.square(nn.functional_call(layer, {**state, **p}, x)).sum())(
        {"weight": layer.weight.detach()}
    )
    assert gradients["weight"].shape == (3,)


def test_a_checkpoint_tracks_each_batch_once():
    layer, plain, x = nn.BatchNorm1d(3), nn.BatchNorm1d(3), batch(8, 3)
    plain(x)
    x = x.requires_grad_()
    pb.checkpoint(lambda x: layer(x) * 2.0, x).sum().backward()
    assert_same(running(layer), running(plain))


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize(
    "make",
    [nn.BatchNorm2d, lambda n, momentum: nn.InstanceNorm2d(n, momentum=momentum or 0.2, track_running_stats=True)],
)
def test_a_traced_step_tracks_every_batch(make, momentum):
    eager, layer = make(2, momentum=momentum), make(2, momentum=momentum)
    step = trace(lambda x: layer(x), batch(4, 3, 3, 2), state=[*layer.parameters(), *layer.buffers()])
    for i in range(3):
        x = batch(4, 3, 3, 2, seed=i)
        np.testing.assert_allclose(step(x).numpy(), eager(x).numpy(), rtol=1e-5, atol=1e-6)
    assert_same(running(layer), running(eager))


def test_a_trace_or_a_map_that_does_not_know_the_buffers_is_refused():
    layer = nn.BatchNorm1d(3)
    with pytest.raises(TypeError, match="pass its buffers"):
        trace(lambda x: layer(x), batch(8, 3))
    with pytest.raises(TypeError, match="pass its buffers"):
        pb.vmap(layer)(batch(2, 8, 3))
    assert_same(running(layer), [np.zeros(3), np.ones(3), 0])
    layer.eval()
    assert pb.vmap(layer)(batch(2, 8, 3)).shape == (2, 8, 3)
    assert pb.vmap(nn.BatchNorm1d(3, track_running_stats=False))(batch(2, 8, 3)).shape == (2, 8, 3)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.BatchNorm1d(3), (1, 3), "more than one value for each channel"),
        (nn.BatchNorm2d(3), (1, 1, 1, 3), "more than one value for each channel"),
        (nn.InstanceNorm1d(3), (4, 1, 3), "more than one position"),
        (nn.BatchNorm1d(3), (3, 8), r"takes \(N, 3\) or \(N, L, 3\), channels last; got shape \(3, 8\)"),
        (nn.BatchNorm2d(3), (8, 3, 5, 5), "channels last"),
        (nn.BatchNorm3d(3), (8, 5, 5, 3), "channels last"),
        (nn.InstanceNorm2d(3), (5, 3), "channels last"),
        (nn.LayerNorm((4, 3)), (2, 3, 4), r"takes \(\.\.\., 4, 3\); got shape \(2, 3, 4\)"),
        (nn.RMSNorm(4), (2, 3), r"takes \(\.\.\., 4\)"),
        (nn.GroupNorm(2, 4), (2, 4, 3), "channels last"),
    ],
    ids=str,
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(pb.ones(shape))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="a multiple of num_groups"):
        nn.GroupNorm(3, 4)
    with pytest.raises(ValueError, match="size is a whole number of 1 or more"):
        nn.LocalResponseNorm(0)
    with pytest.raises(TypeError, match="takes an array; got list"):
        nn.BatchNorm1d(2)([[1.0, 2.0]])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.InstanceNorm1d(2), (6, 2)), (nn.InstanceNorm2d(2), (3, 4, 2)), (nn.InstanceNorm3d(2), (2, 3, 4, 2))],
)
def test_instance_norm_takes_one_sample_without_a_batch(layer, shape):
    x = batch(*shape)
    np.testing.assert_array_equal(layer(x).numpy(), layer(pb.expand_dims(x, axis=0)).numpy()[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_far_from_zero_keep_their_variance(dtype):
    deviation = np.tile([-1.0, 1.0], 500).reshape(-1, 1)
    x = pb.asarray(deviation + 4096.0, dtype=dtype)
    np.testing.assert_allclose(pb.batch_norm(x)[0].numpy(), deviation, rtol=1e-5)
    np.testing.assert_allclose(pb.layer_norm(x.mT, normalized_shape=1000).numpy(), deviation.T, rtol=1e-5)
    np.testing.assert_allclose(pb.group_norm(x.mT, num_groups=1).numpy(), deviation.T, rtol=1e-5)


def test_a_bilinear_map_is_linear_in_each_input():
    layer = nn.Bilinear(2, 3, 4)
    x, y = batch(5, 2), batch(5, 3, seed=1)
    expected = np.einsum("ni,kij,nj->nk", x.numpy(), layer.weight.numpy(), y.numpy()) + layer.bias.numpy()
    np.testing.assert_allclose(layer(x, y).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(layer.weight.numpy()).max() <= 2**-0.5
    with pytest.raises(ValueError, match=r"got shapes \(5, 3\) and \(5, 3\)"):
        layer(y, y)
    with pytest.raises(ValueError, match="1 or more"):
        nn.Bilinear(0, 3, 4)
