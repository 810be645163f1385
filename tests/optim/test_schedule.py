"""Schedules: what they save, what they let others do, and what they refuse."""

import json

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim
from pullback.optim import lr_scheduler
from pullback.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


@pytest.fixture
def optimizer():
    w, v = (pb.tensor([1.0], requires_grad=True) for _ in range(2))
    return optim.SGD([{"params": [w]}, {"params": [v], "lr": 0.2}], lr=1.0, momentum=0.9)


def rates(schedule, steps):
    """The first group's rate before each step."""
    found = []
    for _ in range(steps):
        found.append(schedule.get_last_lr()[0])
        schedule.step()
    return found


def test_warm_up_then_cosine():
    optimizer = optim.SGD([pb.tensor([1.0], requires_grad=True)], lr=1.0)
    parts = [LinearLR(optimizer, 0.25, total_iters=3), CosineAnnealingLR(optimizer, 4)]
    found = rates(SequentialLR(optimizer, parts, [3]), 8)
    cosine = [(1 + np.cos(np.pi * i / 4)) / 2 for i in range(5)]
    np.testing.assert_allclose(found, [0.25, 0.5, 0.75, *cosine], atol=1e-15)


def test_a_schedule_of_ones_own_defines_rate(optimizer):
    class Harmonic(LRScheduler):
        def rate(self, lr, initial_lr):
            return initial_lr / (1 + self.last_epoch)

    schedule = Harmonic(optimizer)
    schedule.step()
    assert schedule.get_last_lr() == [0.5, 0.1]
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
    assert schedule.base_lrs == [1.0, 0.2]


def test_rates_changed_by_hand_are_gone_on_from(optimizer):
    schedule = ExponentialLR(optimizer, 0.5)
    optimizer.param_groups[0]["lr"] = 8.0
    schedule.step()
    assert schedule.get_last_lr() == [4.0, 0.1]


def test_groups_that_come_later_are_scheduled_too(optimizer):
    schedule = ExponentialLR(optimizer, 0.5)
    optimizer.add_param_group({"params": [pb.tensor([1.0], requires_grad=True)], "lr": 3.0})
    schedule.step()
    assert schedule.get_last_lr() == [0.5, 0.1, 1.5]
    assert schedule.base_lrs == [1.0, 0.2, 3.0]


def test_a_schedule_may_go_on_from_an_epoch(optimizer):
    first = StepLR(optimizer, 3, gamma=0.5)
    for _ in range(4):
        first.step()
    second = StepLR(optimizer, 3, gamma=0.5, last_epoch=first.last_epoch)
    assert (second.last_epoch, second.get_last_lr()[0]) == (5, 0.5)
    second.step()
    assert second.get_last_lr()[0] == 0.25
    with pytest.raises(ValueError, match="scheduled before"):
        StepLR(optim.SGD([pb.tensor([1.0], requires_grad=True)]), 3, last_epoch=4)


def sequence(optimizer):
    inner = SequentialLR(optimizer, [ConstantLR(optimizer, 0.5, 2), ExponentialLR(optimizer, 0.9)], [3])
    return SequentialLR(optimizer, [LinearLR(optimizer, 0.1, total_iters=4), inner, StepLR(optimizer, 2)], [4, 12])


def test_sequences_within_sequences_start_at_their_start(optimizer):
    inner = [0.5, 0.5, 1.0, 1.0, 0.9, 0.81, 0.729, 0.6561]
    expected = [0.1, 0.325, 0.55, 0.775, *inner, 1.0, 1.0, 0.1, 0.1, 0.01]
    np.testing.assert_allclose(rates(sequence(optimizer), len(expected)), expected, rtol=1e-12)


def test_a_sequence_goes_on_from_saved_state(optimizer):
    schedule = sequence(optimizer)
    rates(schedule, 6)
    saved = json.loads(json.dumps([schedule.state_dict(), optimizer.state_dict()["param_groups"]]))
    expected = rates(schedule, 12)
    again = sequence(optimizer)
    again.load_state_dict(saved[0])
    for group, own in zip(optimizer.param_groups, saved[1], strict=True):
        group["lr"] = own["lr"]
    assert rates(again, 12) == expected


def test_state_of_another_kind_is_refused(optimizer):
    with pytest.raises(ValueError, match=r"StepLR expects a state of .*step_size; got .*gamma"):
        StepLR(optimizer, 3).load_state_dict(ExponentialLR(optimizer, 0.5).state_dict())


