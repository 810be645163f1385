"""Every optimizer against PyTorch's, step by step: over drawn configurations, and in what happens to a training.

The entries stand in `entries_optim/optimizers.py`. Where PyTorch has none, an implementation of the paper in NumPy
takes its place.
"""

import inspect
import json
from zlib import crc32

import numpy as np
import pytest
from entries_optim.optimizers import LBFGS, OPTIMIZERS

import pullback as pb
from pullback import nn, optim

pytestmark = pytest.mark.parity

STEPS = 50
CONFIGURATIONS = range(20)
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
NAMED = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01},
    "Adam": {"lr": 0.01, "weight_decay": 0.01, "amsgrad": True},
    "AdamW": {"lr": 0.01, "weight_decay": 0.1},
    "RMSprop": {"lr": 0.01, "momentum": 0.9, "centered": True},
    "Adagrad": {"lr": 0.1, "lr_decay": 0.05},
    "NAdam": {"lr": 0.01, "weight_decay": 0.1},
    "RAdam": {"lr": 0.01, "weight_decay": 0.1},
    "ASGD": {"lr": 0.1, "lambd": 0.01, "t0": 5.0},
    "Adafactor": {"lr": 0.01, "weight_decay": 0.1},
}


@pytest.fixture
def in_this_precision(torch, dtype, monkeypatch):
    """PyTorch with the numbers of its states, and Muon's products, in the precision of the parameters."""
    from torch.optim import _muon

    source = inspect.getsource(_muon._zeropower_via_newtonschulz)
    assert source.count(".bfloat16()") == 1
    namespace = dict(vars(_muon))
    exec(source.replace(".bfloat16()", ".clone()"), namespace)
    monkeypatch.setattr(_muon, "_zeropower_via_newtonschulz", namespace["_zeropower_via_newtonschulz"])
    torch.set_default_dtype(getattr(torch, dtype))
    yield
    torch.set_default_dtype(torch.float32)


def by_name(entry):
    return entry.name


@pytest.mark.usefixtures("in_this_precision")
@pytest.mark.parametrize("entry", OPTIMIZERS, ids=by_name)
def test_drawn_configurations_agree(torch, dtype, entry):
    for number in CONFIGURATIONS:
        Race(torch, dtype, entry, number).run()


class Race:
    """Parameters of several shapes in two groups, here and in PyTorch, with gradients that are given."""

    def __init__(self, torch, dtype, entry, number):
        self.dtype, self.entry = dtype, entry
        self.rng = rng = np.random.default_rng([crc32(entry.name.encode()), number])
        options, other = entry.draw(rng), entry.draw(rng)
        own = {name: other[name] for name in entry.by_group if name in other and rng.uniform() < 0.7}
        self.what = f"{entry.name}({options}), the second group {own}"
        values = [rng.standard_normal(shape).astype(dtype) for shape in entry.shapes]
        self.ours = [pb.tensor(value, requires_grad=True) for value in values]
        self.theirs = [torch.tensor(value, requires_grad=True) for value in values]
        cut = int(rng.integers(1, len(values)))
        mine, others = ([{"params": side[:cut]}, {"params": side[cut:], **own}] for side in (self.ours, self.theirs))
        reference = entry.reference or getattr(torch.optim, entry.name)
        self.optimizers = getattr(optim, entry.name)(mine, **options), reference(others, **options)
        self.torch = torch

    def run(self):
        paths = [], []
        for _ in range(STEPS):
            self.give_gradients()
            if self.rng.uniform() < 0.1:  # what a schedule does
                group, factor = int(self.rng.integers(2)), float(self.rng.uniform(0.5, 1.5))
                for optimizer in self.optimizers:
                    optimizer.param_groups[group]["lr"] *= factor
            for optimizer in self.optimizers:
                optimizer.step()
            for path, parameters in zip(paths, (self.ours, self.theirs), strict=True):
                path.append(np.concatenate([p.detach().numpy().reshape(-1) for p in parameters]))
        self.compare(*paths, "weights")
        self.compare_state()

    def give_gradients(self):
        """The same for both but for how the parameters differ; in a fifth of the steps some have none."""
        some_have_none = self.rng.uniform() < 0.2
        for p, q in zip(self.ours, self.theirs, strict=True):
            noise = self.rng.standard_normal(p.shape) * 0.5
            missing = some_have_none and self.rng.uniform() < 0.3
            for x in (p, q):
                g = (self.entry.feedback * x.detach().numpy() + noise).astype(self.dtype)
                x.grad = None if missing else pb.tensor(g) if x is p else self.torch.from_numpy(np.asarray(g))

    def compare(self, ours, theirs, what):
        ours, theirs, limit = np.asarray(ours), np.asarray(theirs), TOLERANCE[self.dtype]
        assert ours.shape == theirs.shape, f"{self.what}, {what}"
        error, scale = np.abs(ours - theirs).max(), max(1.0, np.abs(theirs).max())
        assert error <= limit * scale, f"{self.what}, {what}: {error}"

    def compare_state(self):
        """All that both keep, under the same names."""
        state = self.optimizers[0].state_dict()["state"]
        compared = set()
        for number, q in enumerate(self.theirs):
            for name, value in self.optimizers[1].state.get(q, {}).items():
                if name in state.get(number, {}) and value is not None:
                    self.compare(self.plain(state[number][name]), self.plain(value), f"state of {number}, {name}")
                    compared.add(name)
        kept = {name for entry in state.values() for name in entry}
        missing = {"RMSprop": {"momentum_buffer"}, "SGD": {"step"}, "Muon": {"step"}}  # PyTorch keeps none
        assert kept - compared <= missing.get(self.entry.name, set()), self.what

    @staticmethod
    def plain(value):
        return value.numpy() if hasattr(value, "numpy") else value


