"""States that come from PyTorch: layouts that differ, dtypes NumPy has not, and names that are not there."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn
from pullback.interop import from_torch_state_dict, to_torch_state_dict


@pytest.fixture(scope="module")
def torch():
    found = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pullback[parity]'")
    found.manual_seed(0)
    return found


def learnt(torch, model):
    """A module of PyTorch's in evaluation mode, none of whose values are ones and zeros."""
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.add_(torch.rand_like(value))
    return model.eval()


def loaded(ours, theirs, **options):
    """Our model with their weights, which are the same again on the way back."""
    state = theirs.state_dict()
    ours.load_state_dict(from_torch_state_dict(ours, state, **options))
    back = to_torch_state_dict(ours, **options)
    assert list(back) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(back[name].numpy(), value.numpy(), err_msg=name)
    return ours.eval()


@pytest.mark.parity
@pytest.mark.parametrize("lengths", [(5, 4), (3, 3), (4, 3, 2)])
@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm"])
def test_norms_over_whole_images_are_transposed(torch, norm, lengths):
    theirs = learnt(torch, getattr(torch.nn, norm)((3, *lengths)))
    ours = loaded(getattr(nn, norm)((*lengths, 3)), theirs)
    x = torch.randn(2, 3, *lengths)
    expected = theirs(x).detach().moveaxis(1, -1).numpy()
    np.testing.assert_allclose(ours(pb.asarray(x.moveaxis(1, -1).contiguous().numpy())).numpy(), expected, atol=1e-5)


@pytest.mark.parity
def test_norms_of_sequences_are_as_they_were(torch):
    theirs = learnt(torch, torch.nn.LayerNorm((4, 4)))
    np.testing.assert_array_equal(loaded(nn.LayerNorm((4, 4)), theirs).weight.numpy(), theirs.weight.detach().numpy())


@pytest.mark.parity
def test_images_may_be_flattened_and_unflattened(torch):
    theirs = learnt(torch, torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.BatchNorm1d(2 * 4), torch.nn.Linear(2 * 4, 5),
        torch.nn.Linear(5, 3 * 4), torch.nn.BatchNorm1d(3 * 4), torch.nn.Unflatten(1, (3, 2, 2)),
        torch.nn.ConvTranspose2d(3, 1, 3),
    ))  # fmt: skip
    ours = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.Flatten(), nn.BatchNorm1d(2 * 4), nn.Linear(2 * 4, 5),
        nn.Linear(5, 3 * 4), nn.BatchNorm1d(3 * 4), nn.Unflatten(1, (2, 2, 3)), nn.ConvTranspose2d(3, 1, 3),
    )  # fmt: skip
    loaded(ours, theirs, flattened={"3.weight": 2}, unflattened={"2": 2, "4": 3, "5": 3})
    x = torch.randn(2, 1, 4, 4)
    expected = theirs(x).detach().moveaxis(1, -1).numpy()
    np.testing.assert_allclose(ours(pb.asarray(x.moveaxis(1, -1).contiguous().numpy())).numpy(), expected, atol=1e-4)


@pytest.mark.parity
def test_bfloat16_comes_as_float32_with_the_same_values(torch):
    state = torch.nn.Conv2d(2, 3, 2).bfloat16().state_dict()
    found = from_torch_state_dict(nn.Conv2d(2, 3, 2), state)
    assert found["weight"].dtype == found["bias"].dtype == pb.float32
    np.testing.assert_array_equal(found["weight"].numpy(), state["weight"].float().moveaxis(1, -1).numpy())


LAYER = nn.Linear(6, 4)


@pytest.mark.parametrize(("options", "error", "complaint"), [
    ({"flattened": {"fc.weight": 2}}, ValueError, "flattened has 'fc.weight', .* it has weight, bias"),
    ({"unflattened": {"fc": 2}}, ValueError, "unflattened has 'fc', .* it has weight, bias"),
    ({"flattened": {"weight": 0}}, ValueError, "number of channels of weight is a whole number of 1 or more; got 0"),
    ({"flattened": {"weight": 3.0}}, TypeError, "number of channels of weight is a whole number"),
    ({"flattened": {"weight": 4}}, ValueError, r"weight of shape \(4, 6\) has no axis 1 .* with 4 channels"),
    ({"flattened": {"bias": 2}}, ValueError, r"bias of shape \(4,\) has no axis 1 .* with 2 channels"),
    ({"unflattened": {"bias": 3}}, ValueError, r"bias of shape \(4,\) has no axis 0 .* with 3 channels"),
    ({"flattened": ["weight"]}, TypeError, "flattened is a dict, the number of channels by name"),
])  # fmt: skip
def test_what_cannot_be_exchanged_is_refused_both_ways(options, error, complaint):
    with pytest.raises(error, match=complaint):
        from_torch_state_dict(LAYER, LAYER.state_dict(), **options)
    with pytest.raises(error, match=complaint):
        to_torch_state_dict(LAYER, **options)


@pytest.mark.parametrize(("model", "state", "complaint"), [
    (LAYER, LAYER, r"a state is a module's state_dict\(\), arrays by name; got Linear"),
    (LAYER, {"weight": [[1.0]]}, "a state holds Tensors or arrays; got list"),
    (LAYER.state_dict(), {}, "the model is a module of pullback.nn; got dict"),
])  # fmt: skip
def test_what_is_no_model_or_state_is_refused(model, state, complaint):
    with pytest.raises(TypeError, match=complaint):
        from_torch_state_dict(model, state)


def test_a_kernel_with_too_few_axes_is_named_when_it_is_loaded():
    layer = nn.Conv2d(2, 3, 2)
    state = from_torch_state_dict(layer, {"weight": np.zeros(3), "bias": np.zeros(3)})
    with pytest.raises(ValueError, match=r"weight: shape \(3,\) given, shape \(3, 2, 2, 2\) expected"):
        layer.load_state_dict(state)
