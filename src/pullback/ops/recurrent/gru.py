"""Gated recurrent units."""

from collections.abc import Sequence

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal
from ...autodiff.op import op
from ...backends import Array, Namespace
from ..activation import sigmoid
from ..linear_algebra import linear, matmul, matrix_transpose
from .sequence import columns, in_order, preactivated, put_back, states_before, steps, unpacked

__all__ = ["gru", "gru_cell"]

_SQUARE = (normal(6, 9), normal(2, 3), normal(9, 3), normal(9))
_PACKED = (normal(6, 9), normal(3, 3), normal(9, 3))


@autocasts_to("low")
@op(
    examples=[
        example(*_SQUARE, batch_sizes=(2, 2, 2)),
        example(*_PACKED, batch_sizes=(3, 2, 1), reverse=True),
        example(*_PACKED, normal(9), batch_sizes=(3, 2, 1)),
    ]
)
def _gru(
    xp: Namespace,
    inputs: Array,
    h0: Array,
    weight_hh: Array,
    bias_hh: Array | None = None,
    /,
    *,
    batch_sizes: tuple[int, ...] = (),
    reverse: bool = False,
) -> tuple[Array, Array, Array]:
    """The states after each step as packed rows, those at the ends, and what the way back needs.

    inputs: (T, 3 H), what the inputs alone give to the gates r, z and n, their bias included. h0: (N, H).
    weight_hh: (3 H, H). bias_hh: (3 H,), or None.
    The last result, (T, 4 H), is r, z, n, and what the state gave to n before r closed on it.
    """
    h, output, gates = h0, [], []
    for rows in steps(batch_sizes, reverse):
        h_t = h[: rows.stop - rows.start, ...]
        x_r, x_z, x_n = columns(inputs[rows, ...], 3)
        h_r, h_z, h_n = columns(linear(h_t, weight_hh, bias_hh), 3)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = xp.tanh(x_n + r * h_n)
        output.append(n + z * (h_t - n))
        gates.append(xp.concat([r, z, n, h_n], axis=-1))
        h = put_back(xp, output[-1], h)
    return in_order(xp, output, reverse), h, in_order(xp, gates, reverse)


@_gru.vjp("inputs", "h0", "weight_hh", "bias_hh")
def _(
    xp: Namespace,
    g: tuple[Array, ...],
    y: tuple[Array, ...],
    h0: Array,
    weight_hh: Array,
    *,
    batch_sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Array, ...]:
    """Backpropagation through time, newest step first: `d_x` is the gradient of x."""
    g_output, d_h, g_gates = g
    output, _, gates = y
    before = states_before(xp, h0, output, batch_sizes, reverse)
    d_inputs, d_products = [], []  # what was added to the inputs' part has the inputs' gradient, but for n
    for rows in steps(batch_sizes, not reverse):
        r, z, n, h_n = columns(gates[rows, ...], 4)
        g_r, g_z, g_n, g_h_n = columns(g_gates[rows, ...], 4)
        d_output = g_output[rows, ...] + d_h[: rows.stop - rows.start, ...]
        d_n = (g_n + d_output * (1 - z)) * (1 - n * n)
        d_z = (g_z + d_output * (before[rows, ...] - n)) * z * (1 - z)
        d_r = (g_r + d_n * h_n) * r * (1 - r)
        d_inputs.append(xp.concat([d_r, d_z, d_n], axis=-1))
        d_products.append(xp.concat([d_r, d_z, g_h_n + d_n * r], axis=-1))
        d_h = put_back(xp, d_output * z + matmul(d_products[-1], weight_hh), d_h)
    d_product = in_order(xp, d_products, not reverse)
    d_weight_hh = matmul(matrix_transpose(d_product), before)
    return in_order(xp, d_inputs, not reverse), d_h, d_weight_hh, xp.sum(d_product, axis=0)


def gru(
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    *,
    batch_sizes: Sequence[int] | None = None,
    reverse: bool = False,
) -> tuple[Array, Array]:
    """Gated recurrent units over sequences (Cho and others, 2014), step after step:

        r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh), each with its own rows of the weights
        n = tanh(W_in x + b_in + r (W_hn h + b_hn))
        h = (1 - z) n + z h

    x: (L, N, in); or, with `batch_sizes`, the packed rows of sequences of several lengths, (T, in), where
        `batch_sizes[t]` sequences reach step t. h0: (N, H). weight_ih: (3 H, in), in the order r, z, n.
        weight_hh: (3 H, H). biases: (3 H,), or None.
    reverse: walk from each sequence's end to its start.
    Returns h after each step, (L, N, H) or (T, H), and h at the end of the walk, (N, H).
    Raises ValueError for no steps, and for batch sizes, an input and states that do not fit.

    As in PyTorch and cuDNN, r closes on W_hn h + b_hn; in the paper on h itself.
    """
    inputs, sizes = preactivated(x, weight_ih, bias_ih, batch_sizes, (h0, weight_hh.shape[1]))
    output, h, _ = _gru(inputs, h0, weight_hh, bias_hh, batch_sizes=sizes, reverse=reverse)
    return unpacked(output, x), h


def gru_cell(
    x: Array,
    h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
) -> Array:
    """One step of `gru`. x: (N, in). h: (N, H). Returns the new state, (N, H)."""
    return gru(x, h, weight_ih, weight_hh, bias_ih, bias_hh, batch_sizes=(x.shape[0],))[1]
