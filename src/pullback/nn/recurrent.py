"""Recurrent networks: RNN, LSTM and GRU over sequences, and their cells, one step."""

from math import sqrt
from numbers import Real
from typing import Any, ClassVar

from ..autodiff.tensor import Tensor, array_of
from ..backends import Array, backend_of, dtype_name
from ..ops.creation import empty
from ..ops.indexing import take
from ..ops.manipulation import concat, moveaxis, stack
from ..ops.random import dropout as drop
from ..ops.recurrent import gru, gru_cell, lstm, lstm_cell, rnn, rnn_cell
from ..ops.sizes import shape_of, whole
from .init import uniform_
from .module import Module, Parameter
from .packed_sequence import PackedSequence

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]


class _Recurrent(Module):
    """What layers and cells have in common: weights of several gates, uniform in [-1, 1) / sqrt(hidden_size)."""

    gates: ClassVar[int]
    states: ClassVar[int] = 1
    input_size: int
    hidden_size: int

    def __init__(self, **sizes: int) -> None:
        super().__init__()
        for name, size in sizes.items():
            setattr(self, name, whole(size, f"{type(self).__name__}: {name}"))

    def _add(self, suffix: str, inputs: int, hidden: int, state: int, bias: bool, device: Any, dtype: Any) -> None:
        """The weights of one cell."""
        rows = self.gates * hidden
        shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, state), "bias_ih": (rows,), "bias_hh": (rows,)}
        for name, shape in shapes.items():
            left_out = name.startswith("bias") and not bias
            if not (left_out and suffix):  # as in PyTorch, a cell's bias is None, a layer's is not there
                made = None if left_out else Parameter(empty(shape, dtype=dtype, device=device))
                self.register_parameter(name + suffix, made)

    def reset_parameters(self) -> None:
        """Draw the parameters anew, from the default generator."""
        bound = 1 / sqrt(self.hidden_size)
        for parameter in self.parameters():
            uniform_(parameter, -bound, bound)

    def _one_of_the_weights(self) -> Array:
        own = next((p for p in self._parameters.values() if p is not None), None)
        return next(self.parameters()) if own is None else own  # a parametrized one has its parameters below

    def _check_dtype(self, what: str, x: Array, like: Array) -> None:
        """As in PyTorch, nothing is cast: raises TypeError where x has another dtype than the weights."""
        dtype, own = dtype_name(x.dtype), dtype_name(like.dtype)
        if dtype != own:
            raise TypeError(
                f"{type(self).__name__} has weights of {own} and takes {what} of {own}; got {dtype}. "
                f"Cast it, x.astype({own!r}), or the layer, layer.to(dtype=...)"
            )

    def _given(self, hx: Any, shapes: list[tuple[int, ...]], like: Array) -> tuple[Array, ...]:
        """The states to start from, which are one array, or a pair, of these shapes and the dtype of another."""
        pair = len(shapes) > 1
        states = hx if pair and isinstance(hx, (tuple, list)) else (hx,)
        got = [tuple(x.shape) if hasattr(x, "shape") else type(x).__name__ for x in states]
        if got != shapes:
            expected = "a pair (h, c) of the shapes {} and {}" if pair else "a state of shape {}"
            hint = ": batch_first is not for states" if getattr(self, "batch_first", False) else ""
            raise ValueError(
                f"{type(self).__name__} starts from {expected.format(*shapes)}{hint}; got {', '.join(map(str, got))}"
            )
        for x in states:
            self._check_dtype("states", x, like)
        return tuple(states)


