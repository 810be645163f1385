"""Modules are copied and pickled: what they hold and what they give stays the same, and their memory is their own."""

import copy
import pickle
from importlib import import_module
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

import pullback as pb
from pullback import nn

WAYS = {"copied": copy.deepcopy, "pickled": lambda module: pickle.loads(pickle.dumps(module))}
FILES = sorted((Path(__file__).parent.parent / "parity" / "entries").glob("*.py"))
ENTRIES = [entry for path in FILES for entry in getattr(import_module(f"entries.{path.stem}"), "ENTRIES", [])]
LAYERS = [e for e in ENTRIES if isinstance(getattr(nn, e.name, None), type) and not e.name.startswith("Lazy")]


class Applied(nn.Module):
    """An op as an attribute."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


OTHERS = [
    nn.Sequential(nn.Linear(4, 3), Applied(pb.relu), nn.DropPath(0.1)),
    nn.ModuleList([nn.PositionalEncoding(4), nn.RotaryEmbedding(4)]),
    nn.ModuleDict({"attention": nn.MultiheadAttention(4, 2, rotary=nn.RotaryEmbedding(2))}),
    nn.parametrizations.weight_norm(nn.Linear(4, 3)),
    nn.parametrizations.spectral_norm(nn.Conv2d(4, 3, 2)),
]


def assert_alike(module, twin):
    """The same names and values, in memory of their own."""
    assert type(twin) is type(module)
    assert repr(twin) == repr(module)
    assert twin.training == module.training
    state, theirs = module.state_dict(), twin.state_dict()
    assert list(state) == list(theirs)
    for name, value in state.items():
        assert theirs[name].array is not value.array
        np.testing.assert_array_equal(value.numpy(), theirs[name].numpy(), strict=True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("entry", LAYERS, ids=lambda entry: entry.name)
def test_every_layer_of_the_parity_table_is_copied_and_pickled(entry, way):
    for number in range(3):
        options = entry.draw(np.random.default_rng(number)).options
        options = {n: pb.asarray(v) if isinstance(v, np.ndarray) else v for n, v in options.items()}
        if "distance_function" in options:
            options["distance_function"] = pb.pairwise_distance  # the table's own has no name
        module, kind = entry.make_ours(options), getattr(nn, entry.name)
        if type(module) is not kind:  # the table puts something around it
            module = kind(**{name: options[name] for name in options.keys() & signature(kind).parameters.keys()})
        assert_alike(module, WAYS[way](module))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("module", OTHERS, ids=lambda module: type(module).__name__)
def test_other_modules_are_copied_and_pickled(module, way):
    assert_alike(module.eval(), WAYS[way](module))


@pytest.mark.parametrize("way", WAYS)
def test_what_is_copied_gives_the_same(way):
    x = pb.random.normal((5, 2, 4))
    for activation in ("relu", pb.gelu, nn.Tanh()):
        layer = nn.TransformerEncoderLayer(4, 2, 8, activation=activation).eval()
        np.testing.assert_array_equal(WAYS[way](layer)(x).numpy(), layer(x).numpy())