def test_functions_are_not_saved(optimizer):
    assert "lr_lambdas" not in LambdaLR(optimizer, lambda epoch: 1.0).state_dict()


def test_one_cycle_ends_where_it_says(optimizer):
    schedule = OneCycleLR(optimizer, 1.0, total_steps=10)
    found = rates(schedule, 9)
    assert found[0] == pytest.approx(1 / 25)
    assert max(found) == found[2] == pytest.approx(1.0)
    assert schedule.get_last_lr()[0] == pytest.approx(1 / 25e4)
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.95)
    schedule.step()  # after the last update: a loop that steps behind each update comes here
    with pytest.raises(ValueError, match="made for 10 steps, and they are done"):
        schedule.step()


def test_one_cycle_may_begin_at_the_top(optimizer):
    assert OneCycleLR(optimizer, 1.0, total_steps=10, pct_start=0.1).get_last_lr() == [1.0, 1.0]


def test_a_plateau_is_told_from_tensors_too(optimizer):
    schedule = ReduceLROnPlateau(optimizer, patience=0)
    for loss in (1.0, 1.0):
        schedule.step(pb.tensor(loss))
    np.testing.assert_allclose(schedule.get_last_lr(), [0.1, 0.02])


def test_a_plateaus_count_is_saved(optimizer):
    schedule = ReduceLROnPlateau(optimizer, patience=2)
    for loss in (0.5, 0.6, 0.6):
        schedule.step(loss)
    again = ReduceLROnPlateau(optimizer, patience=9)
    again.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    again.step(0.6)
    assert again.get_last_lr()[0] == pytest.approx(0.1)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_plateau_is_saved_before_its_first_metric_as_standard_json(optimizer, mode):
    schedule = ReduceLROnPlateau(optimizer, mode, patience=0)
    again = ReduceLROnPlateau(optimizer, patience=9)
    again.load_state_dict(json.loads(json.dumps(schedule.state_dict(), allow_nan=False)))
    for metric in (-3.0, 2.0, -1.0):
        schedule.step(metric)
        expected = schedule.num_bad_epochs, schedule.best, schedule.cooldown_counter
        again.step(metric)
        assert (again.num_bad_epochs, again.best, again.cooldown_counter) == expected


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("StepLR", {"step_size": 0}, "step_size of at least 1; got 0"),
        ("CosineAnnealingLR", {"T_max": 0}, "T_max of at least 1 epoch; got 0"),
        ("LinearLR", {"start_factor": 0.0}, r"start_factor in \(0, 1\]"),
        ("LinearLR", {"end_factor": 1.5}, r"end_factor in \[0, 1\]"),
        ("ConstantLR", {"factor": 0.0}, r"factor in \(0, 1\]; got 0.0"),
        ("LambdaLR", {"lr_lambda": [abs]}, "one lr_lambda for each of the 2 groups; got 1"),
        ("MultiplicativeLR", {"lr_lambda": [abs] * 3}, "one lr_lambda for each of the 2 groups; got 3"),
        ("CosineAnnealingWarmRestarts", {"T_0": 0}, "T_0 to be a whole number of at least 1; got 0"),
        ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 1.5}, "T_mult to be a whole number of at least 1"),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": [1.0]}, "one max_lr for each of the 2 groups; got 1"),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "mode": "square"}, "mode 'triangular', 'triangular2' or"),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 0}, "half cycles of at least 1 update; got 0"),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "scale_mode": "epochs"}, "scale_mode 'cycle' or 'iterations'"),
        ("SWALR", {"swa_lr": [0.1]}, "one swa_lr for each of the 2 groups; got 1"),
        ("SWALR", {"swa_lr": 0.1, "anneal_strategy": "exp"}, "anneal_strategy 'cos' or 'linear'; got 'exp'"),
        ("SWALR", {"swa_lr": 0.1, "anneal_epochs": -1}, "anneal_epochs to be a whole number of at least 0; got -1"),
        ("OneCycleLR", {"max_lr": 1.0}, "total_steps, or epochs and steps_per_epoch"),
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 5, "pct_start": 2}, "pct_start from 0 to 1; got 2"),
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 5, "anneal_strategy": "exp"}, "'cos' or 'linear'"),
        ("OneCycleLR", {"max_lr": [1.0] * 3, "total_steps": 5}, "one max_lr for each of the 2 groups; got 3"),
        ("ReduceLROnPlateau", {"factor": 1.0}, "factor below 1; got 1.0"),
        ("ReduceLROnPlateau", {"mode": "low"}, "mode 'min' or 'max'"),
        ("ReduceLROnPlateau", {"threshold_mode": "ratio"}, "threshold_mode 'rel' or 'abs'"),
    ],
)
def test_what_makes_no_sense_is_refused(optimizer, kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(lr_scheduler, kind)(optimizer, **arguments)


@pytest.mark.parametrize(
    ("given", "words"), [(nn.Linear(1, 1), "a Linear"), (optim.SGD, "the class SGD"), (None, "a NoneType")]
)
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("StepLR", (2,)),
        ("LambdaLR", (abs,)),
        ("MultiplicativeLR", (abs,)),
        ("ReduceLROnPlateau", ()),
        ("CyclicLR", (0.1, 0.2)),
        ("OneCycleLR", (0.1, 5)),
        ("SWALR", (0.1,)),
        ("CosineAnnealingLR", (5,)),
    ],
)
def test_what_is_scheduled_is_an_optimizer(kind, arguments, given, words):
    with pytest.raises(TypeError, match=f"{kind} sets the rates of an optimizer, its first argument; got {words}"):
        getattr(lr_scheduler, kind)(given, *arguments)


