"""Long short-term memory."""

from collections.abc import Sequence

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal
from ...autodiff.op import op
from ...backends import Array, Namespace
from ..activation import sigmoid
from ..linear_algebra import matmul, matrix_transpose
from .sequence import columns, in_order, preactivated, put_back, states_before, steps, unpacked

__all__ = ["lstm", "lstm_cell"]

_SQUARE = (normal(6, 12), normal(2, 3), normal(2, 3), normal(12, 3))
_PACKED = (normal(6, 12), normal(3, 3), normal(3, 3), normal(12, 3))
_PROJECTED = (normal(6, 12), normal(3, 2), normal(3, 3), normal(12, 2), normal(2, 3))


@autocasts_to("low")
@op(
    examples=[
        example(*_SQUARE, batch_sizes=(2, 2, 2)),
        example(*_PACKED, batch_sizes=(3, 2, 1), reverse=True),
        example(*_PROJECTED, batch_sizes=(3, 2, 1)),
    ]
)
def _lstm(
    xp: Namespace,
    inputs: Array,
    h0: Array,
    c0: Array,
    weight_hh: Array,
    weight_hr: Array | None = None,
    /,
    *,
    batch_sizes: tuple[int, ...] = (),
    reverse: bool = False,
) -> tuple[Array, Array, Array, Array, Array]:
    """The hidden states after each step as packed rows, both states at the ends, and what the way back needs.

    inputs: (T, 4 H), what the inputs alone give to the gates i, f, g and o, biases included. h0: (N, P). c0: (N, H).
    weight_hh: (4 H, P). weight_hr: (P, H); without it P is H.
    The last two results, (T, H) and (T, 4 H), are the cell states and the gates after each step.
    """
    h, c = h0, c0
    output, cells, gates = [], [], []
    for rows in steps(batch_sizes, reverse):
        size = rows.stop - rows.start
        a = columns(inputs[rows, ...] + matmul(h[:size, ...], matrix_transpose(weight_hh)), 4)
        i, f, g, o = sigmoid(a[0]), sigmoid(a[1]), xp.tanh(a[2]), sigmoid(a[3])
        cells.append(f * c[:size, ...] + i * g)
        m = o * xp.tanh(cells[-1])
        output.append(m if weight_hr is None else matmul(m, matrix_transpose(weight_hr)))
        gates.append(xp.concat([i, f, g, o], axis=-1))
        h, c = put_back(xp, output[-1], h), put_back(xp, cells[-1], c)
    return in_order(xp, output, reverse), h, c, in_order(xp, cells, reverse), in_order(xp, gates, reverse)


@_lstm.vjp("inputs", "h0", "c0", "weight_hh", "weight_hr")
def _(
    xp: Namespace,
    g: tuple[Array, ...],
    y: tuple[Array, ...],
    h0: Array,
    c0: Array,
    weight_hh: Array,
    weight_hr: Array | None,
    *,
    batch_sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Array, ...]:
    """Backpropagation through time, newest step first: `d_x` is the gradient of x."""
    g_output, d_h, d_c, g_cells, g_gates = g
    output, _, _, cells, gates = y
    c_before = states_before(xp, c0, cells, batch_sizes, reverse)
    d_outputs, d_steps = [], []
    for rows in steps(batch_sizes, not reverse):
        size = rows.stop - rows.start
        i, f, g_, o = columns(gates[rows, ...], 4)
        g_i, g_f, g_g, g_o = columns(g_gates[rows, ...], 4)
        t = xp.tanh(cells[rows, ...])
        d_output = g_output[rows, ...] + d_h[:size, ...]  # h is read twice: by the layer above, by the next step
        d_m = d_output if weight_hr is None else matmul(d_output, weight_hr)
        d_cell = g_cells[rows, ...] + d_c[:size, ...] + d_m * o * (1 - t * t)
        d_i = (g_i + d_cell * g_) * i * (1 - i)
        d_f = (g_f + d_cell * c_before[rows, ...]) * f * (1 - f)
        d_g = (g_g + d_cell * i) * (1 - g_ * g_)
        d_o = (g_o + d_m * t) * o * (1 - o)
        d_steps.append(xp.concat([d_i, d_f, d_g, d_o], axis=-1))
        d_outputs.append(d_output)
        d_h = put_back(xp, matmul(d_steps[-1], weight_hh), d_h)
        d_c = put_back(xp, d_cell * f, d_c)
    d_inputs = in_order(xp, d_steps, not reverse)
    h_before = states_before(xp, h0, output, batch_sizes, reverse)
    d_weight_hh = matmul(matrix_transpose(d_inputs), h_before)
    if weight_hr is None:
        return d_inputs, d_h, d_c, d_weight_hh, d_h  # nobody asks for the last
    m = columns(gates, 4)[3] * xp.tanh(cells)
    d_weight_hr = matmul(matrix_transpose(in_order(xp, d_outputs, not reverse)), m)
    return d_inputs, d_h, d_c, d_weight_hh, d_weight_hr


def lstm(
    x: Array,
    h0: Array,
    c0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    weight_hr: Array | None = None,
    *,
    batch_sizes: Sequence[int] | None = None,
    reverse: bool = False,
) -> tuple[Array, Array, Array]:
    """Long short-term memory over sequences (Hochreiter and Schmidhuber, 1997; Gers and others, 2000), step after step:

        i, f, o = sigmoid(W_ih x + b_ih + W_hh h + b_hh), g = tanh(the same), each with its own rows of the weights
        c = f c + i g
        h = o tanh(c), or W_hr o tanh(c) (Sak and others, 2014)

    x: (L, N, in); or, with `batch_sizes`, the packed rows of sequences of several lengths, (T, in), where
        `batch_sizes[t]` sequences reach step t. h0: (N, P). c0: (N, H). weight_ih: (4 H, in), in the order i, f, g, o.
        weight_hh: (4 H, P). biases: (4 H,), or None. weight_hr: (P, H); without it P is H.
    reverse: walk from each sequence's end to its start.
    Returns h after each step, (L, N, P) or (T, P), and h and c at the end of the walk.
    Raises ValueError for no steps, and for batch sizes, an input and states that do not fit.
    """
    bias = bias_ih if bias_hh is None else bias_hh if bias_ih is None else bias_ih + bias_hh
    states = (h0, weight_hh.shape[1]), (c0, weight_hh.shape[0] // 4)
    inputs, sizes = preactivated(x, weight_ih, bias, batch_sizes, *states)
    output, h, c, _, _ = _lstm(inputs, h0, c0, weight_hh, weight_hr, batch_sizes=sizes, reverse=reverse)
    return unpacked(output, x), h, c


def lstm_cell(
    x: Array,
    h: Array,
    c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
) -> tuple[Array, Array]:
    """One step of `lstm`. x: (N, in). h, c: (N, H). Returns the new h and c."""
    return lstm(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, batch_sizes=(x.shape[0],))[1:]
