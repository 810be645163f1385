"""Hooks against PyTorch's, and what they may change."""

import copy

import numpy as np

import pullback as pb
from pullback import nn

X = np.random.default_rng(0).standard_normal((5, 3)).astype("float32")


def test_forward_hooks_run_in_order_and_may_change_what_passes():
    layer, order = nn.Linear(3, 2), []
    layer.register_forward_pre_hook(lambda m, inputs: order.append("second"))
    layer.register_forward_pre_hook(lambda m, inputs: order.append("first"), prepend=True)
    layer.register_forward_pre_hook(lambda m, inputs: inputs[0] * 2)
    layer.register_forward_hook(lambda m, inputs, y: order.append(inputs[0].numpy()[0, 0]))
    layer.register_forward_hook(lambda m, inputs, y: y + 1)
    x = pb.tensor(X)
    np.testing.assert_allclose(layer(x).numpy(), (layer.forward(2 * x) + 1).numpy(), rtol=1e-6)
    assert order == ["first", "second", 2 * X[0, 0]]


def test_hooks_see_keyword_arguments_when_they_ask_for_them():
    class Scaled(nn.Module):
        def forward(self, x, scale=1.0):
            return x * scale

    module, seen = Scaled(), []
    module.register_forward_pre_hook(lambda m, inputs, options: (inputs, {"scale": 3.0}), with_kwargs=True)
    module.register_forward_hook(lambda m, inputs, options, y: seen.append(options), with_kwargs=True)
    assert module(pb.tensor(2.0), scale=5.0).item() == 6.0
    assert seen == [{"scale": 3.0}]


def test_a_removed_hook_is_not_called():
    layer, calls = nn.Linear(3, 2), []
    handle = layer.register_forward_hook(lambda m, inputs, y: calls.append(1))
    layer(pb.tensor(X))
    handle.remove()
    handle.remove()
    layer(pb.tensor(X))
    assert calls == [1]


def test_gradients_of_gradients_pass_a_watched_module():
    layer, seen = nn.Linear(3, 1), []
    layer.register_full_backward_hook(lambda m, gx, gy: seen.append(gx[0]))
    x = pb.tensor(X, requires_grad=True)
    (layer(x) ** 3).sum().backward(create_graph=True)
    (x.grad**2).sum().backward()
    assert len(seen) >= 1
    assert layer.weight.grad is not None


def test_a_copy_has_the_hooks_too():
    layer, calls = nn.Linear(3, 2), []
    layer.register_forward_hook(lambda m, inputs, y: calls.append(m))
    twin = copy.deepcopy(layer)
    twin(pb.tensor(X))
    assert calls == [twin]


def test_a_passing_buffer_is_no_part_of_the_state():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("kept", pb.zeros(2))
            self.register_buffer("table", pb.arange(3), persistent=False)

    module = Positions()
    assert list(module.state_dict()) == ["kept"]
    assert [name for name, _ in module.named_buffers()] == ["kept", "table"]
    module.load_state_dict({"kept": pb.ones(2)})
