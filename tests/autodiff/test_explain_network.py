"""A network explained layer by layer."""

import math

import numpy as np
import pytest

import pullback as pb
from pullback import nn
from pullback.autodiff.explain import explain


def model_of_layers():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Sequential(nn.Linear(8, 3, bias=False), nn.Softplus()))
    return model, pb.random.normal((5, 4))


def test_a_network_is_summarised_layer_by_layer():
    model, x = model_of_layers()
    before = [p.numpy().copy() for p in model.parameters()]
    found = explain(model, x, loss=lambda y: pb.sum(y * y))
    assert all(p.grad is None for p in model.parameters())
    assert "forward" not in {name for module in model.modules() for name in vars(module)}
    pb.sum(model(x) ** 2).backward()
    rows = [(layer.name, layer.kind, layer.shape, layer.parameters, layer.calls) for layer in found.layers]
    assert rows == [
        ("0", "Linear", (5, 8), 40, 1),
        ("1", "Tanh", (5, 8), 0, 1),
        ("2.0", "Linear", (5, 3), 24, 1),
        ("2.1", "Softplus", (5, 3), 0, 1),
    ]
    norms = [math.hypot(*(np.linalg.norm(p.grad.numpy()) for p in model[i].parameters())) for i in (0, 2)]
    first, tanh, second, softplus = (layer.gradient_norm for layer in found.layers)
    assert (first, second) == pytest.approx(norms)
    assert tanh is softplus is None
    assert found.parameters == model.parameter_count() == 64
    assert found.gradient_norm == pytest.approx(math.hypot(*norms))
    for p, old in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.numpy(), old)
    lines = str(found).splitlines()
    assert lines[0].split() == ["Sequential", "output", "shape", "parameters", "gradient", "norm"]
    assert lines[-2].split()[:2] == ["total", "64"]
    assert lines[-1] == "gradients of the loss"
    assert len({len(line) for line in (lines[0], lines[2], lines[-2])}) == 1


def test_without_a_loss_the_gradients_are_those_of_the_mean_of_the_output():
    model, x = model_of_layers()
    found = explain(model, x)
    pb.mean(model(x)).backward()
    assert found.layers[0].gradient_norm == pytest.approx(
        math.hypot(*(np.linalg.norm(p.grad.numpy()) for p in model[0].parameters())), rel=1e-6
    )
    assert str(found).endswith("gradients of the mean of the output")


class Unusual(nn.Module):
    """A module with a parameter of its own, a shared layer, one that is never called, and a running count."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(pb.ones(3))
        self.shared = nn.Linear(3, 3)
        self.unused = nn.Linear(3, 7)
        self.register_buffer("count", pb.zeros(()))

    def forward(self, x):
        self.count = self.count + 1
        y = self.shared(self.shared(x)) * self.scale
        return {"y": y, "pair": (y, x)}


def test_shared_uncalled_and_nested_modules_are_told_apart_and_buffers_kept():
    model = Unusual()
    model.shared.weight.requires_grad_(False)
    found = explain(model, pb.ones((2, 3)), loss=lambda out: pb.sum(out["y"]))
    rows = {layer.name: (layer.shape, layer.parameters, layer.calls) for layer in found.layers}
    assert rows == {
        "": ({"y": (2, 3), "pair": ((2, 3), (2, 3))}, 3, 1),
        "shared": ((2, 3), 12, 2),
        "unused": (None, 28, 0),
    }
    assert [layer.gradient_norm is None for layer in found.layers if layer.name == "unused"] == [True]
    assert model.count.item() == 0
    printed = str(found)
    assert "shared Linear (called 2 times)" in printed
    assert "unused Linear (not called)" in printed


def test_a_network_that_fails_is_left_as_it_was():
    model, _ = model_of_layers()
    with pytest.raises(ValueError):  # noqa: PT011
        explain(model, pb.ones((5, 9)))
    assert "forward" not in {name for module in model.modules() for name in vars(module)}