class _Layers(_Recurrent):
    """Layers above each other, in one direction or both. A subclass says what its states are and how it walks."""

    num_layers: int
    batch_first: bool
    dropout: float
    proj_size: int
    suffixes: tuple[str, ...]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        input_size, hidden_size, num_layers = self.input_size, self.hidden_size, self.num_layers
        if isinstance(dropout, bool) or not isinstance(dropout, Real) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout drops a share between 0 and 1; got {dropout!r}")
        proj_size = whole(proj_size, f"{type(self).__name__}: proj_size", least=0)
        if proj_size >= hidden_size:
            raise ValueError(f"proj_size is less than hidden_size, {hidden_size}, or 0 for none; got {proj_size!r}")
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self.suffixes = ("", "_reverse") if bidirectional else ("",)
        size = proj_size or hidden_size
        for layer in range(num_layers):
            for suffix in self.suffixes:
                name = f"_l{layer}{suffix}"
                inputs = size * len(self.suffixes) if layer else input_size
                self._add(name, inputs, hidden_size, size, bias, device, dtype)
                if proj_size:
                    shape = (proj_size, hidden_size)
                    self.register_parameter(f"weight_hr{name}", Parameter(empty(shape, dtype=dtype, device=device)))
        self.reset_parameters()

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights and biases of each layer in each direction, in the order of their names in `state_dict()`."""
        cells = [f"_l{layer}{suffix}" for layer in range(self.num_layers) for suffix in self.suffixes]
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        found = [[self._weight(f"{kind}{cell}") for kind in kinds] for cell in cells]
        return [[weight for weight in weights if weight is not None] for weights in found]

    def flatten_parameters(self) -> None:
        """Does nothing: in PyTorch it lays the weights out for cuDNN, which is not used here."""

    def _walk(self, x: Array, states: list[Array], weights: list[Array], **options: Any) -> tuple[Array, ...]:
        """One layer in one direction: its output and its states at the end."""
        raise NotImplementedError

    def _run(self, input: Array | PackedSequence, hx: Any) -> tuple[Any, tuple[Array, ...]]:
        """The output, and each kind of state at the end: shapes and orders as they were given."""
        packed = input if isinstance(input, PackedSequence) else None
        x: Any = input if packed is None else packed.data
        shape = shape_of(type(self).__name__, x)
        alone = packed is None and len(shape) == 2
        if len(shape) != (2 if packed is not None or alone else 3) or shape[-1] != self.input_size:
            size = self.input_size
            batch = f"(N, L, {size})" if self.batch_first else f"(L, N, {size}), with batch_first (N, L, {size})"
            raise ValueError(f"{type(self).__name__} takes {batch}, (L, {size}) or a PackedSequence; got shape {shape}")
        self._check_dtype("an input", x, like=self._one_of_the_weights())
        if alone:
            x = x[:, None, :]
        elif packed is None and self.batch_first:
            x = moveaxis(x, 0, 1)
        count = x.shape[1] if packed is None else max(packed.batch_sizes, default=0)
        states = self._first_states(x, count, hx, alone)
        if packed is not None and packed.sorted_indices is not None:
            states = [take(state, packed.sorted_indices, axis=1) for state in states]
        x, ends = self._through_layers(x, states, None if packed is None else packed.batch_sizes)
        if packed is not None:
            if packed.unsorted_indices is not None:
                ends = [take(end, packed.unsorted_indices, axis=1) for end in ends]
            return packed._replace(data=x), tuple(ends)
        if alone:
            return x[:, 0, :], tuple(end[:, 0, :] for end in ends)
        return moveaxis(x, 0, 1) if self.batch_first else x, tuple(ends)

    def _first_states(self, x: Array, count: int, hx: Any, alone: bool) -> list[Array]:
        """The states to start from, (layers * directions, N, size): zeros where none are given."""
        cells = self.num_layers * len(self.suffixes)
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)[: self.states]
        if hx is None:
            return [_zeros_beside(x, (cells, count, size)) for size in sizes]
        shapes: list[tuple[int, ...]] = [(cells, size) if alone else (cells, count, size) for size in sizes]
        return [state[:, None, :] if alone else state for state in self._given(hx, shapes, like=x)]

    def _through_layers(self, x: Array, states: list[Array], sizes: Any) -> tuple[Array, list[Array]]:
        ends: list[tuple[Array, ...]] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = drop(x, p=self.dropout, training=self.training)
            outputs = []
            for direction, suffix in enumerate(self.suffixes):
                weights = [self._weight(f"{name}_l{layer}{suffix}") for name in ("weight_ih", "weight_hh")]
                weights += [self._weight(f"{name}_l{layer}{suffix}") for name in ("bias_ih", "bias_hh", "weight_hr")]
                first = [state[len(ends), ...] for state in states]
                output, *end = self._walk(x, first, weights, batch_sizes=sizes, reverse=direction == 1)
                outputs.append(output)
                ends.append(tuple(end))
            x = outputs[0] if len(outputs) == 1 else concat(outputs, axis=-1)
        return x, [stack(kind) for kind in zip(*ends, strict=True)]

    def _weight(self, name: str) -> Any:
        return getattr(self, name, None)

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        shown = f"{self.input_size}, {self.hidden_size}"
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
        }  # fmt: skip
        for name, default in defaults.items():
            if getattr(self, name) != default:
                shown += f", {name}={getattr(self, name)}"
        return shown


class RNN(_Layers):
    """Elman's recurrent network (Elman, 1990): h = tanh(W_ih x + b_ih + W_hh h + b_hh), step after step.

    input_size, hidden_size: the length of the last axis before and after.
    num_layers: how many stand above each other. nonlinearity: `"tanh"` or `"relu"`. bias: False leaves biases out.
    batch_first: sequences are (N, L, size) and not (L, N, size); states are (layers * directions, N, size) always.
    dropout: the share that is dropped of each layer's output but the last one's, in training.
    bidirectional: each layer walks in both directions; the outputs stand side by side.
    Raises ValueError or TypeError for what these cannot be, and for inputs and states of other shapes, or of another
    dtype than the weights: nothing is cast.

    >>> import pullback as pb
    >>> output, h = RNN(8, 16, num_layers=2)(pb.zeros((5, 3, 8)))
    >>> output.shape, h.shape
    ((5, 3, 16), (2, 3, 16))
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity is 'tanh' or 'relu'; got {nonlinearity!r}")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.nonlinearity = nonlinearity

    def forward(self, input: Array | PackedSequence, hx: Array | None = None) -> tuple[Any, Array]:
        """The states after each step, and those at the end.

        input: (L, N, input_size), with `batch_first` (N, L, input_size), for one sequence (L, input_size); or packed.
        hx: the states to start from, (layers * directions, N, hidden_size), by default zeros.
        Returns the output like the input, directions * hidden_size long; and the last states, shaped as hx.
        """
        output, (h,) = self._run(input, hx)
        return output, h

    def _walk(self, x: Array, states: list[Array], weights: list[Array], **options: Any) -> tuple[Array, ...]:
        return rnn(x, *states, *weights[:4], nonlinearity=self.nonlinearity, **options)


