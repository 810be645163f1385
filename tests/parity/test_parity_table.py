"""The parity table: every layer and loss against PyTorch's of the same name, over drawn configurations.

The entries stand in `entries/`, a file for each kind. Compared are the forward in training and evaluation mode, the
gradients of all inputs and parameters, the buffers after the call, the names and layouts of the state, the second
derivatives, and for layers with parameters where 50 steps of an optimizer lead.
"""

from importlib import import_module
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim
from pullback.interop.torch import channels_moved, from_torch_state_dict, to_torch_state_dict

pytestmark = pytest.mark.parity

TOLERANCE = {"float32": 2e-5, "float64": 1e-10}
CONFIGURATIONS = range(20)
TRAINED, STEPS = 5, 50
"""How many configurations of each layer are trained, and for how many steps."""
ENTRIES = [
    entry
    for path in sorted((Path(__file__).parent / "entries").glob("*.py"))
    if path.stem != "entry"
    for entry in import_module(f"entries.{path.stem}").ENTRIES
]


def by_name(entry):
    return entry.name


@pytest.mark.parametrize("entry", ENTRIES, ids=by_name)
def test_values_and_gradients_agree(torch, dtype, entry):
    for number in CONFIGURATIONS:
        drawn, rng = draw(entry, number)
        for training in entry.training:
            pair = Pair(torch, dtype, entry, drawn, training, np.random.default_rng(number))
            pair.compare_forward()
            pair.compare_gradients(rng)
            pair.compare_state()


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.second_order], ids=by_name)
def test_second_derivatives_agree(torch, entry):
    for number in CONFIGURATIONS:
        drawn, rng = draw(entry, number)
        for training in entry.training:
            Pair(torch, "float64", entry, drawn, training, np.random.default_rng(number)).compare_second_order(rng)


def draw(entry, number):
    """A configuration, the same in every run, and a generator to draw on with."""
    rng = np.random.default_rng([crc32(entry.name.encode()), number])
    return entry.draw(rng), rng


def learns(entry):
    """Whether it is a layer with parameters, in one of its first configurations at least."""
    for number in range(TRAINED):
        options = draw(entry, number)[0].options.items()
        ours = entry.make_ours({name: pb.tensor(v) if isinstance(v, np.ndarray) else v for name, v in options})
        if isinstance(ours, nn.Module) and list(ours.parameters()):
            return True
    return False


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if learns(entry)], ids=by_name)
def test_training_ends_at_the_same_state(torch, entry):
    """Where both modes can be compared, in training."""
    trained = 0
    for number in CONFIGURATIONS:
        drawn, rng = draw(entry, number)
        pair = Pair(torch, "float64", entry, drawn, entry.training[0], np.random.default_rng(number))
        if trained < TRAINED and list(pair.ours.parameters()):
            pair.train(rng)
            pair.compare_state()
            trained += 1
    assert trained == TRAINED


