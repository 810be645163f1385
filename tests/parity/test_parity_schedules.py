"""Every schedule against PyTorch's: the rates, the momentum where it moves, and the weights that they lead to."""

import json

import numpy as np
import pytest

import pullback as pb
from pullback import optim

pytestmark = pytest.mark.parity

STEPS = 50
SCHEDULES = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 1, "gamma": 0.9}),
    ("MultiStepLR", {"milestones": [5, 20, 20, 33], "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [40, 8]}),
    ("ExponentialLR", {"gamma": 0.93}),
    ("CosineAnnealingLR", {"T_max": 49}),
    ("CosineAnnealingLR", {"T_max": 12, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 1}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.01, "total_iters": 20}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 30}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.2, "total_iters": 11}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.95**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 1 / (1 + epoch), lambda epoch: float(epoch % 3)]}),
    ("OneCycleLR", {"max_lr": 0.2, "total_steps": 51}),
    ("OneCycleLR", {"max_lr": [0.2, 0.1], "epochs": 10, "steps_per_epoch": 6, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 60, "three_phase": True, "pct_start": 0.4}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 51, "cycle_momentum": False, "div_factor": 10.0}),
    (
        "OneCycleLR",
        {"max_lr": 0.1, "total_steps": 70, "base_momentum": [0.7, 0.8], "max_momentum": 0.9, "final_div_factor": 10.0},
    ),
]
PLATEAUS = [
    {},
    {"patience": 0, "factor": 0.5},
    {"patience": 3, "cooldown": 4, "factor": 0.3, "min_lr": 0.01},
    {"mode": "max", "patience": 2},
    {"mode": "max", "patience": 1, "threshold": 0.3, "threshold_mode": "abs"},
    {"patience": 2, "threshold": 0.5, "threshold_mode": "abs", "min_lr": [0.02, 0.001]},
    {"patience": 1, "threshold": 0.2, "eps": 0.01},
]
SEQUENCES = [
    ([("LinearLR", {"start_factor": 0.1, "total_iters": 10}), ("CosineAnnealingLR", {"T_max": 40})], [10]),
    (
        [
            ("ConstantLR", {"factor": 0.1, "total_iters": 3}),
            ("ExponentialLR", {"gamma": 0.9}),
            ("StepLR", {"step_size": 4}),
        ],
        [3, 20],
    ),
    (
        [
            ("LinearLR", {}),
            ("LambdaLR", {"lr_lambda": lambda epoch: 0.9**epoch}),
            ("MultiStepLR", {"milestones": [2, 9]}),
        ],
        [6, 25],
    ),
]
CHAINS = [
    [("LinearLR", {"start_factor": 0.1, "total_iters": 8}), ("ExponentialLR", {"gamma": 0.95})],
    [("ConstantLR", {}), ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.001}), ("StepLR", {"step_size": 11})],
]


class Side:
    """Two groups of one vector each, pulled towards 1 by the optimizer of one library."""

    def __init__(self, tensor, join, optimizer, dtype, **options):
        self.join = join
        self.weights = [tensor(np.asarray(w, dtype=dtype), requires_grad=True) for w in ([0.0, 3.0], [-1.0])]
        options = {"lr": 0.1} | options
        self.optimizer = optimizer([{"params": self.weights[:1]}, {"params": self.weights[1:], "lr": 0.04}], **options)

    def update(self):
        self.optimizer.zero_grad()
        for w in self.weights:
            ((w - 1) ** 2).sum().backward()
        self.optimizer.step()

    def numbers(self):
        """The rate and momentum of each group."""
        groups = self.optimizer.param_groups
        return [(g["lr"], g["betas"][0] if "betas" in g else g["momentum"]) for g in groups]


@pytest.fixture
def sides(torch, dtype):
    return lambda name="SGD", **options: (
        Side(pb.tensor, pb.concat, getattr(optim, name), dtype, **options),
        Side(torch.tensor, torch.cat, getattr(torch.optim, name), dtype, **options),
    )


