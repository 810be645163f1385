"""Every schedule against PyTorch's: the rates, the momentum where it moves, and the weights that they lead to.

The entries stand in `entries_optim/schedules.py`.
"""

import json
from random import Random
from zlib import crc32

import numpy as np
import pytest
from entries_optim.schedules import SCHEDULES

import pullback as pb
from pullback import optim

pytestmark = pytest.mark.parity

STEPS = 60
CONFIGURATIONS, SOME = range(20), range(8)
OPTIMIZERS = ("SGD", "AdamW", "RMSprop")


class Side:
    """Two groups of one vector each, pulled towards 1 by the optimizer of one library."""

    def __init__(self, library, tensor, number):
        self.library, self.tensor = library, tensor
        self.weights = [tensor(np.asarray(w), requires_grad=True) for w in ([0.0, 3.0], [-1.0])]
        name = OPTIMIZERS[number % len(OPTIMIZERS)]
        options = {"lr": 0.1} | ({"momentum": 0.9} if name == "SGD" else {})
        groups = [{"params": self.weights[:1]}, {"params": self.weights[1:], "lr": 0.04}]
        self.optimizer = getattr(library, name)(groups, **options)

    def make(self, entry, options):
        if entry.make is not None:
            return entry.make(self.library, self.optimizer, **options)
        return getattr(self.library.lr_scheduler, entry.name)(self.optimizer, **options)

    def update(self):
        for w in self.weights:
            w.grad = (w.detach() - 1) * 0.2
        self.optimizer.step()

    def numbers(self, schedule):
        """The rate and the momentum of each group, and the rates that the schedule tells."""
        groups = self.optimizer.param_groups
        return [
            *(group["lr"] for group in groups),
            *(group["betas"][0] if "betas" in group else group["momentum"] for group in groups),
            *schedule.get_last_lr(),
        ]

    def values(self):
        return np.concatenate([w.detach().numpy() for w in self.weights])


@pytest.fixture
def sides(torch):
    return lambda number: (Side(optim, pb.tensor, number), Side(torch.optim, torch.tensor, number))


def drawn(entry, number):
    """A configuration, the same in every run, and the metrics that are told to it."""
    rng = np.random.default_rng([crc32(entry.name.encode()), number])
    options = entry.draw(rng)
    metrics = np.concatenate([np.linspace(3, 1, 10), 1 + rng.normal(size=STEPS - 10) * 0.3]).tolist()
    metrics[30] = float("nan")
    return options, metrics


def run(entry, pairs, metrics, what):
    """Updates on both sides, each followed by a step of the schedule; the rates and weights agree all along."""
    numbers, values = ([], []), ([], [])
    for metric in metrics:
        for place, (side, schedule) in enumerate(pairs):
            numbers[place].append(side.numbers(schedule))
            side.update()
            schedule.step(*([metric] if entry.metric else []))
            values[place].append(side.values())
    np.testing.assert_allclose(*numbers, rtol=1e-10, atol=1e-13, err_msg=what)
    np.testing.assert_allclose(*values, rtol=1e-10, atol=1e-10, err_msg=what)


def by_name(entry):
    return entry.name


@pytest.mark.parametrize("entry", SCHEDULES, ids=by_name)
def test_drawn_configurations_agree(sides, entry):
    for number in CONFIGURATIONS:
        options, metrics = drawn(entry, number)
        pairs = [(side, side.make(entry, options)) for side in sides(number)]
        run(entry, pairs, metrics, f"{entry.name}({options})")


@pytest.mark.parametrize("entry", [entry for entry in SCHEDULES if not entry.metric], ids=by_name)
def test_schedules_stepped_beside_another_agree(sides, entry):
    """Each goes on from the rate that it finds, whoever set it, or does not; as PyTorch's."""
    for number in SOME:
        options, _ = drawn(entry, number)
        gamma, both = Random(number).uniform(0.8, 1.0), sides(number)
        pairs = [(side, side.make(entry, options)) for side in both]
        others = [side.library.lr_scheduler.ExponentialLR(side.optimizer, gamma) for side in both]
        numbers = ([], [])
        for _ in range(20):
            for (side, schedule), other, found in zip(pairs, others, numbers, strict=True):
                found.append(side.numbers(schedule))
                side.update()
                schedule.step()
                other.step()
        np.testing.assert_allclose(*numbers, rtol=1e-10, atol=1e-13, err_msg=f"{entry.name}({options})")


@pytest.mark.parametrize("entry", SCHEDULES, ids=by_name)
def test_going_on_from_saved_state_agrees(sides, entry):
    for number in SOME:
        options, metrics = drawn(entry, number)
        ours, theirs = sides(number)
        pairs = [(side, side.make(entry, options)) for side in (ours, theirs)]
        run(entry, pairs, metrics[:21], f"{entry.name}({options})")
        saved, state = json.loads(json.dumps(pairs[0][1].state_dict())), ours.optimizer.state_dict()
        again = Side(optim, pb.tensor, number)
        for w, value in zip(again.weights, ours.weights, strict=True):
            w.array = value.array
        schedule = again.make(entry, options)
        again.optimizer.load_state_dict(state)
        schedule.load_state_dict(saved)
        run(entry, [(again, schedule), pairs[1]], metrics[21:], f"{entry.name}({options}), resumed")


@pytest.mark.parametrize("entry", [entry for entry in SCHEDULES if entry.resumes], ids=by_name)
def test_going_on_from_an_epoch_agrees(sides, entry):
    for number in SOME:
        options, metrics = drawn(entry, number)
        both = sides(number)
        pairs = [(side, side.make(entry, options)) for side in both]
        run(entry, pairs, metrics[: number + 1], f"{entry.name}({options})")
        later = {**options, "last_epoch": number}
        pairs = [(side, side.make(entry, later)) for side in both]
        run(entry, pairs, metrics[21:], f"{entry.name}({later})")


def test_restarts_told_their_epochs_agree(sides):
    """As they are after each batch: `step(epoch + batch / batches)`, and back again."""
    for T_0, T_mult in ((3, 1), (2, 2), (4, 3)):
        options = {"T_0": T_0, "T_mult": T_mult, "eta_min": 0.01}
        both = sides(0)
        schedules = [side.library.lr_scheduler.CosineAnnealingWarmRestarts(side.optimizer, **options) for side in both]
        for epoch in [*(i / 4 for i in range(60)), 2.5, None, None]:
            for schedule in schedules:
                schedule.step(epoch)
            np.testing.assert_allclose(*(s.get_last_lr() for s in schedules), rtol=1e-10, err_msg=f"{options}, {epoch}")