def test_there_must_be_momentum_to_cycle():
    optimizer = optim.Adagrad([pb.tensor([1.0], requires_grad=True)])
    with pytest.raises(ValueError, match="Adagrad has no momentum to cycle; pass cycle_momentum=False"):
        OneCycleLR(optimizer, 0.1, total_steps=5)


def test_a_chain_within_a_sequence_starts_at_its_start(optimizer):
    chain = ChainedScheduler([ConstantLR(optimizer, 0.5, 2), ExponentialLR(optimizer, 0.9)])
    found = rates(SequentialLR(optimizer, [LinearLR(optimizer, 0.1, total_iters=2), chain], [2]), 6)
    np.testing.assert_allclose(found, [0.1, 0.55, 0.5, 0.45, 0.81, 0.729], rtol=1e-12)


def test_a_wave_goes_on_from_the_epoch_that_it_is_made_with(optimizer):
    first = CosineAnnealingWarmRestarts(optimizer, 3, 2)
    expected = rates(first, 25)[12:]
    for group, lr in zip(optimizer.param_groups, [1.0, 0.2], strict=True):
        group["lr"] = lr
    assert rates(CosineAnnealingWarmRestarts(optimizer, 3, 2, last_epoch=11), 13) == expected
    with pytest.raises(ValueError, match="an epoch is at least 0; got -2"):
        first.step(-2)


def test_chains_and_sequences_refuse_what_they_cannot_follow(optimizer):
    with pytest.raises(ValueError, match="ChainedScheduler expects at least one schedule"):
        ChainedScheduler([])
    with pytest.raises(ValueError, match=r"ChainedScheduler expects schedules of .* got int"):
        ChainedScheduler([3])
    with pytest.raises(ValueError, match="ChainedScheduler expects schedules of its own optimizer that need no metric"):
        ChainedScheduler([StepLR(optimizer, 2), ReduceLROnPlateau(optimizer)])
    step, other = StepLR(optimizer, 2), StepLR(optim.SGD([pb.tensor([1.0], requires_grad=True)]), 2)
    with pytest.raises(ValueError, match="one milestone fewer than schedules; got 2 and 1"):
        SequentialLR(optimizer, [step], [1, 2])
    for wrong in (ReduceLROnPlateau(optimizer), other):
        with pytest.raises(ValueError, match="of its own optimizer that need no metric; got"):
            SequentialLR(optimizer, [step, wrong], [1])


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (lambda optimizer: OneCycleLR(optimizer, max_lr=1.0, total_steps=10), ()),
        (lambda optimizer: LambdaLR(optimizer, lambda epoch: 0.5**epoch), ()),
        (ReduceLROnPlateau, (1.0,)),
    ],
    ids=["OneCycleLR", "LambdaLR", "ReduceLROnPlateau"],
)
def test_a_group_added_behind_the_schedules_back_is_named(make, arguments):
    optimizer = optim.Adam([pb.tensor([1.0], requires_grad=True)])
    schedule = make(optimizer)
    optimizer.add_param_group({"params": [pb.tensor([1.0], requires_grad=True)]})
    with pytest.raises(ValueError, match=r"LR\w* was made for 1 groups and its optimizer has 2 now; add every group"):
        schedule.step(*arguments)
