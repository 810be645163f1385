"""Trajectories of the weights under every optimizer against PyTorch's, step by step."""

import json
from itertools import product
from random import Random

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim

pytestmark = pytest.mark.parity

STEPS = 50
GRIDS = {
    "SGD": {
        "lr": [0.01, 0.1],
        "momentum": [0.0, 0.5, 0.9],
        "dampening": [0.0, 0.3],
        "weight_decay": [0.0, 0.02],
        "nesterov": [False, True],
    },
    "Adam": {
        "lr": [0.001, 0.02],
        "betas": [(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)],
        "eps": [1e-8, 1e-3],
        "weight_decay": [0.0, 0.02],
        "amsgrad": [False, True],
    },
    "RMSprop": {
        "lr": [0.001, 0.005],  # momentum on top of a larger one amplifies float32's rounding beyond 1e-5
        "alpha": [0.99, 0.5],
        "eps": [1e-8, 1e-3],
        "weight_decay": [0.0, 0.02],
        "momentum": [0.0, 0.9],
        "centered": [False, True],
    },
    "Adagrad": {
        "lr": [0.01, 0.1],
        "lr_decay": [0.0, 0.1],
        "weight_decay": [0.0, 0.02],
        "initial_accumulator_value": [0.0, 0.5],
        "eps": [1e-10, 1e-3],
    },
}
GRIDS["AdamW"] = GRIDS["Adam"] | {"weight_decay": [0.0, 0.3]}
NAMED = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01},
    "Adam": {"lr": 0.01, "weight_decay": 0.01, "amsgrad": True},
    "AdamW": {"lr": 0.01, "weight_decay": 0.1},
    "RMSprop": {"lr": 0.01, "momentum": 0.9, "centered": True},
    "Adagrad": {"lr": 0.1, "lr_decay": 0.05},
}


def drawn(name, count=5):
    """The defaults, and some of all the combinations of options, always the same ones."""
    grid = GRIDS[name]
    every = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    allowed = [o for o in every if not o.get("nesterov") or (o["momentum"] and not o["dampening"])]
    return [{}, *Random(name).sample(allowed, count)]


class Pair:
    """The same network, data and optimizer here and in PyTorch, trained side by side."""

    def __init__(self, torch, dtype, agree):
        self.torch, self.agree = torch, agree
        theirs = self.build(torch.nn).to(getattr(torch, dtype))
        rng = np.random.default_rng(0)
        with torch.no_grad():
            for p in theirs.parameters():
                p.copy_(torch.tensor(rng.normal(size=tuple(p.shape)) * 0.5))
        ours = self.build(nn).to(dtype=dtype)
        ours.load_state_dict({name: p.numpy() for name, p in theirs.state_dict().items()})
        self.models = ours, theirs
        x, y = rng.normal(size=(STEPS, 8, 5)).astype(dtype), rng.normal(size=(STEPS, 8, 2)).astype(dtype)
        self.batches = (
            [(pb.tensor(a), pb.tensor(b)) for a, b in zip(x, y, strict=True)],
            [(torch.tensor(a), torch.tensor(b)) for a, b in zip(x, y, strict=True)],
        )

    @staticmethod
    def build(nn):
        return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 6, bias=False), nn.Sigmoid(), nn.Linear(6, 2))

    def optimizers(self, name, options):
        self.opts = tuple(
            getattr(library, name)(model.parameters(), **options)
            for library, model in zip((optim, self.torch.optim), self.models, strict=True)
        )

    def backward(self, step):
        for model, batches, optimizer in zip(self.models, self.batches, self.opts, strict=True):
            x, y = batches[step]
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()

    def step(self, step):
        for optimizer in self.opts:
            optimizer.step()
        ours = pb.concat([pb.reshape(p.detach(), (-1,)) for p in self.models[0].parameters()])
        theirs = self.torch.cat([p.detach().reshape(-1) for p in self.models[1].parameters()])
        self.agree(ours, theirs, f"after step {step + 1}")

    def parameters(self, *names):
        """For each side, its parameters of these names."""
        return tuple([dict(model.named_parameters())[name] for name in names] for model in self.models)


@pytest.fixture
def pair(torch, dtype, agree):
    return Pair(torch, dtype, agree)


