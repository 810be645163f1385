"""Elman's recurrent network."""

from collections.abc import Sequence

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal
from ...autodiff.op import op
from ...backends import Array, Namespace
from ..linear_algebra import matmul, matrix_transpose
from .sequence import in_order, preactivated, put_back, states_before, steps, unpacked

__all__ = ["rnn", "rnn_cell"]

_SQUARE = (normal(6, 3), normal(2, 3), normal(3, 3))
_PACKED = (normal(6, 3), normal(3, 3), normal(3, 3))


@autocasts_to("low")
@op(
    examples=[
        example(*_SQUARE, batch_sizes=(2, 2, 2)),
        example(*_PACKED, batch_sizes=(3, 2, 1), reverse=True),
        example(*_PACKED, batch_sizes=(3, 2, 1), nonlinearity="relu"),
    ]
)
def _rnn(
    xp: Namespace,
    inputs: Array,
    h0: Array,
    weight_hh: Array,
    /,
    *,
    batch_sizes: tuple[int, ...] = (),
    reverse: bool = False,
    nonlinearity: str = "tanh",
) -> tuple[Array, Array]:
    """The states after each step, as packed rows, and those at the ends.

    inputs: (T, H), what the inputs alone give, biases included. h0: (N, H). weight_hh: (H, H).
    """
    h, output = h0, []
    for rows in steps(batch_sizes, reverse):
        size = rows.stop - rows.start
        a = inputs[rows, ...] + matmul(h[:size, ...], matrix_transpose(weight_hh))
        output.append(xp.tanh(a) if nonlinearity == "tanh" else xp.maximum(a, 0))
        h = put_back(xp, output[-1], h)
    return in_order(xp, output, reverse), h


@_rnn.vjp("inputs", "h0", "weight_hh")
def _(
    xp: Namespace,
    g: tuple[Array, Array],
    y: tuple[Array, Array],
    h0: Array,
    weight_hh: Array,
    *,
    batch_sizes: tuple[int, ...],
    reverse: bool,
    nonlinearity: str,
) -> tuple[Array, Array, Array]:
    """Backpropagation through time, newest step first: `d_x` is the gradient of x."""
    g_output, d_h = g
    output = y[0]
    d_steps = []
    for rows in steps(batch_sizes, not reverse):
        h = output[rows, ...]
        slope = 1 - h * h if nonlinearity == "tanh" else xp.astype(h > 0, h.dtype)
        d_a = (g_output[rows, ...] + d_h[: h.shape[0], ...]) * slope
        d_h = put_back(xp, matmul(d_a, weight_hh), d_h)
        d_steps.append(d_a)
    d_inputs = in_order(xp, d_steps, not reverse)
    before = states_before(xp, h0, output, batch_sizes, reverse)
    return d_inputs, d_h, matmul(matrix_transpose(d_inputs), before)


def rnn(
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    *,
    nonlinearity: str = "tanh",
    batch_sizes: Sequence[int] | None = None,
    reverse: bool = False,
) -> tuple[Array, Array]:
    """Elman's network over sequences (Elman, 1990): h = tanh(W_ih x + b_ih + W_hh h + b_hh), step after step.

    x: (L, N, in); or, with `batch_sizes`, the packed rows of sequences of several lengths, (T, in), where
        `batch_sizes[t]` sequences reach step t. h0: (N, H). weight_ih: (H, in). weight_hh: (H, H).
        biases: (H,), or None.
    nonlinearity: `"tanh"` or `"relu"`.
    reverse: walk from each sequence's end to its start.
    Returns the states after each step, (L, N, H) or (T, H), and those at the end of the walk, (N, H).
    Raises ValueError for another nonlinearity, for no steps, and for batch sizes, an input and states that do not fit.
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity is 'tanh' or 'relu'; got {nonlinearity!r}")
    bias = bias_ih if bias_hh is None else bias_hh if bias_ih is None else bias_ih + bias_hh
    inputs, sizes = preactivated(x, weight_ih, bias, batch_sizes, (h0, weight_hh.shape[1]))
    output, h = _rnn(inputs, h0, weight_hh, batch_sizes=sizes, reverse=reverse, nonlinearity=nonlinearity)
    return unpacked(output, x), h


def rnn_cell(
    x: Array,
    h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    *,
    nonlinearity: str = "tanh",
) -> Array:
    """One step of `rnn`. x: (N, in). h: (N, H). Returns the new state, (N, H)."""
    sizes = (x.shape[0],)
    return rnn(x, h, weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity=nonlinearity, batch_sizes=sizes)[1]
