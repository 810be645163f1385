"""Averages of weights against PyTorch's, and batch norm's statistics for them."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def moved(model, rng):
    """The model with other parameters and buffers; returns them by name."""
    state = {
        name: rng.uniform(0.1, 2, value.shape).astype("float32") if value.dtype != pb.int64 else np.asarray(7)
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    return state


@pytest.mark.parity
@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("name", [None, "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn"])
def test_averages_agree_with_pytorchs(name, use_buffers):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pullback[parity]'")
    swa = torch.optim.swa_utils
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    model, rng = network(), np.random.default_rng(0)
    options = {}, {}
    if name is not None:
        arguments = (0.9,) if "ema" in name else ()
        key = "multi_avg_fn" if "multi" in name else "avg_fn"
        options = tuple({key: getattr(library, name)(*arguments)} for library in (optim, swa))
    ours = optim.AveragedModel(model, use_buffers=use_buffers, **options[0])
    other = swa.AveragedModel(theirs, use_buffers=use_buffers, **options[1])
    for _ in range(4):
        state = moved(model, rng)
        theirs.load_state_dict({key: torch.tensor(value) for key, value in state.items()})
        ours.update_parameters(model)
        other.update_parameters(theirs)
    expected = other.state_dict()
    assert set(ours.state_dict()) == set(expected)
    for key, value in ours.state_dict().items():
        if not (use_buffers and key.endswith("num_batches_tracked")):  # PyTorch's average of these is cut down
            np.testing.assert_allclose(value.numpy(), expected[key].numpy(), rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("options", [{}, {"multi_avg_fn": optim.get_ema_multi_avg_fn(0.9)}], ids=["mean", "ema"])
def test_counts_are_copied_and_never_averaged(place, use_buffers, options):
    model = network()
    average = optim.AveragedModel(model, use_buffers=use_buffers, **options)
    for seen in range(1, 6):
        model(pb.random.normal((4, 3)))
        average.update_parameters(model)
        assert average.module[1].num_batches_tracked.item() == seen
        assert average.module[1].num_batches_tracked.dtype == pb.int64


def test_the_average_is_a_model_of_its_own(place):
    model, rng = network(), np.random.default_rng(0)
    average = optim.AveragedModel(model)
    first = moved(model, rng)
    average.update_parameters(model)
    second = moved(model, rng)
    np.testing.assert_array_equal(average.module[0].weight.numpy(), first["0.weight"])
    average.update_parameters(model)
    np.testing.assert_allclose(
        average.module[0].weight.numpy(), (first["0.weight"] + second["0.weight"]) / 2, rtol=1e-5, atol=1e-6
    )
    assert average.n_averaged.item() == 2
    assert average.eval()(pb.ones((2, 3))).shape == (2, 2)
    again = optim.AveragedModel(network())
    again.load_state_dict(average.state_dict())
    moved(model, rng)
    for averaged in (average, again):
        averaged.update_parameters(model)
    np.testing.assert_array_equal(again.module[2].bias.numpy(), average.module[2].bias.numpy())


def test_statistics_are_measured_over_all_batches_alike(place):
    model = network()
    model[1].momentum = 0.3
    model.eval()
    batches = [pb.tensor(np.random.default_rng(seed).normal(size=(5, 3)), dtype="float32") for seed in range(3)]
    optim.update_bn([(x, None) for x in batches], model)
    with pb.no_grad():
        hidden = [model[0](x).numpy() for x in batches]
    np.testing.assert_allclose(
        model[1].running_mean.numpy(), np.mean([h.mean(axis=0) for h in hidden], axis=0), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        model[1].running_var.numpy(), np.mean([h.var(axis=0, ddof=1) for h in hidden], axis=0), rtol=1e-4, atol=1e-5
    )
    assert model[1].momentum == 0.3
    assert not model.training
    assert all(p.grad is None for p in model.parameters())


def test_a_model_without_batch_norms_is_not_called():
    optim.update_bn(iter(lambda: pytest.fail("a batch was taken"), None), nn.Linear(2, 2))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"a decay from 0 to 1; got 1\.5"):
        optim.get_ema_multi_avg_fn(1.5)
    both = {"avg_fn": optim.get_swa_avg_fn(), "multi_avg_fn": optim.get_swa_multi_avg_fn()}
    with pytest.raises(ValueError, match="avg_fn or multi_avg_fn; got both"):
        optim.AveragedModel(nn.Linear(2, 2), **both)
    with pytest.raises(ValueError, match="a model of 2 parameters and 0 buffers; got one of 6 and 3"):
        optim.AveragedModel(nn.Linear(2, 2)).update_parameters(network())
