"""Recurrent layers: what the parity table cannot say."""

import warnings

import numpy as np
import pytest

import pullback as pb
from pullback import nn
from pullback.autodiff.op import registry
from pullback.backends import numpy_kernels, open_backend
from pullback.backends.numba_kernels import compiling
from pullback.compile import trace

LAYERS = [nn.RNN, nn.LSTM, nn.GRU]
CELLS = {nn.RNN: nn.RNNCell, nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_is_its_cell_step_after_step(kind, place):
    layer, cell = kind(3, 4), CELLS[kind](3, 4)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x = pb.random.normal((5, 2, 3))
    output, _ = layer(x)
    state = None
    for step in range(5):
        state = cell(x[step], state)
        h = state[0] if isinstance(state, tuple) else state
        np.testing.assert_allclose(h.numpy(), output[step].numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_parameters_start_uniform_within_one_by_the_root_of_the_hidden_size(kind):
    values = np.concatenate([p.numpy().reshape(-1) for p in kind(40, 100, num_layers=2).parameters()])
    assert np.abs(values).max() < 0.1
    assert values.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize("kind", LAYERS)
def test_dropout_stands_between_the_layers_and_only_in_training(kind):
    layer = kind(3, 50, num_layers=2, dropout=0.5)
    plain = kind(3, 50, num_layers=2)
    plain.load_state_dict(layer.state_dict())
    x = pb.random.normal((4, 3, 3))
    np.testing.assert_array_equal(layer.eval()(x)[0].numpy(), plain(x)[0].numpy())
    first, again = layer.train()(x), layer(x)
    of_first_layer = [r[1][0] if kind is nn.LSTM else r[1] for r in (first, again, plain(x))]
    np.testing.assert_array_equal(of_first_layer[0].numpy()[0], of_first_layer[2].numpy()[0])
    assert np.any(first[0].numpy() != again[0].numpy())
    assert np.all(first[0].numpy() != 0)  # the last layer's own output is whole


def test_all_dropped_leaves_the_second_layer_its_biases():
    layer = nn.RNN(3, 4, num_layers=2, dropout=1.0)
    other = nn.RNN(4, 4)
    other.load_state_dict({k.replace("_l1", "_l0"): v for k, v in layer.state_dict().items() if k.endswith("_l1")})
    expected, _ = other(pb.zeros((5, 2, 4)))
    np.testing.assert_allclose(layer(pb.random.normal((5, 2, 3)))[0].numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_packed_batch_is_each_sequence_alone(kind):
    layer = kind(3, 4, num_layers=2, bidirectional=True)
    sequences = [pb.random.normal((n, 3)) for n in (2, 5, 1, 5)]
    output, state = layer(nn.pack_sequence(sequences, enforce_sorted=False))
    for i, (y, x) in enumerate(zip(nn.unpack_sequence(output), sequences, strict=True)):
        expected, end = layer(x)
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
        for got, one in zip(*((s if kind is nn.LSTM else (s,)) for s in (state, end)), strict=True):
            np.testing.assert_allclose(got[:, i].numpy(), one.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_step_of_training_is_traced(kind):
    layer = kind(3, 4, num_layers=2, bidirectional=True)
    x = pb.random.normal((5, 2, 3))

    def loss(x):
        return (layer(x)[0] ** 2).sum()

    program = trace(lambda x: pb.grad(loss)(x), x)
    other = pb.random.normal((5, 2, 3))
    np.testing.assert_allclose(program(other).numpy(), pb.grad(loss)(other).numpy(), rtol=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_vmap_is_a_loop(kind):
    layer = kind(3, 4)
    xs = pb.random.normal((3, 5, 2, 3))
    got = pb.vmap(lambda x: layer(x)[0])(xs)
    for i in range(3):
        np.testing.assert_allclose(got[i].numpy(), layer(xs[i])[0].numpy(), rtol=1e-5, atol=1e-6)


CASES = {
    "rnn": (1, 1, {"nonlinearity": "relu"}),
    "gru": (3, 1, {}),
    "lstm": (4, 2, {}),
}


@pytest.mark.on_numpy
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("sizes", [(33, 33, 33, 33, 33), (33, 20, 20, 7, 1)])
@pytest.mark.parametrize("name", CASES)
def test_kernels_of_long_arrays_agree_with_the_reference(name, sizes, reverse, compiled, monkeypatch):
    if compiled:
        pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
    monkeypatch.setattr(compiling, "WORTHWHILE", 0 if compiled else 10**9)
    gates, states, metadata = CASES[name]
    op = registry[name]
    rng = np.random.default_rng(0)
    hidden = 37
    shapes = [(sum(sizes), gates * hidden), *[(sizes[0], hidden)] * states, (gates * hidden, hidden)]
    inputs = [rng.standard_normal(shape) * 0.5 for shape in shapes]
    metadata = {"batch_sizes": sizes, "reverse": reverse, **metadata}
    numpy = open_backend("numpy").namespace
    expected = op.function(numpy, *inputs, **metadata)
    got = numpy_kernels.kernels[name](*inputs, **metadata)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
    (rule,) = op.rules
    g = tuple(rng.standard_normal(y.shape) if i <= states else np.zeros_like(y) for i, y in enumerate(expected))
    known = dict(zip(op.inputs, [*inputs, None], strict=False)) | {"y": expected}
    saved = [known[n] for n in rule.saves]
    options = {n: {**op.defaults, **metadata}[n] for n in rule.metadata}
    expected = rule.function(numpy, g, *saved, **options)
    got = numpy_kernels.kernels[rule.name](g, *saved, **options)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


def test_unusual_arguments_are_refused():
    with pytest.raises(ValueError, match="hidden_size is a whole number from 1 on; got 0"):
        nn.LSTM(3, 0)
    with pytest.raises(ValueError, match="proj_size is less than hidden_size, 4"):
        nn.LSTM(3, 4, proj_size=4)
    with pytest.raises(ValueError, match="share between 0 and 1; got 2"):
        nn.GRU(3, 4, dropout=2)
    with pytest.raises(ValueError, match="nonlinearity is 'tanh' or 'relu'; got 'sigmoid'"):
        nn.RNN(3, 4, nonlinearity="sigmoid")
    with pytest.raises(ValueError, match=r"LSTM takes \(L, N, 3\), .* got shape \(5, 2, 4\)"):
        nn.LSTM(3, 4)(pb.zeros((5, 2, 4)))
    with pytest.raises(ValueError, match=r"starts from states of the shapes \[\(1, 2, 4\)\]; got \(1, 3, 4\)"):
        nn.GRU(3, 4)(pb.zeros((5, 2, 3)), pb.zeros((1, 3, 4)))
    with pytest.raises(ValueError, match=r"GRUCell takes states of shape \(2, 4\); got \(2, 5\)"):
        nn.GRUCell(3, 4)(pb.zeros((2, 3)), pb.zeros((2, 5)))
    with pytest.raises(ValueError, match="one step or more"):
        nn.GRU(3, 4)(pb.zeros((0, 2, 3)))


def test_packing_refuses_lengths_that_do_not_fit():
    x = pb.zeros((4, 2, 3))
    for lengths in ([4], [4, 0], [5, 1]):
        with pytest.raises(ValueError, match="2 sequences of at most 4 steps"):
            nn.pack_padded_sequence(x, lengths)
    with pytest.raises(ValueError, match="descending order"):
        nn.pack_padded_sequence(x, [1, 4])
    with pytest.raises(ValueError, match="total_length is at least 4"):
        nn.pad_packed_sequence(nn.pack_padded_sequence(x, [4, 1]), total_length=3)
    with pytest.raises(ValueError, match="'up'"):
        nn.pad_sequence([x], padding_side="up")


def test_lengths_may_be_a_tensor_and_integers_stay_integers(place):
    x = pb.asarray([[1, 2, 3], [4, 0, 0]])
    packed = nn.pack_padded_sequence(x, pb.asarray([3, 1]), batch_first=True)
    assert packed.data.tolist() == [1, 4, 2, 3]
    padded, lengths = nn.pad_packed_sequence(packed, batch_first=True)
    assert padded.tolist() == x.tolist()
    assert padded.dtype == pb.int64
    assert lengths.tolist() == [3, 1]


def test_nothing_overflows_in_a_saturated_gate():
    layer = nn.LSTM(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        output, _ = layer(pb.full((4, 1, 2), 1e6))
        output.sum().backward()
    assert np.isfinite(output.numpy()).all()
    assert all(np.isfinite(p.grad.numpy()).all() for p in layer.parameters())
