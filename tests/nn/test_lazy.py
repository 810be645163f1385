"""Lazy layers: what they are before their first input, and that they are the plain layers from then on."""

import copy
import pickle
from inspect import signature

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim
from pullback.compile import trace

LAYERS = {
    "Linear": ({"out_features": 4}, (5, 6)),
    **{f"Conv{n}d": ({"out_channels": 4, "kernel_size": 2, "groups": 2}, (2, *(5,) * n, 6)) for n in (1, 2, 3)},
    **{
        f"ConvTranspose{n}d": ({"out_channels": 4, "kernel_size": 2, "groups": 2}, (2, *(3,) * n, 6)) for n in (1, 2, 3)
    },
    **{f"BatchNorm{n}d": ({"eps": 0.1}, (2, *(3,) * n, 6)) for n in (1, 2, 3)},
    **{f"InstanceNorm{n}d": ({"affine": True, "track_running_stats": True}, (2, *(3,) * n, 6)) for n in (1, 2, 3)},
}
"""Of each layer options, and the shape of an input."""

each_layer = pytest.mark.parametrize("name", LAYERS)


def lazy(name, **options):
    return getattr(nn, f"Lazy{name}")(**LAYERS[name][0], **options)


def plain(name, **options):
    return getattr(nn, name)(6, **LAYERS[name][0], **options)


def draw(name, dtype="float32"):
    return pb.random.normal(LAYERS[name][1], dtype=dtype, generator=pb.random.Generator(0))


def assert_same(layer, other):
    """One class, one repr, one mode, and the same values under the same names."""
    assert type(layer) is type(other)
    assert repr(layer) == repr(other)
    assert vars(layer).keys() == vars(other).keys()
    assert layer.training == other.training
    state, expected = layer.state_dict(), other.state_dict()
    assert list(state) == list(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(state[key].numpy(), value.numpy(), strict=True)


@each_layer
@pytest.mark.parametrize("training", [True, False])
def test_the_first_call_makes_the_plain_layer(name, training, place):
    x, layer = draw(name), lazy(name).train(training)
    pb.manual_seed(3)
    y = layer(x)
    pb.manual_seed(3)
    expected = plain(name).train(training)
    np.testing.assert_array_equal(y.numpy(), expected(x).numpy())
    assert_same(layer, expected)
    y.sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    np.testing.assert_array_equal(layer(x).numpy(), expected(x).numpy())


@each_layer
def test_pytorchs_have_the_same_state_class_and_defaults(name):
    torch = pytest.importorskip("torch")
    options, shape = LAYERS[name]
    required = {} if "Norm" in name else options
    ours, theirs = (getattr(library.nn, f"Lazy{name}")(**required) for library in (pb, torch))
    names = list(theirs.state_dict())
    ours(pb.ones(shape))
    theirs(torch.movedim(torch.ones(shape), -1, 1))
    assert list(ours.state_dict()) == list(theirs.state_dict()) == names
    assert type(ours).__name__ == type(theirs).__name__ == name
    defaults, expected = (
        {p.name: p.default for p in signature(getattr(library.nn, f"Lazy{name}")).parameters.values()}
        for library in (pb, torch)
    )
    assert defaults == expected


ASKS = {
    "an optimizer": lambda model: optim.SGD(model.parameters(), lr=0.1),
    "named parameters": lambda model: dict(model.named_parameters()),
    "their number": lambda model: model.parameter_count(),
    "to freeze": lambda model: model.requires_grad_(False),
    "the state": lambda model: model.state_dict(),
    "a call with other parameters": lambda model: nn.functional_call(model, {}, pb.ones((2, 3))),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
def test_what_needs_parameters_says_to_call_the_network_first(ask):
    model = nn.Sequential(nn.Linear(3, 2), nn.LazyLinear(4, bias=False))
    with pytest.raises(ValueError, match=r"^LazyLinear\(out_features=4, bias=False\) has no weight yet: .* Call the "):
        ask(model)
    model(pb.ones((2, 3)))
    ask(model)


@each_layer
def test_a_size_or_weight_that_is_not_there_yet_is_told(name):
    layer = lazy(name)
    for missing in (next(iter(signature(getattr(nn, name)).parameters)), "weight", "bias"):
        assert not hasattr(layer, missing)
        with pytest.raises(AttributeError, match=f"^Lazy{name}\\(.* has no {missing} yet: .* first$"):
            getattr(layer, missing)
    with pytest.raises(AttributeError, match="has no attribute 'wait'"):
        layer.wait  # noqa: B018
    assert isinstance(layer, getattr(nn, name))


def test_what_has_nothing_to_learn_is_not_waited_for():
    layer = nn.LazyBatchNorm1d(affine=False)
    assert list(layer.parameters()) == []
    with pytest.raises(ValueError, match="has no running_mean, running_var, num_batches_tracked yet"):
        layer.state_dict()
    assert nn.LazyInstanceNorm1d(affine=False, track_running_stats=False).state_dict() == {}
    assert nn.LazyConv2d(4, 3, bias=False).bias is None


def test_before_the_first_call_what_was_given_is_shown():
    model = nn.Sequential(nn.LazyConv2d(6, kernel_size=5), nn.LazyBatchNorm2d(), nn.Linear(3, 2))
    assert repr(model) == (
        "Sequential(  # 8 parameters\n"
        "  (0): LazyConv2d(out_channels=6, kernel_size=5)\n"
        "  (1): LazyBatchNorm2d()\n"
        "  (2): Linear(in_features=3, out_features=2, bias=True)  # 8 parameters\n"
        ")"
    )
    assert (model[0].out_channels, model[0].kernel_size) == (6, (5, 5))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.LazyConv2d(6), TypeError, "kernel_size"),
        (lambda: nn.LazyLinear(2, in_features=3), TypeError, "in_features"),
        (lambda: nn.LazyLinear(-1), ValueError, "out_features is a whole number of 0 or more; got -1"),
        (lambda: nn.LazyLinear(3, dtype="int64"), TypeError, "floating"),
        (lambda: nn.LazyConv2d(5, 3, groups=2), ValueError, "multiples of groups"),
        (lambda: nn.LazyConv2d(6, 3, groups=0), ValueError, "groups is a whole number of 1 or more; got 0"),
        (lambda: nn.LazyConvTranspose2d(6, 3, padding="same"), TypeError, "padding is a whole number"),
    ],
)
def test_arguments_are_checked_at_once_and_draw_nothing(make, error, message):
    before = pb.random.default_generator().state_dict()
    with pytest.raises(error, match=message):
        make()
    nn.LazyConv2d(6, 3)
    assert pb.random.default_generator().state_dict() == before


