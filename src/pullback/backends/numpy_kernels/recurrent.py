"""Kernels of recurrent layers: every array made once before the walk, and every step written into its rows."""

from itertools import accumulate, pairwise
from typing import Any

from ..host import host as np
from ..memory import empty
from ..numba_kernels import is_float, is_worthwhile
from ..numba_kernels import recurrent as compiled
from .linear import sum_of_rows, transposed_product
from .table import kernel


@kernel("rnn", declines=True)
def _(
    inputs: Any,
    h0: Any,
    weight_hh: Any,
    *,
    batch_sizes: tuple[int, ...] = (),
    reverse: bool = False,
    nonlinearity: str = "tanh",
) -> Any:
    if not _of_one_type(inputs, h0, weight_hh):
        return NotImplemented
    output, h, weight = empty(inputs.shape, dtype=inputs.dtype), _own(h0), _transposed(weight_hh)
    for rows, size in _steps(batch_sizes, reverse):
        a = np.matmul(h[:size], weight, out=output[rows])
        a += inputs[rows]
        h[:size] = np.tanh(a, out=a) if nonlinearity == "tanh" else np.maximum(a, 0, out=a)
    return output, h


@kernel("rnn.vjp(inputs,h0,weight_hh)", declines=True)
def _(
    g: Any, y: Any, h0: Any, weight_hh: Any, *, batch_sizes: tuple[int, ...], reverse: bool, nonlinearity: str
) -> Any:
    if not _of_one_type(*g, *y, h0, weight_hh):
        return NotImplemented
    output, d_h = y[0], _own(g[1])
    d_inputs = empty(output.shape, dtype=output.dtype)
    for rows, size in _steps(batch_sizes, not reverse):
        h, d_a, d_output = output[rows], d_inputs[rows], d_h[:size]
        d_output += g[0][rows]
        if nonlinearity == "tanh":
            np.multiply(h, h, out=d_a)
            np.subtract(1, d_a, out=d_a)
            d_a *= d_output
        else:
            np.multiply(d_output, h > 0, out=d_a)
        np.matmul(d_a, weight_hh, out=d_output)
    return d_inputs, d_h, _weight_gradient(d_inputs, h0, output, batch_sizes, reverse)


@kernel("lstm", declines=True)
def _(
    inputs: Any,
    h0: Any,
    c0: Any,
    weight_hh: Any,
    weight_hr: Any = None,
    *,
    batch_sizes: tuple[int, ...] = (),
    reverse: bool = False,
) -> Any:
    if not _of_one_type(inputs, h0, c0, weight_hh, weight_hr):
        return NotImplemented
    inputs, length, hidden = np.ascontiguousarray(inputs), inputs.shape[0], c0.shape[1]
    h, c = _own(h0), _own(c0)
    output, cells = empty((length, h.shape[1]), dtype=h.dtype), empty((length, hidden), dtype=h.dtype)
    gates = empty(inputs.shape, dtype=h.dtype)
    if is_worthwhile(inputs.size):
        compiled.lstm(inputs, weight_hh, weight_hr, _table(batch_sizes, reverse), (h, c), (output, cells, gates))
        return output, h, c, cells, gates
    weight, projection = _transposed(weight_hh), None if weight_hr is None else _transposed(weight_hr)
    m = h if projection is None else np.empty_like(c)
    step = _LSTMStep(hidden, h.dtype)
    for rows, size in _steps(batch_sizes, reverse):
        np.matmul(h[:size], weight, out=gates[rows])
        step(gates[rows], inputs[rows], c[:size], cells[rows], m[:size])
        if projection is not None:
            np.matmul(m[:size], projection, out=h[:size])
        output[rows] = h[:size]
    return output, h, c, cells, gates


class _LSTMStep:
    """One step in NumPy's calls. One tanh makes all gates: sigmoid(a) = (1 + tanh(a / 2)) / 2."""

    def __init__(self, hidden: int, dtype: Any) -> None:
        self.scale = np.full(4 * hidden, 0.5, dtype=dtype)
        self.scale[2 * hidden : 3 * hidden] = 1
        self.shift = 1 - self.scale

    def __call__(self, gates: Any, inputs: Any, c: Any, cells: Any, m: Any) -> None:
        gates += inputs
        gates *= self.scale
        np.tanh(gates, out=gates)
        gates *= self.scale
        gates += self.shift
        i, f, g, o = _parts(gates, 4)
        c *= f
        np.multiply(i, g, out=m)
        c += m
        cells[...] = c
        np.tanh(c, out=m)
        m *= o