class LSTM(_Layers):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997): gates i, f, g and o around a cell that keeps.

    proj_size: above 0, the output is projected to this size (Sak and others, 2014). The rest as for `RNN`.

    >>> import pullback as pb
    >>> output, (h, c) = LSTM(8, 16, batch_first=True, bidirectional=True)(pb.zeros((3, 5, 8)))
    >>> output.shape, h.shape, c.shape
    ((3, 5, 32), (2, 3, 16), (2, 3, 16))
    """

    gates = 4
    states = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        )

    def forward(
        self, input: Array | PackedSequence, hx: tuple[Array, Array] | None = None
    ) -> tuple[Any, tuple[Array, Array]]:
        """The hidden states after each step, and the hidden and cell states at the end.

        input: (L, N, input_size), with `batch_first` (N, L, input_size), for one sequence (L, input_size); or packed.
        hx: the states to start from, (layers * directions, N, proj_size or hidden_size) and (..., hidden_size),
            by default zeros.
        Returns the output like the input, directions * (proj_size or hidden_size) long; and the states, as hx.
        """
        output, (h, c) = self._run(input, hx)
        return output, (h, c)

    def _walk(self, x: Array, states: list[Array], weights: list[Array], **options: Any) -> tuple[Array, ...]:
        return lstm(x, *states, *weights, **options)


class GRU(_Layers):
    """Gated recurrent units (Cho and others, 2014): gates r and z around the state. Arguments as for `RNN`.

    >>> import pullback as pb
    >>> output, h = GRU(8, 16)(pb.zeros((5, 8)))
    >>> output.shape, h.shape
    ((5, 16), (1, 16))
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )

    def forward(self, input: Array | PackedSequence, hx: Array | None = None) -> tuple[Any, Array]:
        """As `RNN.forward`."""
        output, (h,) = self._run(input, hx)
        return output, h

    def _walk(self, x: Array, states: list[Array], weights: list[Array], **options: Any) -> tuple[Array, ...]:
        return gru(x, *states, *weights[:4], **options)


