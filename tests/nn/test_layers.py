"""Layers: what no comparison with another library can say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

import pullback as pb
from pullback import nn


def test_sequential_is_a_sequence():
    a, b, c = nn.Tanh(), nn.Linear(2, 3), nn.ReLU()
    model = nn.Sequential(a, b)
    assert model.append(c) is model
    assert len(model) == 3
    assert list(model) == [a, b, c]
    assert model[1] is model[-2] is b
    assert list(model[1:]) == [b, c]
    assert [name for name, _ in model[1:].named_parameters()] == ["1.weight", "1.bias"]
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"no module {index} in a Sequential of 3"):
            model[index]


def test_appending_to_a_slice_keeps_what_is_there():
    model = nn.Sequential(nn.Tanh(), nn.ReLU(), nn.Sigmoid())[1:]
    added = nn.ELU()
    model.append(added)
    assert [type(module) for module in model] == [nn.ReLU, nn.Sigmoid, nn.ELU]
    assert [name for name, _ in model.named_children()] == ["1", "2", "3"]


def test_sequential_takes_names():
    model = nn.Sequential({"hidden": nn.Linear(2, 3), "bend": nn.Tanh()})
    assert [name for name, _ in model.named_parameters()] == ["hidden.weight", "hidden.bias"]
    x = pb.random.normal((4, 2))
    assert model(x).tolist() == pb.tanh(model.hidden(x)).tolist()


def test_an_empty_sequential_is_the_identity():
    x = pb.ones(3)
    assert nn.Sequential()(x) is x


@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    ends=st.tuples(st.integers(-5, 4), st.integers(-5, 4)),
)
def test_flatten_joins_the_axes_named_or_says_why_not(shape, ends):
    axes = len(shape)
    x = pb.reshape(pb.arange(int(np.prod(shape))), tuple(shape))
    layer = nn.Flatten(*ends)
    if any(not -axes <= end < axes for end in ends):
        with pytest.raises(ValueError, match="needs more axes"):
            layer(x)
        return
    start, end = (e % axes for e in ends)
    if start > end:
        with pytest.raises(ValueError, match="lies behind"):
            layer(x)
        return
    joined = [*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :]]
    assert layer(x).shape == tuple(joined)
    assert layer(x).numpy().reshape(-1).tolist() == x.numpy().reshape(-1).tolist()


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((3, 2), "does not fit an axis of length 8"),
        ((-1, -1), "finds one length"),
        ((-2, -4), "a length is a whole number of -1 or more"),
        ((-1, 0), "does not fit"),
        ((), "does not fit"),
    ],
)
def test_unflatten_says_what_does_not_fit(size, message):
    with pytest.raises(ValueError, match=message):
        nn.Unflatten(1, size)(pb.ones((2, 8)))


def test_flatten_makes_one_axis_of_none():
    assert nn.Flatten(0)(pb.tensor(3.0)).shape == (1,)


def test_identity_takes_anything():
    x = pb.ones(2)
    assert nn.Identity(54, unused=True)(x) is x


def test_linear_says_which_input_it_takes():
    with pytest.raises(ValueError, match=r"Linear\(in_features=3, .*\) takes \(..., 3\); got shape \(2, 4\)"):
        nn.Linear(3, 1)(pb.ones((2, 4)))
    with pytest.raises(TypeError, match=r"takes an array; got list. Make one with pb.tensor"):
        nn.Linear(2, 3)([[1.0, 2.0]])


SIZES = [
    (nn.Linear, (2, 3), {"in_features": 2, "out_features": 3}),
    (nn.Bilinear, (2, 3, 4), {"in1_features": 2, "in2_features": 3, "out_features": 4}),
    (nn.PReLU, (3,), {"num_parameters": 3}),
    (nn.AdaptiveLogSoftmaxWithLoss, (8, 20, [5, 10]), {"in_features": 8, "n_classes": 20, "cutoffs": [5, 10, 20]}),
]


@pytest.mark.parametrize(("layer", "sizes", "kept"), SIZES, ids=lambda x: getattr(x, "__name__", ""))
def test_sizes_may_be_numpy_integers_and_are_kept_as_numbers(layer, sizes, kept):
    made = layer(*(np.asarray(n, dtype="uint8") if type(n) is list else np.int64(n) for n in sizes))
    for name, size in kept.items():
        value = getattr(made, name)
        assert value == size
        assert all(type(n) is int for n in (value if type(value) is list else [value]))
    assert repr(made) == repr(layer(*sizes))


@pytest.mark.parametrize(("layer", "sizes", "kept"), SIZES, ids=lambda x: getattr(x, "__name__", ""))
@pytest.mark.parametrize("wrong", [2.0, "2", True, None, -1])
def test_sizes_that_are_no_whole_numbers_are_named(layer, sizes, kept, wrong):
    name = next(iter(kept))
    with pytest.raises(
        ValueError if wrong == -1 else TypeError, match=rf"{name} is a whole number of .* got {wrong!r}"
    ):
        layer(wrong, *sizes[1:])


def test_linear_is_made_where_it_is_asked_to(place):
    layer = nn.Linear(3, 2, dtype="float64")
    assert layer.weight.dtype == layer.bias.dtype == pb.float64
    assert layer.weight.device == pb.zeros(1).device
    assert layer(pb.ones((4, 3), dtype="float64")).shape == (4, 2)


def test_one_seed_makes_one_network_on_every_backend(place):
    pb.manual_seed(5)
    here = nn.Linear(7, 3).weight.numpy()
    with pb.use("numpy"):
        pb.manual_seed(5)
        np.testing.assert_array_equal(here, nn.Linear(7, 3).weight.numpy())


def test_layers_without_inputs_or_outputs_are_allowed():
    assert nn.Linear(0, 2)(pb.ones((3, 0))).tolist() == [[0, 0]] * 3
    assert nn.Linear(2, 0)(pb.ones((3, 2))).shape == (3, 0)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("lead", [(), (2,), (2, 4), (0,), (0, 2)])
def test_empty_layers_take_any_axes_and_have_gradients(sizes, lead, place):
    layer, x = nn.Linear(*sizes), pb.ones((*lead, sizes[0])).requires_grad_()
    y = layer(x)
    assert y.shape == (*lead, sizes[1])
    y.sum().backward()
    assert (x.grad.shape, layer.weight.grad.shape) == (x.shape, layer.weight.shape)
    assert not y.numpy().any()


@pytest.mark.parametrize("kinds", [("float32", "float32", "float64"), ("float32", "float64", "float32")])
def test_a_bias_of_more_digits_makes_the_result_so(kinds, place):
    x, weight, bias = (
        pb.full(shape, 0.1, dtype=kind) for shape, kind in zip([(2, 3), (4, 3), (4,)], kinds, strict=True)
    )
    y = pb.linear(x, weight, bias)
    assert y.dtype == pb.float64
    assert y.numpy()[0, 0] == np.float64(bias.numpy()[0]) + (x @ weight.mT).numpy()[0, 0]


@settings(max_examples=20, deadline=None)
@given(p=st.floats(0.05, 0.95), seed=st.integers(0, 2**32))
def test_dropout_drops_the_share_it_says_and_scales_the_rest(p, seed):
    pb.manual_seed(seed)
    y = nn.Dropout(p)(pb.ones(4000)).numpy()
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - p), rtol=1e-6)
    assert binomtest(int(kept.sum()), kept.size, 1 - p).pvalue > 1e-6


def test_dropout_is_decided_by_the_seed_and_changes_from_call_to_call(place):
    layer, x = nn.Dropout(0.5), pb.ones((5, 40))
    pb.manual_seed(1)
    first, second = layer(x).numpy(), layer(x).numpy()
    assert (first != second).any()
    pb.manual_seed(1)
    np.testing.assert_array_equal(layer(x).numpy(), first)
    pb.manual_seed(2)
    assert (layer(x).numpy() != first).any()


def test_dropout_passes_gradients_where_it_passed_values():
    x = pb.ones(100, dtype="float64").requires_grad_()
    y = nn.Dropout(0.3)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())


def test_dropout_does_nothing_in_evaluation():
    x = pb.ones(10)
    assert nn.Dropout(0.9).eval()(x) is x
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            nn.Dropout(p)


@pytest.mark.parametrize(
    ("layer", "shown"),
    [
        (nn.Linear(2, 3, bias=False), "Linear(in_features=2, out_features=3, bias=False)  # 6 parameters"),
        (nn.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
        (nn.ELU(), "ELU(alpha=1.0)"),
        (nn.GELU("tanh"), "GELU(approximate='tanh')"),
        (nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
        (nn.Softmax(1), "Softmax(dim=1)"),
        (nn.LogSoftmax(), "LogSoftmax(dim=-1)"),
        (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
        (nn.Dropout(), "Dropout(p=0.5)"),
        (nn.Sigmoid(), "Sigmoid()"),
        (nn.MSELoss("sum"), "MSELoss(reduction='sum')"),
    ],
    ids=str,
)
def test_layers_show_their_options(layer, shown):
    assert repr(layer) == shown


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.MSELoss("average"), "reduction is 'mean', 'sum' or 'none'; got 'average'"),
        (lambda: nn.HuberLoss(delta=0.0), "delta"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=1.5), "label_smoothing"),
        (lambda: nn.LinearCrossEntropyLoss(3, 4, label_smoothing=1.5), "label_smoothing"),
        (lambda: nn.LinearCrossEntropyLoss(3, 4, weight=pb.ones(3)), r"each of 4 classes; got shape \(3,\)"),
        (lambda: nn.LinearCrossEntropyLoss(3, 4, out_features=(0,)), "each of out_features is a whole number"),
        (lambda: nn.GELU("exact"), "approximate is 'none' or 'tanh'"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_of_losses_are_buffers_that_move_with_them():
    loss = nn.BCEWithLogitsLoss(weight=pb.ones(3), pos_weight=pb.full((3,), 2.0))
    assert sorted(loss.state_dict()) == ["pos_weight", "weight"]
    loss.to(dtype="float64")
    x = pb.zeros((2, 3), dtype="float64")
    assert loss(x, pb.ones((2, 3), dtype="float64")).dtype == pb.float64
    assert list(loss.parameters()) == []


@pytest.mark.on_numpy
def test_weights_of_losses_may_be_arrays():
    weight, logits, target = np.asarray([1.0, 2.0, 3.0], "float32"), pb.random.normal((4, 3)), pb.tensor([0, 1, 2, 2])
    loss = nn.CrossEntropyLoss(weight=weight)
    assert isinstance(loss.weight, pb.Tensor)
    assert loss(logits, target).item() == pb.cross_entropy(logits, target, weight).item()


@pytest.mark.on_numpy
def test_classes_are_the_last_axis():
    logits = pb.random.normal((2, 4, 5, 3))
    target = pb.asarray(np.random.default_rng(0).integers(0, 3, (2, 4, 5)))
    each = nn.CrossEntropyLoss(reduction="none")(logits, target)
    assert each.shape == (2, 4, 5)
    assert nn.NLLLoss()(nn.LogSoftmax()(logits), target).item() == pytest.approx(each.mean().item(), rel=1e-6)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.HuberLoss(), nn.BCELoss(), nn.BCEWithLogitsLoss()])
def test_targets_of_another_shape_are_refused_not_broadcast(loss):
    with pytest.raises(ValueError, match=r"expects a target of the input's shape \(4, 1\); got \(4,\)"):
        loss(pb.full((4, 1), 0.5), pb.full((4,), 0.5))
