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
    monkeypatch.setattr(compiling, "WORTHWHILE", 1 if compiled else 10**9)
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


X = pb.zeros((5, 2, 3))


@pytest.mark.parametrize(("make", "error", "complaint"), [
    (lambda: nn.LSTM(3, 0), ValueError, "LSTM: hidden_size is a whole number of 1 or more; got 0"),
    (lambda: nn.RNN(3.0, 4), TypeError, "RNN: input_size is a whole number"),
    (lambda: nn.GRUCell(3, True), TypeError, "GRUCell: hidden_size is a whole number"),
    (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size is less than hidden_size, 4"),
    (lambda: nn.LSTM(3, 4, proj_size=2.0), TypeError, "proj_size is a whole number"),
    (lambda: nn.GRU(3, 4, dropout=2), ValueError, "share between 0 and 1; got 2"),
    (lambda: nn.GRU(3, 4, dropout="half"), ValueError, "share between 0 and 1; got 'half'"),
    (lambda: nn.RNN(3, 4, nonlinearity="sigmoid"), ValueError, "nonlinearity is 'tanh' or 'relu'; got 'sigmoid'"),
])  # fmt: skip
def test_a_layer_that_cannot_be_is_refused(make, error, complaint):
    with pytest.raises(error, match=complaint):
        make()


@pytest.mark.parametrize(("call", "complaint"), [
    (lambda: nn.LSTM(3, 4)(pb.zeros((5, 2, 4))), r"LSTM takes \(L, N, 3\), .* got shape \(5, 2, 4\)"),
    (lambda: nn.GRU(3, 4, batch_first=True)(X[0, 0]), r"GRU takes \(N, L, 3\), \(L, 3\) .* got shape \(3,\)"),
    (lambda: nn.RNN(3, 4)(X[:0]), "one step or more; got sequences of length 0"),
    (lambda: nn.LSTM(3, 4, batch_first=True)(X[:, :0]), "one step or more; got sequences of length 0"),
    (lambda: nn.GRU(3, 4)(X, pb.zeros((1, 3, 4))), r"GRU starts from a state of shape \(1, 2, 4\); got \(1, 3, 4\)"),
    (lambda: nn.GRU(3, 4, batch_first=True)(X, pb.zeros((5, 1, 4))), r"\(1, 5, 4\): batch_first is not for states"),
    (lambda: nn.RNN(3, 4)(X, (pb.zeros((1, 2, 4)),)), "RNN starts from a state of shape .* got tuple"),
    (lambda: nn.LSTM(3, 4)(X, pb.zeros((1, 2, 4))), r"LSTM starts from a pair \(h, c\) .* got \(1, 2, 4\)"),
    (lambda: nn.LSTM(3, 4, proj_size=2)(X, (pb.zeros((1, 2, 4)),) * 2), r"\(1, 2, 2\) and \(1, 2, 4\); got"),
    (lambda: nn.GRUCell(3, 4)(X[0], pb.zeros((2, 5))), r"GRUCell starts from a state of shape \(2, 4\); got \(2, 5\)"),
    (lambda: nn.LSTMCell(3, 4)(X[0], pb.zeros((2, 4))), r"LSTMCell starts from a pair .* got \(2, 4\)"),
    (lambda: nn.RNNCell(3, 4)(X), r"RNNCell takes \(N, 3\) or \(3,\); got shape \(5, 2, 3\)"),
    (lambda: nn.LSTM(3, 4)(nn.PackedSequence(X[:, 0], (2, 2))), r"5 packed rows in steps of \(2, 2\)"),
    (lambda: nn.GRU(3, 4)(nn.PackedSequence(X[:0, 0], ())), r"0 packed rows in steps of \(\)"),
    (lambda: pb.rnn(X, *map(pb.zeros, [(3, 4), (4, 3), (4, 4)])), r"a state \(2, 4\); got shape \(3, 4\)"),
    (lambda: pb.lstm(X, *map(pb.zeros, [(2, 4), (2, 5), (16, 3), (16, 4)])), r"a state \(2, 4\); got shape \(2, 5\)"),
    (lambda: pb.gru(X[0], *map(pb.zeros, [(2, 4), (12, 3), (12, 4)])), r"takes \(L, N, 3\); got shape \(2, 3\)"),
])  # fmt: skip
def test_inputs_and_states_of_other_shapes_are_refused(call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call()


@pytest.mark.parametrize("dtype", ["int64", "bool", "float64", "complex64"])
@pytest.mark.parametrize("kind", LAYERS)
def test_inputs_and_states_have_the_dtype_of_the_weights(kind, dtype):
    for layer, x in ((kind(3, 4), X), (CELLS[kind](3, 4), X[0])):
        state = pb.zeros((1, 2, 4) if x is X else (2, 4), dtype=dtype)
        state = (state, state) if kind is nn.LSTM else state
        with pytest.raises(TypeError, match=f"weights of float32 and takes an input of float32; got {dtype}"):
            layer(x.astype(dtype))
        with pytest.raises(TypeError, match=f"weights of float32 and takes states of float32; got {dtype}"):
            layer(x, state)
    with pytest.raises(TypeError, match=f"{kind.__name__} takes an array; got list"):
        kind(3, 4)([[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("kind", LAYERS)
def test_sizes_may_be_numpys_integers(kind):
    layer = kind(np.int64(3), np.int32(4), np.int64(2))
    assert repr(layer) == repr(kind(3, 4, 2))
    assert layer(X)[0].shape == (5, 2, 4)


def test_all_weights_are_named_in_pytorchs_order():
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2, bias=False)
    names = {id(p): name for name, p in layer.named_parameters()}
    assert [[names[id(p)] for p in cell] for cell in layer.all_weights] == [
        [f"{kind}_{end}" for kind in ("weight_ih", "weight_hh", "weight_hr")]
        for end in ("l0", "l0_reverse", "l1", "l1_reverse")
    ]
    assert [p.shape for p in nn.GRU(3, 4).all_weights[0]] == [(12, 3), (12, 4), (12,), (12,)]
    layer.flatten_parameters()


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_of_normed_weights_runs(kind):
    layer, x = kind(3, 4, bias=False), pb.random.normal((5, 2, 3))
    expected = layer(x)[0].numpy()
    for name in ("weight_ih_l0", "weight_hh_l0"):
        nn.parametrizations.weight_norm(layer, name)
    output = layer(x)[0]
    np.testing.assert_allclose(output.numpy(), expected, rtol=1e-5, atol=1e-6)
    output.sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


@pytest.mark.parametrize("lengths", [[4], [4, 0], [5, 1], [4, 1, 1], [2.5, 1], ["a", 1], [[4, 1]], 4, None])
def test_packing_refuses_lengths_that_do_not_fit(lengths):
    x = pb.zeros((4, 2, 3))
    with pytest.raises(ValueError, match="2 sequences of at most 4 steps have as many lengths, whole numbers from 1"):
        nn.pack_padded_sequence(x, lengths)
    if lengths != [4, 0]:
        with pytest.raises(
            ValueError, match="2 sequences of at most 4 steps have as many lengths, whole numbers from 0"
        ):
            nn.unpad_sequence(x, lengths)


@pytest.mark.parametrize(("call", "error", "complaint"), [
    (lambda: nn.pack_padded_sequence(X, [1, 4]), ValueError, "descending order"),
    (lambda: nn.pack_padded_sequence(X[:, :0], []), ValueError, "one sequence or more"),
    (lambda: nn.pack_padded_sequence(X[0, 0], [3]), ValueError, r"takes \(L, N, ...\), .* got shape \(3,\)"),
    (lambda: nn.pad_packed_sequence(nn.pack_padded_sequence(X, [5, 1]), total_length=3), ValueError, "is at least 5"),
    (lambda: nn.pad_packed_sequence(nn.pack_padded_sequence(X, [5, 1]), total_length=5.5), TypeError, "whole number"),
    (lambda: nn.pad_packed_sequence(X), TypeError, "takes a PackedSequence; got Tensor"),
    (lambda: nn.pad_packed_sequence(nn.PackedSequence(X, (2, 2))), ValueError, "of other than 5 packed rows"),
    (lambda: nn.pad_sequence([X], padding_side="up"), ValueError, "'up'"),
    (lambda: nn.pad_sequence([]), ValueError, "one sequence or more"),
    (lambda: nn.pad_sequence([X[0], X[0, :, :2]]), ValueError, r"alike in all but L; got \(2, 3\), \(2, 2\)"),
    (lambda: nn.pad_sequence([X[0, 0, 0]]), ValueError, r"got \(\)"),
    (lambda: nn.pad_sequence([[1.0], [2.0]]), TypeError, "takes an array; got list"),
])  # fmt: skip
def test_what_cannot_be_packed_or_padded_is_refused(call, error, complaint):
    with pytest.raises(error, match=complaint):
        call()


def test_padding_keeps_the_dtype_and_takes_whatever_gives_sequences():
    flags = [pb.asarray([True, True]), pb.asarray([True])]
    padded = nn.pad_sequence(flag for flag in flags)
    assert padded.dtype == pb.bool
    assert padded.tolist() == [[True, True], [True, False]]
    assert nn.pad_sequence(flags, padding_value=1).tolist() == [[True, True], [True, True]]
    assert nn.pad_sequence(pb.asarray([[1, 2], [3, 4]])).tolist() == [[1, 3], [2, 4]]


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