class _Cell(_Recurrent):
    """One step, for one sequence or for many."""

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(self, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any) -> None:
        super().__init__(input_size=input_size, hidden_size=hidden_size)
        self.bias = bias
        self._add("", self.input_size, self.hidden_size, self.hidden_size, bias, device, dtype)
        self.reset_parameters()

    def _inputs(self, input: Array, hx: Any) -> tuple[Array, ...]:
        """The input and the states with an axis for the sequences, and the weights."""
        shape = shape_of(type(self).__name__, input)
        lead = shape[:-1]
        if len(lead) > 1 or shape[-1:] != (self.input_size,):
            raise ValueError(
                f"{type(self).__name__} takes (N, {self.input_size}) or ({self.input_size},); got shape {shape}"
            )
        self._check_dtype("an input", input, like=self._one_of_the_weights())
        shapes = [(*lead, self.hidden_size)] * self.states
        if hx is None:
            states: tuple[Array, ...] = (_zeros_beside(input, shapes[0]),) * self.states
        else:
            states = self._given(hx, shapes, like=input)
        alone = not lead
        arrays = (input, *states)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return (*(x[None, :] if alone else x for x in arrays), *weights)

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of `RNN`: tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it.

    >>> import pullback as pb
    >>> RNNCell(8, 16)(pb.zeros((3, 8))).shape
    (3, 16)
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity is 'tanh' or 'relu'; got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Array, hx: Array | None = None) -> Array:
        """input: (N, input_size) or (input_size,). hx: (N, hidden_size), by default zeros. Returns the new state."""
        h = rnn_cell(*self._inputs(input, hx), nonlinearity=self.nonlinearity)
        return h if len(input.shape) == 2 else h[0, :]


class LSTMCell(_Cell):
    """One step of `LSTM`."""

    gates = 4
    states = 2

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Array, hx: tuple[Array, Array] | None = None) -> tuple[Array, Array]:
        """input: (N, input_size) or (input_size,). hx: two states, (N, hidden_size) each. Returns the new h and c."""
        h, c = lstm_cell(*self._inputs(input, hx))
        return (h, c) if len(input.shape) == 2 else (h[0, :], c[0, :])


class GRUCell(_Cell):
    """One step of `GRU`."""

    gates = 3

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Array, hx: Array | None = None) -> Array:
        """input: (N, input_size) or (input_size,). hx: (N, hidden_size), by default zeros. Returns the new state."""
        h = gru_cell(*self._inputs(input, hx))
        return h if len(input.shape) == 2 else h[0, :]


def _zeros_beside(x: Array, shape: tuple[int, ...]) -> Tensor:
    """Zeros in the dtype and the place of an array."""
    array = array_of(x)
    owner = backend_of(array)
    return Tensor(owner.namespace.zeros(shape, dtype=array.dtype, device=owner.device_of(array)))