def run(torch, sides, schedules, agree, metric=None):
    """50 updates on both sides, each followed by a step of each schedule."""
    numbers, weights = [], []
    for step in range(STEPS):
        numbers.append([[*side.numbers(), *lrs] for side, lrs in zip(sides, last_rates(schedules), strict=True)])
        for side in sides:
            side.update()
        weights.append([side.join(side.weights) for side in sides])
        for schedule in (s for both in schedules for s in both):
            schedule.step(*([] if metric is None else [metric[step]]))
    compare(torch, numbers, weights, agree)


def last_rates(schedules):
    return [[tuple(schedule.get_last_lr()) for schedule in side] for side in zip(*schedules, strict=True)]


def compare(torch, numbers, weights, agree):
    """The rates and momenta of all steps to 1e-10, and the weights to what their dtype allows."""
    np.testing.assert_allclose(*np.swapaxes(np.asarray(numbers), 0, 1), rtol=1e-10, atol=1e-15)
    ours, theirs = zip(*weights, strict=True)
    agree(pb.stack(ours), torch.stack(theirs), "weights")


def make(torch, name, options, ours, theirs):
    modules = optim.lr_scheduler, torch.optim.lr_scheduler
    return tuple(getattr(m, name)(side.optimizer, **options) for m, side in zip(modules, (ours, theirs), strict=True))


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_schedules_agree(torch, sides, agree, name, options):
    ours, theirs = sides(momentum=0.9)
    run(torch, (ours, theirs), [make(torch, name, options, ours, theirs)], agree)


def test_one_cycle_moves_the_first_beta_of_adam(torch, sides, agree):
    ours, theirs = sides("AdamW")
    run(torch, (ours, theirs), [make(torch, "OneCycleLR", {"max_lr": 0.1, "total_steps": 51}, ours, theirs)], agree)
    assert ours.numbers()[0][1] > 0.9


@pytest.mark.parametrize("options", PLATEAUS)
def test_reducing_on_a_plateau_agrees(torch, sides, agree, options):
    rng = np.random.default_rng(3)
    metric = np.concatenate([np.linspace(3, 1, 10), 1 + rng.normal(size=STEPS - 10) * 0.3]).tolist()
    metric[30] = float("nan")
    ours, theirs = sides(momentum=0.9)
    run(torch, (ours, theirs), [make(torch, "ReduceLROnPlateau", options, ours, theirs)], agree, metric)


@pytest.mark.parametrize(("parts", "milestones"), SEQUENCES)
def test_sequences_agree(torch, sides, agree, parts, milestones):
    ours, theirs = sides(momentum=0.9)
    inner = [make(torch, name, options, ours, theirs) for name, options in parts]
    mine, other = zip(*inner, strict=True)
    both = (
        optim.lr_scheduler.SequentialLR(ours.optimizer, list(mine), milestones),
        torch.optim.lr_scheduler.SequentialLR(theirs.optimizer, list(other), milestones),
    )
    run(torch, (ours, theirs), [both], agree)


@pytest.mark.parametrize("parts", CHAINS)
def test_schedules_stepped_one_after_the_other_agree(torch, sides, agree, parts):
    ours, theirs = sides(momentum=0.9)
    run(torch, (ours, theirs), [make(torch, name, options, ours, theirs) for name, options in parts], agree)


@pytest.mark.parametrize("dtype", ["float64"])
@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_going_on_from_saved_state_agrees(torch, sides, dtype, agree, name, options):
    ours, theirs = sides(momentum=0.9)
    mine, other = make(torch, name, options, ours, theirs)
    numbers, weights = [], []
    for step in range(STEPS):
        if step == 21:
            saved, state = json.loads(json.dumps(mine.state_dict())), ours.optimizer.state_dict()
            again = Side(pb.tensor, pb.concat, optim.SGD, dtype, momentum=0.9)
            for w, value in zip(again.weights, ours.weights, strict=True):
                w.array[...] = value.array
            ours = again
            mine = getattr(optim.lr_scheduler, name)(ours.optimizer, **options)
            ours.optimizer.load_state_dict(state)
            mine.load_state_dict(saved)
        for side, schedule in ((ours, mine), (theirs, other)):
            side.update()
            schedule.step()
        numbers.append([ours.numbers(), theirs.numbers()])
        weights.append([side.join(side.weights) for side in (ours, theirs)])
    compare(torch, numbers, weights, agree)