@pytest.mark.parametrize(("name", "options"), [(name, options) for name in GRIDS for options in drawn(name)], ids=str)
def test_defaults_and_drawn_options_agree(pair, name, options):
    pair.optimizers(name, options)
    for step in range(STEPS):
        pair.backward(step)
        pair.step(step)


@pytest.mark.parametrize("name", NAMED)
def test_groups_with_options_of_their_own_agree(pair, name):
    sides = zip(pair.parameters("0.weight", "2.weight"), pair.parameters("0.bias", "4.bias"), strict=True)
    options = NAMED[name]
    pair.opts = tuple(
        getattr(library, name)(
            [
                {"params": weights, "lr": options["lr"] / 2, "weight_decay": 0.2},
                {"params": biases, "weight_decay": 0.0},
            ],
            **options,
        )
        for library, (weights, biases) in zip((optim, pair.torch.optim), sides, strict=True)
    )
    for step in range(STEPS):
        if step == 20:
            for optimizer, (late,) in zip(pair.opts, pair.parameters("4.weight"), strict=True):
                optimizer.add_param_group({"params": late, "lr": options["lr"] * 2})
        pair.backward(step)
        pair.step(step)


@pytest.mark.parametrize("name", NAMED)
def test_steps_on_which_a_parameter_has_no_gradient_agree(pair, name):
    pair.optimizers(name, NAMED[name])
    missing = pair.parameters("0.weight", "4.bias")
    for step in range(STEPS):
        pair.backward(step)
        if step < 3 or step % 4 == 0:
            for parameters in missing:
                for p in parameters[: 1 + step % 2]:
                    p.grad = None
        pair.step(step)


@pytest.mark.parametrize("name", NAMED)
def test_freezing_and_thawing_agrees(pair, name):
    pair.optimizers(name, NAMED[name])
    for step in range(STEPS):
        if step in (10, 30):
            for optimizer, frozen in zip(pair.opts, pair.parameters("0.weight", "0.bias"), strict=True):
                optimizer.zero_grad()
                for p in frozen:
                    p.requires_grad_(step == 30)
        pair.backward(step)
        pair.step(step)


@pytest.mark.parametrize("name", NAMED)
def test_going_on_from_saved_state_agrees(pair, name):
    pair.optimizers(name, NAMED[name])
    for step in range(STEPS):
        if step in (1, 25):
            model, optimizer = pair.models[0], pair.opts[0]
            weights, state = model.state_dict(), optimizer.state_dict()
            state["param_groups"] = json.loads(json.dumps(state["param_groups"]))
            again = pair.build(nn).to(dtype=weights["0.bias"].dtype)
            again.load_state_dict(weights)
            pair.models = again, pair.models[1]
            pair.opts = getattr(optim, name)(again.parameters(), lr=123.0), pair.opts[1]
            pair.opts[0].load_state_dict(state)
        pair.backward(step)
        pair.step(step)


@pytest.mark.parametrize("name", NAMED)
def test_loading_new_weights_into_the_model_agrees(pair, name):
    pair.optimizers(name, NAMED[name])
    for step in range(STEPS):
        if step == 25:
            halved = {key: value.numpy() * 0.5 for key, value in pair.models[1].state_dict().items()}
            pair.models[0].load_state_dict(halved)
            pair.models[1].load_state_dict({key: pair.torch.tensor(value) for key, value in halved.items()})
        pair.backward(step)
        pair.step(step)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, float("inf")])
def test_clipping_by_norm_agrees(pair, norm_type):
    pair.optimizers("SGD", {"lr": 0.1, "momentum": 0.9})
    clipped = 0
    for step in range(STEPS):
        pair.backward(step)
        bound = 0.3 if norm_type != 1.0 else 2.0
        total = optim.clip_grad_norm_(pair.models[0].parameters(), bound, norm_type)
        expected = pair.torch.nn.utils.clip_grad_norm_(pair.models[1].parameters(), bound, norm_type)
        pair.agree(total, expected, "norm")
        clipped += total.item() > bound
        pair.step(step)
    assert 0 < clipped < STEPS


def test_clipping_by_value_agrees(pair):
    pair.optimizers("SGD", {"lr": 0.1})
    for step in range(STEPS):
        pair.backward(step)
        optim.clip_grad_value_(pair.models[0].parameters(), 0.05)
        pair.torch.nn.utils.clip_grad_value_(pair.models[1].parameters(), 0.05)
        pair.step(step)
