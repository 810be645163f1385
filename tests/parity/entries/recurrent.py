"""Entries of recurrent networks: layers, cells, and sequences of several lengths."""

import warnings
from typing import Any

import numpy as np

from pullback import nn

from .entry import Drawn, Entry, Generator, pick


def _called(base: Any, rnn: Any, layer: Any, call: dict[str, Any]) -> Any:
    """A module that calls a layer with its states as single arrays, and with padded sequences where told their lengths.

    base, rnn: ours or PyTorch's Module, and where the functions of packed sequences are.
    """
    first = call.get("batch_first", False)

    class Called(base):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any, *states: Any) -> Any:
            states = states if len(states) != 1 else states[0]
            given = (states,) if len(states) else ()
            with warnings.catch_warnings():  # PyTorch says that oneDNN has no projections
                warnings.filterwarnings("ignore", "LSTM with projections is not supported")
                return self.run(x, given)

        def run(self, x: Any, given: tuple[Any, ...]) -> Any:
            if call["lengths"] is None:
                return self.layer(x, *given)
            packed = rnn.pack_padded_sequence(x, call["lengths"], first, enforce_sorted=call["sorted"])
            output, end = self.layer(packed, *given)
            return *rnn.pad_packed_sequence(output, first, call["padding_value"], call["total_length"]), end

    return Called()


def _ours(kind: str) -> Any:
    return lambda call, **options: _called(nn.Module, nn, getattr(nn, kind)(**options), {**options, **call})


def _theirs(kind: str) -> Any:
    def make(torch: Any, call: dict[str, Any], **options: Any) -> Any:
        layer = getattr(torch.nn, kind)(**options)
        return _called(torch.nn.Module, torch.nn.utils.rnn, layer, {**options, **call})

    return make


def _layer(kind: str) -> Any:
    def draw(rng: Generator) -> Drawn:
        size, hidden = int(rng.integers(1, 5)), int(rng.integers(2, 6))
        options: dict[str, Any] = {
            "input_size": size,
            "hidden_size": hidden,
            "num_layers": int(rng.integers(1, 4)),
            "bias": pick(rng, True, True, False),
            "batch_first": pick(rng, True, False),
            "bidirectional": pick(rng, True, False),
        }
        if kind == "RNN":
            options["nonlinearity"] = pick(rng, "tanh", "relu")
        if kind == "LSTM":
            options["proj_size"] = pick(rng, 0, 1, hidden - 1)
        length, count = int(rng.integers(1, 6)), int(rng.integers(1, 5))
        form = pick(rng, "batch", "batch", "one sequence", "packed", "packed")
        call: dict[str, Any] = {"lengths": None}
        shape: tuple[int, ...] = (count, length, size) if options["batch_first"] else (length, count, size)
        lead: tuple[int, ...] = (options["num_layers"] * (1 + options["bidirectional"]), count)
        if form == "one sequence":
            shape, lead = (length, size), lead[:1]
        if form == "packed":
            lengths = [int(n) for n in rng.integers(1, length + 1, count)]
            ordered = pick(rng, True, False)
            call["lengths"] = sorted(lengths, reverse=True) if ordered else lengths
            call |= {"sorted": ordered, "padding_value": pick(rng, 0.0, -1.5)}
            call["total_length"] = pick(rng, None, length)
        sizes = [options.get("proj_size") or hidden, hidden][: 1 + (kind == "LSTM")]
        states = tuple(rng.standard_normal((*lead, n)) for n in sizes) if pick(rng, True, False) else ()
        return Drawn({"call": call, **options}, (rng.standard_normal(shape), *states))

    return draw


def _cell(kind: str) -> Any:
    def draw(rng: Generator) -> Drawn:
        size, hidden = int(rng.integers(1, 5)), int(rng.integers(1, 5))
        options = {"input_size": size, "hidden_size": hidden, "bias": pick(rng, True, False)}
        if kind == "RNNCell":
            options["nonlinearity"] = pick(rng, "tanh", "relu")
        lead = pick(rng, (), (1,), (3,))
        count = (1 + (kind == "LSTMCell")) * pick(rng, 0, 1, 1)
        states = tuple(rng.standard_normal((*lead, hidden)) for _ in range(count))
        return Drawn({"call": {"lengths": None}, **options}, (rng.standard_normal((*lead, size)), *states))

    return draw