class Pair:
    """One thing of ours and the same of PyTorch's, with the same parameters, called with the same inputs."""

    def __init__(self, torch, dtype, entry, drawn, training, rng):
        self.torch, self.dtype, self.entry = torch, dtype, entry
        self.tolerance = TOLERANCE[dtype] * entry.tolerance
        self.what = f"{entry.name}({drawn.options}), {'training' if training else 'evaluation'}"
        self.ours = entry.make_ours({name: self.cast(value, pb.tensor) for name, value in drawn.options.items()})
        options = {**drawn.options, **drawn.theirs}
        self.theirs = entry.make_theirs(torch, {name: self.cast(v, torch.tensor) for name, v in options.items()})
        self.modules = isinstance(self.ours, nn.Module) and isinstance(self.theirs, torch.nn.Module)
        if isinstance(self.ours, nn.Module):
            self.ours.to(dtype=dtype).train(training)
        if isinstance(self.theirs, torch.nn.Module):
            self.theirs.to(getattr(torch, dtype)).train(training)
        if self.modules:
            state = {name: self.perturbed(name, value, rng) for name, value in self.theirs.state_dict().items()}
            self.theirs.load_state_dict(state)
            given = {name: value.numpy() for name, value in state.items()}
            self.ours.load_state_dict(from_torch_state_dict(self.ours, given))
        self.mine, self.others = [], []
        for place, value in enumerate(drawn.inputs):
            learns = isinstance(value, np.ndarray) and value.dtype.kind == "f"
            value = value.astype(dtype) if learns else value
            array = isinstance(value, np.ndarray)
            self.mine.append(pb.tensor(value, requires_grad=learns) if array else value)
            if array:
                value = torch.tensor(np.moveaxis(value, -1, 1).copy() if place in entry.channels else value)
                value = value.requires_grad_(learns)
            self.others.append(value)
        self.call()

    def call(self):
        self.y = self.flat(self.ours(*self.mine))
        self.expected = self.flat(self.theirs(*self.others))

    def cast(self, value, make):
        if not isinstance(value, np.ndarray):
            return value
        return make(value.astype(self.dtype) if value.dtype.kind == "f" else value)

    def perturbed(self, name, value, rng):
        """Other values than a fresh module has, so that no weight is 1 and no running mean is 0."""
        if not value.is_floating_point():
            return value
        noise = self.torch.tensor(rng.uniform(0.5, 1.5, tuple(value.shape)), dtype=value.dtype)
        shift = self.torch.tensor(rng.uniform(0, 0.2, tuple(value.shape)), dtype=value.dtype)
        return value * noise + shift

    def flat(self, outputs):
        """The floating arrays of nested tuples, in order."""
        if isinstance(outputs, (tuple, list)):
            return [y for part in outputs for y in self.flat(part)]
        return [] if outputs is None else [outputs]

    def agree(self, ours, theirs, what, channels=False):
        ours, theirs = ours.numpy(), theirs.detach().numpy(force=True)
        theirs = np.moveaxis(theirs, 1, -1) if channels else theirs
        assert ours.shape == theirs.shape, f"{self.what}: {what}"
        assert ours.dtype.kind == theirs.dtype.kind, f"{self.what}: {what}"
        scale = max(1.0, float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)))
        np.testing.assert_allclose(
            ours, theirs, rtol=self.tolerance, atol=self.tolerance * scale, err_msg=f"{self.what}: {what}"
        )

    @property
    def moved_out(self):
        moved = self.entry.channels_out
        return 0 in self.entry.channels if moved is None else moved

    def compare_forward(self):
        assert len(self.y) == len(self.expected), self.what
        for y, expected in zip(self.y, self.expected, strict=True):
            self.agree(y, expected, "forward", self.moved_out and expected.ndim > 2)

    def variables(self):
        """Names and both sides of all that has a gradient."""
        pairs = [
            (f"input {place}", mine, other, place in self.entry.channels)
            for place, (mine, other) in enumerate(zip(self.mine, self.others, strict=True))
            if isinstance(mine, pb.Tensor) and mine.requires_grad
        ]
        if self.modules:
            mine = dict(self.ours.named_parameters())
            others = dict(self.theirs.named_parameters())
            assert list(mine) == list(others), self.what
            moved = channels_moved(self.ours)
            pairs += [(name, mine[name], others[name], name in moved) for name in mine]
        return pairs

    def weighted(self, rng):
        """Both sides' outputs summed with the same weights."""
        ours, theirs = 0.0, 0.0
        for y, expected in zip(self.y, self.expected, strict=True):
            if expected.is_floating_point() and expected.requires_grad:
                weights = rng.standard_normal(y.shape).astype(self.dtype)
                moved = self.moved_out and expected.ndim > 2
                ours = ours + (y * pb.tensor(weights)).sum()
                theirs = (
                    theirs + (expected * self.torch.tensor(np.moveaxis(weights, -1, 1) if moved else weights)).sum()
                )
        return ours, theirs

    def compare_gradients(self, rng):
        ours, theirs = self.weighted(rng)
        variables = self.variables()
        if not variables:
            return
        ours.backward()
        gradients = self.torch.autograd.grad(theirs, [other for _, _, other, _ in variables], allow_unused=True)
        for (name, mine, _, moved), gradient in zip(variables, gradients, strict=True):
            if gradient is None or mine.grad is None:
                for given in (gradient if mine.grad is None else mine.grad.numpy(),):
                    assert given is None or not np.any(np.asarray(given)), f"{self.what}: gradient of {name}"
            else:
                self.agree(mine.grad, gradient, f"gradient of {name}", moved)

    def compare_second_order(self, rng):
        ours, theirs = self.weighted(rng)
        variables = self.variables()
        if not variables:
            return
        ours.backward(create_graph=True)
        leaves = [other for _, _, other, _ in variables]
        firsts = self.torch.autograd.grad(theirs, leaves, create_graph=True, allow_unused=True)
        total, expected = 0.0, 0.0
        for (_, mine, _, moved), first in zip(variables, firsts, strict=True):
            if first is not None and first.requires_grad and mine.grad is not None:
                weights = rng.standard_normal(mine.shape)
                total = total + (mine.grad * pb.tensor(weights)).sum()
                expected = (
                    expected + (first * self.torch.tensor(np.moveaxis(weights, -1, 1) if moved else weights)).sum()
                )
        if isinstance(expected, float) or not expected.requires_grad:
            return
        for _, mine, _, _ in variables:
            mine.grad = None
        if isinstance(total, pb.Tensor) and total.requires_grad:
            total.backward()
        seconds = self.torch.autograd.grad(expected, leaves, allow_unused=True)
        for (name, mine, _, moved), second in zip(variables, seconds, strict=True):
            if second is None:
                assert mine.grad is None or not np.any(mine.grad.numpy()), f"{self.what}: second derivative by {name}"
            elif mine.grad is None:
                assert not np.any(second.numpy(force=True)), f"{self.what}: second derivative by {name}"
            else:
                self.agree(mine.grad, second, f"second derivative by {name}", moved)

    def train(self, rng):
        """Bring the outputs nearer to some that are drawn, by steps of SGD with momentum on both sides."""
        for mine, other in zip(self.mine, self.others, strict=True):
            if isinstance(mine, pb.Tensor):
                mine.requires_grad_(False)
                other.requires_grad_(False)
        optimizers = [
            library.SGD(model.parameters(), lr=0.005, momentum=0.9)
            for library, model in ((optim, self.ours), (self.torch.optim, self.theirs))
        ]
        targets = [rng.standard_normal(y.shape) for y in self.y]
        course = []
        for _ in range(STEPS):
            self.call()
            losses = self.errors(targets)
            for optimizer, loss in zip(optimizers, losses, strict=True):
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            course.append(losses[0].item())
        assert course[-1] <= course[0], self.what  # the same where nothing that a PReLU is given is negative

    def errors(self, targets):
        """Both sides' mean squared distances of the outputs from targets, added up."""
        ours, theirs = 0.0, 0.0
        for y, expected, target in zip(self.y, self.expected, targets, strict=True):
            if expected.is_floating_point() and expected.requires_grad:
                moved = np.moveaxis(target, -1, 1) if self.moved_out and expected.ndim > 2 else target
                ours = ours + ((y - pb.tensor(target)) ** 2).mean()
                theirs = theirs + ((expected - self.torch.tensor(moved)) ** 2).mean()
        return ours, theirs

    def compare_state(self):
        if self.modules:
            theirs = self.theirs.state_dict()
            ours = to_torch_state_dict(self.ours)
            assert list(ours) == list(theirs), self.what
            for name, value in theirs.items():
                self.agree(ours[name], value, f"{name} afterwards")