@pytest.mark.usefixtures("in_this_precision")
@pytest.mark.parametrize("number", CONFIGURATIONS)
def test_lbfgs_agrees_over_drawn_configurations(torch, dtype, number):
    """Of a loss whose curvature varies, so that line searches have work to do."""
    rng = np.random.default_rng([crc32(b"LBFGS"), number])
    options = LBFGS.draw(rng)
    x, y = rng.standard_normal((20, 6)).astype(dtype), rng.standard_normal((20, 2)).astype(dtype)
    start = [rng.standard_normal(shape).astype(dtype) * 0.5 for shape in ((4, 6), (4,), (2, 4), (2,))]
    ours = [pb.tensor(value, requires_grad=True) for value in start]
    theirs = [torch.tensor(value, requires_grad=True) for value in start]
    optimizers = optim.LBFGS(ours, **options), torch.optim.LBFGS(theirs, **options)
    losses = [[], []]

    def closure(side):
        library, tensor, parameters = ((pb, pb.tensor, ours), (torch, torch.tensor, theirs))[side]
        w1, b1, w2, b2 = parameters

        def evaluate():
            optimizers[side].zero_grad()
            hidden = library.tanh(tensor(x) @ w1.T + b1)
            loss = ((hidden @ w2.T + b2 - tensor(y)) ** 2).mean() + 0.01 * sum((p * p).sum() for p in parameters)
            loss.backward()
            losses[side].append(loss.item())
            return loss

        return evaluate

    for step in range(8):
        firsts = [optimizer.step(closure(side)).item() for side, optimizer in enumerate(optimizers)]
        # Rounding is amplified by the history of all gradients, and float32 soon stops where it pleases.
        limit = 1e-8 if dtype == "float64" else 2e-3
        np.testing.assert_allclose(*firsts, rtol=limit, err_msg=f"{options}, step {step}")
        if dtype == "float64":
            for p, q in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=limit, atol=limit, err_msg=str(options))
    if dtype == "float64":
        assert len(losses[0]) == len(losses[1]), options
        state, expected = optimizers[0].state_dict()["state"][0], optimizers[1].state[theirs[0]]
        assert (state["n_iter"], state["func_evals"]) == (expected["n_iter"], expected["func_evals"])
        assert state["d"].numpy() == pytest.approx(expected["d"].numpy(), abs=1e-7)


def test_muon_is_near_pytorchs_in_bfloat16(torch):
    start, g = np.random.default_rng(0).standard_normal((2, 12, 7)).astype("float32")
    p, q = pb.tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    p.grad, q.grad = pb.tensor(g), torch.tensor(g)
    optim.Muon([p], lr=1.0, weight_decay=0.0).step()
    torch.optim.Muon([q], lr=1.0, weight_decay=0.0).step()
    step, expected = p.numpy() - start, q.detach().numpy() - start
    assert np.abs(step - expected).max() < 0.02 * np.abs(expected).max()


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
def pair(torch, dtype, agree, in_this_precision):
    return Pair(torch, dtype, agree)


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