@kernel("lstm.vjp(inputs,h0,c0,weight_hh,weight_hr)", declines=True)
def _(
    g: Any, y: Any, h0: Any, c0: Any, weight_hh: Any, weight_hr: Any, *, batch_sizes: tuple[int, ...], reverse: bool
) -> Any:
    if not _of_one_type(*g, *y, h0, c0, weight_hh, weight_hr) or not (_is_zero(g[3]) and _is_zero(g[4])):
        return NotImplemented
    output, _, _, cells, gates = map(np.ascontiguousarray, y)
    d_h, d_c = _own(g[1]), _own(g[2])
    d_inputs = empty(gates.shape, dtype=gates.dtype)
    d_outputs = empty((0 if weight_hr is None else len(output), d_h.shape[1]), dtype=d_h.dtype)
    if is_worthwhile(gates.size):
        slopes = d_h, d_c, d_inputs, d_outputs
        steps, of_outputs = _table(batch_sizes, not reverse), np.ascontiguousarray(g[0])
        compiled.lstm_vjp(weight_hh, weight_hr, steps, (cells, gates), of_outputs, np.ascontiguousarray(c0), slopes)
    else:
        walk = _steps(batch_sizes, not reverse)
        for (rows, size), before in zip(walk, _states_before(c0, cells, walk), strict=True):
            d_output = d_h[:size]
            d_output += g[0][rows]
            d_m = d_output
            if weight_hr is not None:
                d_outputs[rows] = d_output
                d_m = np.matmul(d_output, weight_hr)
            _lstm_step_back(gates[rows], cells[rows], before, d_m, d_c[:size], d_inputs[rows])
            np.matmul(d_inputs[rows], weight_hh, out=d_output)
    d_weight_hh = _weight_gradient(d_inputs, h0, output, batch_sizes, reverse)
    d_weight_hr = d_h  # which nobody asks for where there is no such weight
    if weight_hr is not None:
        m = np.tanh(cells)
        m *= _parts(gates, 4)[3]
        d_weight_hr = transposed_product(d_outputs, m)
    return d_inputs, d_h, d_c, d_weight_hh, d_weight_hr


def _lstm_step_back(gates: Any, cells: Any, c_before: Any, d_m: Any, d_c: Any, d_steps: Any) -> None:
    """One step in NumPy's calls."""
    i, f, g, o = _parts(gates, 4)
    d_i, d_f, d_g, d_o = _parts(d_steps, 4)
    np.tanh(cells, out=d_o)
    slope = np.multiply(d_o, d_o)
    np.subtract(1, slope, out=slope)
    slope *= d_m
    slope *= o
    d_c += slope
    d_o *= d_m
    np.multiply(d_c, g, out=d_i)
    np.multiply(d_c, c_before, out=d_f)
    np.multiply(d_c, i, out=d_g)
    rest = np.subtract(1, gates)
    d_steps *= rest
    for d_gate, gate in ((d_i, i), (d_f, f), (d_o, o)):
        d_gate *= gate
    np.add(g, 1, out=slope)  # 1 - g * g is (1 - g) * (1 + g)
    d_g *= slope
    d_c *= f


@kernel("gru", declines=True)
def _(
    inputs: Any,
    h0: Any,
    weight_hh: Any,
    bias_hh: Any = None,
    *,
    batch_sizes: tuple[int, ...] = (),
    reverse: bool = False,
) -> Any:
    if not _of_one_type(inputs, h0, weight_hh, bias_hh):
        return NotImplemented
    inputs, length, h = np.ascontiguousarray(inputs), inputs.shape[0], _own(h0)
    output, gates = (empty((length, n * h.shape[1]), dtype=h.dtype) for n in (1, 4))
    if is_worthwhile(inputs.size):
        compiled.gru(inputs, weight_hh, bias_hh, _table(batch_sizes, reverse), h, (output, gates))
        return output, h, gates
    weight = _transposed(weight_hh)
    products = np.empty((h.shape[0], weight.shape[1]), dtype=h.dtype)
    for rows, size in _steps(batch_sizes, reverse):
        product = np.matmul(h[:size], weight, out=products[:size])
        if bias_hh is not None:
            product += bias_hh
        _gru_step(product, inputs[rows], h[:size], gates[rows], output[rows])
    return output, h, gates


def _gru_step(products: Any, inputs: Any, h: Any, gates: Any, output: Any) -> None:
    """One step in NumPy's calls."""
    size = h.shape[1]
    both, (r, z, n, h_n) = gates[:, : 2 * size], _parts(gates, 4)
    np.add(products[:, : 2 * size], inputs[:, : 2 * size], out=both)
    both *= 0.5
    np.tanh(both, out=both)  # sigmoid(a) = (1 + tanh(a / 2)) / 2
    both += 1
    both *= 0.5
    h_n[...] = products[:, 2 * size :]
    np.multiply(r, h_n, out=n)
    n += inputs[:, 2 * size :]
    np.tanh(n, out=n)
    h -= n
    h *= z
    h += n
    output[...] = h


