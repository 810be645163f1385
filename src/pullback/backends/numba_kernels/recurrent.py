"""The walk of gated recurrent layers along their sequences, and the way back: products and gates, compiled.

No sequence needs another. Each thread takes some of them through all steps, so that their states stay in its own cache
and threads do not wait for each other between two steps.

Rows of `inputs` and of all that is kept for each step are packed: step after step, those of the sequences that are
still there. `steps` is (T, 2): where a step's rows begin and how many there are, in the order in which they are walked.
The groups from `start` to `stop` of `groups` are done. Arrays of several gates have them side by side. Loops over a
row's elements are many and short, as few arrays at a time can be told apart by the compiler.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from ..host import host as np
from .compiling import MULTIPLICATIONS, compiled, in_parts
from .products import packed, rows_times_panels, tile_lines
from .threads import pool
from .tiles import vectors_of_tile
from .vector_math import sigmoid, tanh

__all__ = ["gru", "gru_vjp", "lstm", "lstm_vjp"]

TOGETHER, FEWEST = 16, 4
"""How many sequences a thread takes at once; and at least, where there are threads for more groups."""


def lstm(inputs: Any, weight: Any, projection: Any, steps: Any, state: tuple[Any, ...], kept: tuple[Any, ...]) -> None:
    """weight: (4 H, P). projection: (P, H), or None. state: h (N, P) and c (N, H), which are replaced.

    kept: the outputs (rows, P), the cells (rows, H) and the gates (rows, 4 H).
    """
    h, c = state
    panels = packed(weight.T), h[:0, None] if projection is None else packed(projection.T)
    m = h if projection is None else np.empty_like(c)
    _for_all_sequences(_lstm(_multiply(weight.T), _multiply(h)), len(h), inputs, *panels, steps, h, c, m, *kept)


def lstm_vjp(
    weight: Any, projection: Any, steps: Any, kept: tuple[Any, ...], g: Any, c0: Any, slopes: tuple[Any, ...]
) -> None:
    """kept: the cells and gates. g: of the outputs. slopes: d_h and d_c, which are replaced; d_inputs and d_outputs.

    steps: in the order of the way back. d_outputs: the gradients of the projections, empty where there is none.
    """
    d_h, d_c, d_inputs, d_outputs = slopes
    panels = packed(weight), d_h[:0, None] if projection is None else packed(projection)
    d_m = d_h if projection is None else np.empty_like(d_c)
    walk = _lstm_vjp(_multiply(weight), _multiply(d_c))
    _for_all_sequences(walk, len(d_h), d_inputs, *panels, steps, *kept, g, c0, d_h, d_c, d_m, d_outputs)


def gru(inputs: Any, weight: Any, bias: Any, steps: Any, h: Any, kept: tuple[Any, ...]) -> None:
    """weight: (3 H, H). bias: (3 H,), or None. h: (N, H), replaced. kept: the outputs (rows, H) and gates (rows, 4 H).

    The gates are r, z, n and what the state gave to n.
    """
    bias = np.zeros(len(weight), h.dtype) if bias is None else np.ascontiguousarray(bias)
    _for_all_sequences(_gru(_multiply(weight.T)), len(h), inputs, packed(weight.T), bias, steps, h, *kept)


def gru_vjp(weight: Any, steps: Any, kept: tuple[Any, ...], g: Any, h0: Any, d_h: Any, slopes: tuple[Any, ...]) -> None:
    """kept: the outputs and gates. g: of the outputs. d_h: replaced. slopes: of the inputs and of the state's product.

    steps: in the order of the way back.
    """
    _for_all_sequences(
        _gru_vjp(_multiply(weight)), len(d_h), slopes[0], packed(weight), steps, *kept, g, h0, d_h, slopes[1]
    )


def _for_all_sequences(walk: Callable[..., None], count: int, rows: Any, *arguments: Any) -> None:
    """Call it for groups of sequences."""
    groups = max(1, -(-count // TOGETHER), min(pool().threads, count // FEWEST))
    panels = arguments[0]
    cost = len(rows) * panels.size // (groups * MULTIPLICATIONS)
    in_parts(walk, groups, groups, tile_lines(), rows, *arguments, cost=cost)


def _multiply(x: Any) -> Callable[..., None]:
    """What multiplies by x."""
    return rows_times_panels(vectors_of_tile(x.shape[1], x.itemsize), x.itemsize)


@cache
def _lstm(multiply: Callable[..., None], project: Callable[..., None]) -> Callable[..., None]:
    @compiled
    def walk(
        start: int, stop: int, groups: int, lines: int, inputs: Any, panels: Any, projection: Any, steps: Any, h: Any,
        c: Any, m: Any, outputs: Any, cells: Any, gates: Any,
    ) -> None:  # fmt: skip
        size, width = c.shape[1], h.shape[1]
        nothing, memory = np.zeros(width, h.dtype), np.empty(lines, h.dtype)
        for group in range(start, stop):
            first, end = len(h) * group // groups, len(h) * (group + 1) // groups
            for step in range(len(steps)):
                begin, last = steps[step, 0], min(end, steps[step, 1])
                if last <= first:
                    continue
                at = (begin + first) * 4 * size
                multiply(
                    last - first, 4 * size, h, first * width, width, panels, inputs, at, 4 * size, gates, at, memory
                )  # fmt: skip
                for row in range(first, last):
                    gate, state, cell, made = gates[begin + row], c[row], cells[begin + row], m[row]
                    for k in range(2 * size):
                        gate[k] = sigmoid(gate[k])
                    for k in range(size):
                        gate[2 * size + k] = tanh(gate[2 * size + k])
                    for k in range(size):
                        gate[3 * size + k] = sigmoid(gate[3 * size + k])
                    for k in range(size):
                        state[k] = gate[size + k] * state[k] + gate[k] * gate[2 * size + k]
                    for k in range(size):
                        cell[k] = state[k]
                    for k in range(size):
                        made[k] = gate[3 * size + k] * tanh(cell[k])
                if len(projection):
                    project(
                        last - first, width, m, first * size, size, projection, nothing, 0, 0, h, first * width, memory
                    )  # fmt: skip
                for row in range(first, last):
                    output, state = outputs[begin + row], h[row]
                    for k in range(width):
                        output[k] = state[k]

    return walk


@cache
def _lstm_vjp(multiply: Callable[..., None], project: Callable[..., None]) -> Callable[..., None]:
    @compiled
    def walk(
        start: int, stop: int, groups: int, lines: int, d_inputs: Any, panels: Any, projection: Any, steps: Any,
        cells: Any, gates: Any, g: Any, c0: Any, d_h: Any, d_c: Any, d_m: Any, d_outputs: Any,
    ) -> None:  # fmt: skip
        size, width = d_c.shape[1], d_h.shape[1]
        nothing, memory = np.zeros(max(size, width), d_h.dtype), np.empty(lines, d_h.dtype)
        one = d_h.dtype.type(1)
        for group in range(start, stop):
            first, end = len(d_h) * group // groups, len(d_h) * (group + 1) // groups
            for step in range(len(steps)):
                begin, last = steps[step, 0], min(end, steps[step, 1])
                if last <= first:
                    continue
                for row in range(first, last):
                    slope, of_output = d_h[row], g[begin + row]
                    for k in range(width):
                        slope[k] += of_output[k]
                if len(projection):
                    for row in range(first, last):
                        kept, slope = d_outputs[begin + row], d_h[row]
                        for k in range(width):
                            kept[k] = slope[k]
                    project(
                        last - first, size, d_h, first * width, width, projection, nothing, 0, 0,
                        d_m, first * size, memory,
                    )  # fmt: skip
                for row in range(first, last):
                    gate, cell, d_step, made, d_cell = (
                        gates[begin + row],
                        cells[begin + row],
                        d_inputs[begin + row],
                        d_m[row],
                        d_c[row],
                    )
                    if step + 1 < len(steps) and row < steps[step + 1, 1]:
                        before = cells[steps[step + 1, 0] + row]
                    else:
                        before = c0[row]
                    for k in range(size):  # tanh(c) is kept for a moment where o's gradient will stand
                        d_step[3 * size + k] = tanh(cell[k])
                    for k in range(size):
                        t = d_step[3 * size + k]
                        d_cell[k] += made[k] * gate[3 * size + k] * (one - t * t)
                    for k in range(size):
                        o = gate[3 * size + k]
                        d_step[3 * size + k] = d_step[3 * size + k] * made[k] * o * (one - o)
                    for k in range(size):
                        d_step[k] = d_cell[k] * gate[2 * size + k] * gate[k] * (one - gate[k])
                    for k in range(size):
                        f = gate[size + k]
                        d_step[size + k] = d_cell[k] * before[k] * f * (one - f)
                    for k in range(size):
                        n = gate[2 * size + k]
                        d_step[2 * size + k] = d_cell[k] * gate[k] * (one - n * n)
                    for k in range(size):
                        d_cell[k] *= gate[size + k]
                multiply(
                    last - first, width, d_inputs, (begin + first) * 4 * size, 4 * size, panels, nothing, 0, 0,
                    d_h, first * width, memory,
                )  # fmt: skip

    return walk


@cache
def _gru(multiply: Callable[..., None]) -> Callable[..., None]:
    @compiled
    def walk(
        start: int, stop: int, groups: int, lines: int, inputs: Any, panels: Any, bias: Any, steps: Any, h: Any,
        outputs: Any, gates: Any,
    ) -> None:  # fmt: skip
        size, memory = h.shape[1], np.empty(lines, h.dtype)
        for group in range(start, stop):
            first, end = len(h) * group // groups, len(h) * (group + 1) // groups
            products = np.empty((end - first, 3 * size), h.dtype)
            for step in range(len(steps)):
                begin, last = steps[step, 0], min(end, steps[step, 1])
                if last <= first:
                    continue
                multiply(
                    last - first, 3 * size, h, first * size, size, panels, bias, 0, 0, products, 0, memory
                )  # fmt: skip
                for row in range(first, last):
                    gate, product, given = gates[begin + row], products[row - first], inputs[begin + row]
                    state, output = h[row], outputs[begin + row]
                    for k in range(2 * size):
                        gate[k] = sigmoid(product[k] + given[k])
                    for k in range(size):
                        gate[3 * size + k] = product[2 * size + k]
                    for k in range(size):
                        gate[2 * size + k] = given[2 * size + k] + gate[k] * gate[3 * size + k]
                    for k in range(size):
                        gate[2 * size + k] = tanh(gate[2 * size + k])
                    for k in range(size):
                        n = gate[2 * size + k]
                        state[k] = n + gate[size + k] * (state[k] - n)
                    for k in range(size):
                        output[k] = state[k]

    return walk


@cache
def _gru_vjp(multiply: Callable[..., None]) -> Callable[..., None]:
    @compiled
    def walk(
        start: int, stop: int, groups: int, lines: int, d_inputs: Any, panels: Any, steps: Any, outputs: Any,
        gates: Any, g: Any, h0: Any, d_h: Any, d_products: Any,
    ) -> None:  # fmt: skip
        size, memory = d_h.shape[1], np.empty(lines, d_h.dtype)
        one = d_h.dtype.type(1)
        for group in range(start, stop):
            first, end = len(d_h) * group // groups, len(d_h) * (group + 1) // groups
            for step in range(len(steps)):
                begin, last = steps[step, 0], min(end, steps[step, 1])
                if last <= first:
                    continue
                for row in range(first, last):
                    gate, of_output, slope = gates[begin + row], g[begin + row], d_h[row]
                    d_input, d_product = d_inputs[begin + row], d_products[begin + row]
                    if step + 1 < len(steps) and row < steps[step + 1, 1]:
                        before = outputs[steps[step + 1, 0] + row]
                    else:
                        before = h0[row]
                    for k in range(size):
                        slope[k] += of_output[k]
                    for k in range(size):
                        n = gate[2 * size + k]
                        d_input[2 * size + k] = slope[k] * (one - gate[size + k]) * (one - n * n)
                    for k in range(size):
                        z = gate[size + k]
                        d_input[size + k] = slope[k] * (before[k] - gate[2 * size + k]) * z * (one - z)
                    for k in range(size):
                        r = gate[k]
                        d_input[k] = d_input[2 * size + k] * gate[3 * size + k] * r * (one - r)
                    for k in range(2 * size):
                        d_product[k] = d_input[k]
                    for k in range(size):
                        d_product[2 * size + k] = d_input[2 * size + k] * gate[k]
                    for k in range(size):
                        slope[k] *= gate[size + k]
                multiply(
                    last - first, size, d_products, (begin + first) * 3 * size, 3 * size, panels,
                    d_h, first * size, size, d_h, first * size, memory,
                )  # fmt: skip

    return walk