@pytest.mark.parametrize(
    ("layer", "x", "good"),
    [
        (nn.LazyLinear(3), pb.tensor(2.0), (2, 3)),
        (nn.LazyLinear(3), [1.0, 2.0], (2, 3)),
        (nn.LazyConv2d(6, 3, groups=2), pb.ones((1, 5, 5, 3)), (1, 5, 5, 4)),
        (nn.LazyConv2d(6, 3), pb.ones((5, 3)), (5, 5, 3)),
        (nn.LazyConv2d(6, 3), pb.ones((2, 2, 4)), (5, 5, 3)),
        (nn.LazyBatchNorm2d(), pb.ones((5, 3)), (2, 5, 5, 2)),
        (nn.LazyBatchNorm1d(), pb.ones((1, 3)), (2, 4)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_a_first_call_that_fails_changes_nothing(layer, x, good):
    before, keys = repr(layer), set(vars(layer))
    with pytest.raises((TypeError, ValueError)):
        layer(x)
    assert (repr(layer), set(vars(layer))) == (before, keys)
    layer(pb.ones(good))
    assert not type(layer).__name__.startswith("Lazy")


@each_layer
def test_a_layer_that_was_moved_comes_out_there(name):
    model = nn.Sequential(lazy(name)).double().to(backend="array_api_strict", device="device1")
    with pb.use("array_api_strict", "device1"):
        x = draw(name, "float64")
    pb.manual_seed(3)
    model(x)
    assert {str(p.device) for p in model.state_dict().values()} == {"array_api_strict.Device('device1')"}
    pb.manual_seed(3)
    expected = plain(name, dtype="float64")
    expected(draw(name, "float64"))
    for key, value in expected.named_parameters():
        np.testing.assert_array_equal(model[0].get_parameter(key).numpy(), value.numpy(), strict=True)


def test_a_layer_is_made_where_it_was_asked_to_be_not_where_it_is_called():
    with pb.use("array_api_strict", "device1"):
        layer, x = nn.LazyLinear(3, dtype="float64", device="CPU_DEVICE"), pb.ones((2, 4), device="CPU_DEVICE")
    assert layer(x).dtype == pb.float64
    assert str(layer.weight.device) == "array_api_strict.Device('CPU_DEVICE')"


@each_layer
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_learn_their_sizes_for_themselves(name, copied):
    model = nn.Sequential(lazy(name)).double().eval()
    twin, x = copied(model), draw(name, "float64")
    assert repr(twin) == repr(model)
    pb.manual_seed(3)
    twin(x)
    assert repr(twin) != repr(model)
    pb.manual_seed(3)
    model(x)
    assert_same(twin[0], model[0])
    assert_same(copied(twin)[0], twin[0])


@each_layer
@pytest.mark.parametrize("affine", [True, False])
def test_a_state_gives_the_sizes(name, affine):
    options = {} if "Norm" not in name else {"affine": affine}
    layer, other = (nn.Sequential(make(**LAYERS[name][0] | options)) for make in (
        getattr(nn, f"Lazy{name}"), lambda **kw: getattr(nn, name)(6, **kw)
    ))  # fmt: skip
    other(draw(name))
    layer.load_state_dict(other.state_dict())
    assert_same(layer[0], other[0])
    x = draw(name)
    np.testing.assert_array_equal(layer.eval()(x).numpy(), other.eval()(x).numpy())


def test_a_state_that_does_not_fit_changes_nothing():
    layer = nn.LazyConv2d(6, 5)
    for weight in (pb.ones((6, 3, 5, 5)), pb.ones((5, 5, 5, 3)), pb.ones(()), [1.0], None):
        with pytest.raises(ValueError, match=r"^LazyConv2d\(.* has no weight, bias yet"):
            layer.load_state_dict({"weight": weight, "bias": pb.ones(6)})
    with pytest.raises(ValueError, match=r"^LazyConv2d\(.* has no weight, bias yet"):
        layer.load_state_dict({"bias": pb.ones(6)}, strict=False)
    layer.load_state_dict({"weight": pb.ones((6, 5, 5, 3))}, strict=False)
    assert layer.in_channels == 3


def test_hooks_stay_and_may_change_the_first_input():
    layer, seen = nn.LazyLinear(2), []
    layer.register_forward_pre_hook(lambda module, inputs: inputs[0][:, :3])
    layer.register_forward_hook(lambda module, inputs, output: seen.append((type(module), output.shape)))
    layer.register_full_backward_hook(lambda module, of_inputs, of_outputs: seen.append(of_outputs[0].shape))
    for _ in range(2):
        layer(pb.ones((4, 5))).sum().backward()
    assert seen == [(nn.Linear, (4, 2)), (4, 2)] * 2
    assert layer.in_features == 3


def test_a_first_call_that_is_not_recorded_makes_parameters_that_learn():
    layer, x = nn.LazyLinear(2), pb.ones((4, 3))
    with pb.no_grad():
        assert not layer(x).requires_grad
    layer(x).sum().backward()
    assert layer.weight.grad.tolist() == [[4, 4, 4]] * 2


def test_a_checkpoint_drops_the_same_again_behind_a_first_call():
    model, x = nn.Sequential(nn.LazyLinear(40), nn.Dropout(0.5)), pb.ones((6, 3)).requires_grad_()
    y = pb.checkpoint(model, x)
    y.sum().backward()
    np.testing.assert_array_equal(model[0].bias.grad.numpy(), 2 * (y.numpy() != 0).sum(axis=0))


def test_a_first_call_may_be_mapped_or_differentiated_through():
    xs = pb.random.normal((4, 3))
    layer = nn.LazyLinear(2)
    np.testing.assert_allclose(pb.vmap(layer)(xs).numpy(), layer(xs).numpy(), rtol=1e-6)
    layer = nn.LazyLinear(2)
    slope = pb.grad(lambda x: layer(x).sum())(xs[0])
    np.testing.assert_allclose(slope.numpy(), layer.weight.numpy().sum(axis=0), rtol=1e-6)


@pytest.mark.on_numpy
def test_a_first_call_may_be_traced():
    layer, x = nn.LazyLinear(2), pb.random.normal((4, 3))
    program = trace(lambda x: layer(x), x)
    np.testing.assert_array_equal(program(2 * x).numpy(), layer(2 * x).numpy())


def test_one_layer_in_two_places_is_one_layer():
    layer = nn.LazyLinear(3)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    model(pb.ones((2, 3)))
    assert model[0] is model[2] is layer
    assert len(list(model.parameters())) == 2


def test_a_network_of_lazy_layers_learns():
    pb.manual_seed(0)
    model = nn.Sequential(
        nn.LazyConv2d(4, kernel_size=3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)
    )
    x = pb.random.normal((16, 6, 6, 3))
    target = pb.astype(pb.sum(x, axis=(1, 2, 3)) > 0, "int64")
    model(x)
    optimizer, loss, course = optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss(), []
    for _ in range(20):
        optimizer.zero_grad()
        value = loss(model(x), target)
        value.backward()
        optimizer.step()
        course.append(value.item())
    assert course[-1] < course[0] / 2
    state = model.eval().state_dict()
    np.testing.assert_array_equal(nn.functional_call(model, state, x).numpy(), model(x).numpy())