@kernel("gru.vjp(inputs,h0,weight_hh,bias_hh)", declines=True)
def _(g: Any, y: Any, h0: Any, weight_hh: Any, *, batch_sizes: tuple[int, ...], reverse: bool) -> Any:
    if not _of_one_type(*g, *y, h0, weight_hh) or not _is_zero(g[2]):
        return NotImplemented
    output, _, gates = map(np.ascontiguousarray, y)
    d_h = _own(g[1])
    d_inputs, d_products = (empty((output.shape[0], weight_hh.shape[0]), dtype=output.dtype) for _ in range(2))
    if is_worthwhile(gates.size):
        steps, of_outputs = _table(batch_sizes, not reverse), np.ascontiguousarray(g[0])
        first = np.ascontiguousarray(h0)
        compiled.gru_vjp(weight_hh, steps, (output, gates), of_outputs, first, d_h, (d_inputs, d_products))
    else:
        walk = _steps(batch_sizes, not reverse)
        through = np.empty_like(d_h)
        for (rows, size), before in zip(walk, _states_before(h0, output, walk), strict=True):
            d_output = d_h[:size]
            d_output += g[0][rows]
            _gru_step_back(gates[rows], before, d_output, d_inputs[rows], d_products[rows])
            d_output += np.matmul(d_products[rows], weight_hh, out=through[:size])
    d_weight_hh = _weight_gradient(d_products, h0, output, batch_sizes, reverse)
    return d_inputs, d_h, d_weight_hh, sum_of_rows(d_products)


def _gru_step_back(gates: Any, before: Any, d_h: Any, d_inputs: Any, d_products: Any) -> None:
    """One step in NumPy's calls."""
    size = d_h.shape[1]
    r, z, n, h_n = _parts(gates, 4)
    d_r, d_z, d_n = _parts(d_inputs, 3)
    shut = np.subtract(1, z)
    np.subtract(before, n, out=d_z)
    d_z *= shut
    d_z *= z
    np.multiply(n, n, out=d_n)
    np.subtract(1, d_n, out=d_n)
    d_n *= shut
    for d_gate in (d_z, d_n):
        d_gate *= d_h
    np.subtract(1, r, out=d_r)
    d_r *= r
    d_r *= h_n
    d_r *= d_n
    d_products[:, : 2 * size] = d_inputs[:, : 2 * size]
    np.multiply(d_n, r, out=d_products[:, 2 * size :])
    d_h *= z


def _of_one_type(*arrays: Any) -> bool:
    """Whether the arrays, but those left out, are of one type that NumPy computes in."""
    kinds = {x.dtype for x in arrays if x is not None}
    return len(kinds) == 1 and is_float(kinds.pop())


def _steps(batch_sizes: tuple[int, ...], reverse: bool) -> list[tuple[slice, int]]:
    """The rows of each step and how many they are, in the order in which they are walked."""
    ends = accumulate(batch_sizes)
    found = [(slice(end - size, end), size) for end, size in zip(ends, batch_sizes, strict=True)]
    return found[::-1] if reverse else found


def _table(batch_sizes: tuple[int, ...], reverse: bool) -> Any:
    """The same as an array: where each step's rows begin, and how many they are."""
    return np.asarray([(rows.start, size) for rows, size in _steps(batch_sizes, reverse)], np.int64)


def _own(x: Any) -> Any:
    """A copy in C's order, to be written to."""
    return np.array(x, order="C")


def _transposed(weight: Any) -> Any:
    """A transposed copy: BLAS multiplies by it faster than by the transposed view, step after step."""
    return np.ascontiguousarray(weight.T)


def _parts(x: Any, count: int) -> list[Any]:
    """The last axis in parts: one for each gate."""
    size = x.shape[1] // count
    return [x[:, i * size : (i + 1) * size] for i in range(count)]


def _is_zero(x: Any) -> bool:
    """Whether there are zeros only, as in the gradient of what nothing depended on."""
    if not any(x.strides):
        x = x[:1, :1]  # one number, seen many times
    return not x.size or not (np.maximum.reduce(x, axis=None) or np.minimum.reduce(x, axis=None))


def _states_before(first: Any, states: Any, walk: list[tuple[slice, int]]) -> list[Any]:
    """For each step of a walk back, the state that it started from: views of what is there, where one will do."""
    found = []
    for (_, size), (earlier, count) in pairwise(walk):
        before = states[earlier][:size]
        found.append(before if count >= size else np.concatenate([before, first[count:size]]))
    return [*found, np.ascontiguousarray(first[: walk[-1][1]])]


def _weight_gradient(d_steps: Any, first: Any, states: Any, batch_sizes: tuple[int, ...], reverse: bool) -> Any:
    """The gradient of the weight that the states were multiplied by: one product for all steps."""
    walk = _steps(batch_sizes, not reverse)
    if batch_sizes[0] != batch_sizes[-1]:
        before = _states_before(first, states, walk)
        return transposed_product(d_steps, np.concatenate(before if reverse else before[::-1]))
    size = batch_sizes[0]
    rest, others = (d_steps[:-size], states[size:]) if reverse else (d_steps[size:], states[:-size])
    gradient = transposed_product(rest, others)
    gradient += transposed_product(d_steps[walk[-1][0]], first)
    return gradient