def _lengths(rng: Generator) -> list[int]:
    return [int(n) for n in rng.integers(1, 6, rng.integers(1, 5))]


def _pad_sequence(rng: Generator) -> Drawn:
    rest = pick(rng, (), (2,), (2, 3))
    options = {
        "batch_first": pick(rng, True, False),
        "padding_value": pick(rng, 0.0, 2.5),
        "padding_side": pick(rng, "right", "left"),
    }
    return Drawn(options, tuple(rng.standard_normal((n, *rest)) for n in _lengths(rng)))


def _pack_sequence(rng: Generator) -> Drawn:
    lengths, ordered = _lengths(rng), pick(rng, True, False)
    lengths = sorted(lengths, reverse=True) if ordered else lengths
    rest = pick(rng, (), (2,))
    return Drawn({"enforce_sorted": ordered}, tuple(rng.standard_normal((n, *rest)) for n in lengths))


def _packed(rnn: Any, enforce_sorted: bool) -> Any:
    """The packed rows, and the sequences they are unpacked to."""

    def run(*sequences: Any) -> Any:
        packed = rnn.pack_sequence(list(sequences), enforce_sorted)
        assert [int(n) for n in packed.batch_sizes] == [
            sum(x.shape[0] > step for x in sequences) for step in range(max(x.shape[0] for x in sequences))
        ]
        return packed.data, rnn.unpack_sequence(packed)

    return run


def _padded(rng: Generator) -> tuple[np.ndarray, list[int], bool]:
    lengths, first = _lengths(rng), pick(rng, True, False)
    count, longest = len(lengths), max(lengths) + int(rng.integers(0, 2))
    return rng.standard_normal((count, longest, 2) if first else (longest, count, 2)), lengths, first


def _pack_padded_sequence(rng: Generator) -> Drawn:
    x, lengths, first = _padded(rng)
    return Drawn({"lengths": lengths, "batch_first": first, "enforce_sorted": False}, (x,))


def _pad_packed_sequence(rng: Generator) -> Drawn:
    x, lengths, first = _padded(rng)
    options = {"batch_first": pick(rng, True, False), "padding_value": pick(rng, 0.0, 2.5)}
    total = pick(rng, None, max(lengths) + int(rng.integers(0, 3)))
    return Drawn({"lengths": lengths, "first": first, "total_length": total, **options}, (x,))


def _repadded(rnn: Any, lengths: list[int], first: bool, **options: Any) -> Any:
    return lambda x: rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, lengths, first, False), **options)


def _rnn(torch: Any) -> Any:
    return torch.nn.utils.rnn


_PACKED = "a PackedSequence's batch_sizes are a tuple of int; the functions of packed sequences stand in nn"

ENTRIES = [
    *(Entry(kind, _layer(kind), ours=_ours(kind), theirs=_theirs(kind)) for kind in ("RNN", "LSTM", "GRU")),
    *(Entry(kind, _cell(kind), ours=_ours(kind), theirs=_theirs(kind)) for kind in ("RNNCell", "LSTMCell", "GRUCell")),
    Entry(
        "pad_sequence",
        _pad_sequence,
        ours=lambda **options: lambda *x: nn.pad_sequence(x, **options),
        theirs=lambda torch, **options: lambda *x: _rnn(torch).pad_sequence(x, **options),
        differs="stands in nn, not in nn.utils.rnn",
    ),
    Entry(
        "pack_sequence",
        _pack_sequence,
        ours=lambda **options: _packed(nn, **options),
        theirs=lambda torch, **options: _packed(_rnn(torch), **options),
        differs=_PACKED,
    ),
    Entry(
        "pack_padded_sequence",
        _pack_padded_sequence,
        ours=lambda **options: lambda x: nn.pack_padded_sequence(x, **options).data,
        theirs=lambda torch, **options: lambda x: _rnn(torch).pack_padded_sequence(x, **options).data,
        differs=_PACKED,
    ),
    Entry(
        "pad_packed_sequence",
        _pad_packed_sequence,
        ours=lambda **options: _repadded(nn, **options),
        theirs=lambda torch, **options: _repadded(_rnn(torch), **options),
        differs=_PACKED,
    ),
]
