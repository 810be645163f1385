"""What optimizers are given to learn: what they take, by name too, and what they refuse."""

import json

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim


@pytest.fixture
def w():
    return pb.tensor([1.0], requires_grad=True)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (lambda w: w, TypeError, r"SGD takes a list of parameters; for one Tensor w, pass \[w\]"),
        (
            lambda w: nn.Linear(1, 1),
            TypeError,
            r"a list of parameters; for a Linear, pass its parameters\(\)",
        ),
        (lambda w: {"params": [w]}, TypeError, r"for one group, pass \[group\]"),
        (lambda w: nn.Linear(1, 1).state_dict(), TypeError, r"for parameters by name, pass .items\(\)"),
        (lambda w: {w}, TypeError, "a set has another order in every run"),
        (lambda w: [{"params": {w}}], TypeError, "a set has another order in every run"),
        (lambda w: None, TypeError, "SGD takes a list of parameters; got None"),
        (lambda w: [{"params": [w]}, w * 1], TypeError, "a group is a dict .* as 'params'; got a Tensor"),
        (lambda w: [], ValueError, "SGD was given no parameters"),
        (lambda w: [w, w], ValueError, r"SGD was given a parameter of shape \(1,\) twice"),
        (lambda w: [{"params": [w]}, {"params": [w]}], ValueError, r"SGD was given a parameter of shape \(1,\) twice"),
        (lambda w: [{"params": [w], "beta": 1}], ValueError, "SGD has no beta; it has lr, momentum, "),
        (lambda w: [{"params": [w], "initial_lr": -1}], ValueError, "SGD expects initial_lr to be a finite number"),
        (lambda w: [pb.ones(2)], ValueError, "Tensors that require gradients; got Tensor"),
        (lambda w: [np.ones(2)], ValueError, "Tensors that require gradients; got ndarray"),
        (lambda w: [nn.Linear(1, 1)], ValueError, r"require gradients; got Linear; pass its parameters\(\)"),
        (lambda w: [w * 2], ValueError, "a Tensor that was computed from others"),
        (lambda w: [{"parameters": [w]}], ValueError, "its parameters as 'params'; got 'parameters'"),
        (lambda w: [("a", w), w * 1], ValueError, "all parameters with names or all without; got 1 with names of 2"),
        (lambda w: [(w, w)], ValueError, "parameters, or pairs of a name and a parameter; got another tuple"),
    ],
)
def test_what_cannot_be_optimized_is_refused(w, params, error, message):
    with pytest.raises(error, match=message):
        optim.SGD(params(w))


@pytest.mark.parametrize("make", [list, tuple, iter, nn.ParameterList, lambda ps: [{"params": nn.ParameterList(ps)}]])
def test_parameters_come_in_any_order_that_is_kept(make):
    ps = [nn.Parameter(pb.ones(1)), nn.Parameter(pb.ones(2))]
    ((first, second),) = [group["params"] for group in optim.SGD(make(ps)).param_groups]
    assert (first is ps[0], second is ps[1]) == (True, True)


def test_names_are_kept_beside_the_parameters():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.named_parameters(), lr=0.5)
    (group,) = json.loads(json.dumps(optimizer.state_dict()["param_groups"]))
    assert (group["params"], group["param_names"]) == ([0, 1], ["weight", "bias"])
    before = model.bias.item()
    model.bias.grad = pb.ones(1)
    optimizer.step()
    assert model.bias.item() == pytest.approx(before - 0.5)
    assert "bias" not in repr(optimizer)
    with pytest.raises(ValueError, match="SGD takes all groups with names or all without"):
        optimizer.add_param_group({"params": nn.Linear(1, 1).parameters()})


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("loading", [False, True])
def test_state_with_names_fits_an_optimizer_without_them_and_the_other_way(saved, loading):
    model = nn.Linear(2, 1)
    given = model.parameters, model.named_parameters
    optimizer = optim.SGD(given[loading](), lr=0.1)
    optimizer.load_state_dict(optim.SGD(given[saved](), lr=0.5).state_dict())
    (group,) = optimizer.param_groups
    assert group["lr"] == 0.5
    assert ("param_names" in group) == (saved or loading)


def test_a_group_may_name_the_rate_at_which_a_schedule_began(w):
    optimizer = optim.SGD([{"params": [w], "initial_lr": 1.0}], lr=0.25)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch, last_epoch=2)
    assert schedule.get_last_lr() == [0.125]
