"""Modules that run as one op where nobody looks between them, and one by one where somebody does."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn
from pullback.models import GPT
from pullback.nn.fused import through_maps


class Doubling(nn.Linear):
    """A class of its own, whose forward is another."""

    def forward(self, x):
        return 2 * super().forward(x)


class Unhashable:
    """An activation that is no key of a dict."""

    __hash__ = None

    def __repr__(self):
        return "Unhashable()"

    def __call__(self, x):
        return pb.tanh(x)


def ops_of(y):
    """The names of all ops that a Tensor was made by."""
    found, left = set(), [y.node]
    while left:
        node = left.pop()
        if hasattr(node, "plan"):
            found.add(node.plan.op.name)
        left += [parent for parent in getattr(node, "parents", ()) if parent is not None]
    return found


ACTIVATIONS = [nn.ReLU(), nn.GELU(), nn.GELU("tanh"), pb.relu, pb.gelu, nn.SiLU(), pb.tanh, Unhashable()]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=[getattr(a, "__name__", repr(a)) for a in ACTIVATIONS])
def test_two_maps_and_an_activation_give_what_they_do_one_by_one(activation):
    first, second, x = nn.Linear(3, 8), nn.Linear(8, 2, bias=False), pb.random.normal((5, 3)).requires_grad_()
    found = []
    for y in (through_maps(first, activation, second, x), second(activation(first(x)))):
        variables = [x, *first.parameters(), *second.parameters()]
        (y**2).sum().backward()
        found.append([y.detach().numpy(), *(v.grad.numpy() for v in variables)])
        for v in variables:
            v.grad = None
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    fused = activation in ACTIVATIONS[:5]
    assert ("feed_forward" in ops_of(through_maps(first, activation, second, x))) is fused


def test_hooks_and_classes_of_ones_own_have_their_turn():
    maps, x = [nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 2)], pb.random.normal((5, 3))
    assert "feed_forward" in ops_of(through_maps(*maps, x))
    for i in range(3):
        seen = []
        with maps[i].register_forward_hook(lambda module, given, y, seen=seen: seen.append(module)):
            assert "feed_forward" not in ops_of(through_maps(*maps, x))
        assert seen == [maps[i]]
        maps[i] = [nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 2)][i]
    doubling = Doubling(8, 2)
    expected = 2 * pb.linear(maps[1](maps[0](x)), doubling.weight, doubling.bias)
    assert pb.all(through_maps(*maps[:2], doubling, x) == expected)


def test_maps_that_do_not_fit_are_refused_by_name():
    with pytest.raises(ValueError, match=r"Linear\(in_features=3.*takes \(\.\.\., 3\); got shape \(5, 4\)"):
        through_maps(nn.Linear(3, 8), pb.relu, nn.Linear(8, 2), pb.ones((5, 4)))
    with pytest.raises(ValueError, match=r"Linear\(in_features=7.*takes \(\.\.\., 7\); got shape \(5, 8\)"):
        through_maps(nn.Linear(3, 8), pb.relu, nn.Linear(7, 2), pb.ones((5, 3)))


@pytest.mark.parametrize(("dropout", "training", "fused"), [(0.1, True, False), (0.1, False, True), (0.0, True, True)])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_transformers_maps_are_one_op_where_nothing_is_dropped_between_them(activation, dropout, training, fused):
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout, activation, batch_first=True).train(training)
    y = layer(pb.random.normal((2, 5, 8)))
    assert ("feed_forward" in ops_of(y)) is fused


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gpt_has_them_as_one_op(approximate):
    model = GPT(vocab_size=5, block_size=4, n_layer=1, n_head=2, n_embd=8, dropout=0.1, approximate=approximate)
    assert "feed_forward" in ops_of(model(pb.zeros((2, 4), dtype="int64")))
