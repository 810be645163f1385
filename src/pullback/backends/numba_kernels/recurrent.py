"""One step of a gated recurrent layer, and of the way back through it: all but the matrix products.

A row of each array is one sequence's; arrays of several gates have them side by side. The loops are many and short, as
few arrays at a time can be told apart by the compiler, and one row of all arrays stays in the first level of cache.
All loops start at 0: from elsewhere the compiler could not rule out negative indices, and would not vectorise them.
"""

from typing import Any

from .compiling import compiled
from .vector_math import sigmoid, tanh

__all__ = ["gru_step", "gru_step_back", "lstm_step", "lstm_step_back"]


@compiled
def lstm_step(gates: Any, inputs: Any, c: Any, cells: Any, m: Any) -> None:
    """gates: the product of the state, (N, 4 H); made the gates i, f, g and o. c: the cell states, replaced.

    inputs: (N, 4 H), added to the product. cells, m: (N, H), the new cell states and o tanh(c).
    """
    size = c.shape[1]
    for row in range(c.shape[0]):
        for k in range(2 * size):
            gates[row, k] = sigmoid(gates[row, k] + inputs[row, k])
        for k in range(size):
            gates[row, 2 * size + k] = tanh(gates[row, 2 * size + k] + inputs[row, 2 * size + k])
        for k in range(size):
            gates[row, 3 * size + k] = sigmoid(gates[row, 3 * size + k] + inputs[row, 3 * size + k])
        for k in range(size):
            c[row, k] = gates[row, size + k] * c[row, k] + gates[row, k] * gates[row, 2 * size + k]
        for k in range(size):
            cells[row, k] = c[row, k]
        for k in range(size):
            m[row, k] = gates[row, 3 * size + k] * tanh(c[row, k])


@compiled
def lstm_step_back(gates: Any, cells: Any, c_before: Any, d_m: Any, d_c: Any, d_steps: Any) -> None:
    """d_steps: (N, 4 H), the gradients of what went into the gates. d_c: that of the cells, carried a step back.

    d_m: (N, H), the gradient of o tanh(c).
    """
    size = cells.shape[1]
    one = cells.dtype.type(1)
    for row in range(cells.shape[0]):
        for k in range(size):  # tanh(c) is kept for a moment where o's gradient will stand
            d_steps[row, 3 * size + k] = tanh(cells[row, k])
        for k in range(size):
            t = d_steps[row, 3 * size + k]
            d_c[row, k] = d_c[row, k] + d_m[row, k] * gates[row, 3 * size + k] * (one - t * t)
        for k in range(size):
            o = gates[row, 3 * size + k]
            d_steps[row, 3 * size + k] = d_steps[row, 3 * size + k] * d_m[row, k] * o * (one - o)
        for k in range(size):
            i = gates[row, k]
            d_steps[row, k] = d_c[row, k] * gates[row, 2 * size + k] * i * (one - i)
        for k in range(size):
            f = gates[row, size + k]
            d_steps[row, size + k] = d_c[row, k] * c_before[row, k] * f * (one - f)
        for k in range(size):
            g = gates[row, 2 * size + k]
            d_steps[row, 2 * size + k] = d_c[row, k] * gates[row, k] * (one - g * g)
        for k in range(size):
            d_c[row, k] = d_c[row, k] * gates[row, size + k]


@compiled
def gru_step(products: Any, inputs: Any, h: Any, gates: Any, output: Any) -> None:
    """gates: (N, 4 H), made r, z, n and what the state gave to n. h: the state, replaced; output: the same again.

    products: (N, 3 H), of the state. inputs: (N, 3 H).
    """
    size = h.shape[1]
    for row in range(h.shape[0]):
        for k in range(2 * size):
            gates[row, k] = sigmoid(products[row, k] + inputs[row, k])
        for k in range(size):
            gates[row, 3 * size + k] = products[row, 2 * size + k]
        for k in range(size):
            gates[row, 2 * size + k] = inputs[row, 2 * size + k] + gates[row, k] * gates[row, 3 * size + k]
        for k in range(size):
            gates[row, 2 * size + k] = tanh(gates[row, 2 * size + k])
        for k in range(size):
            n = gates[row, 2 * size + k]
            h[row, k] = n + gates[row, size + k] * (h[row, k] - n)
        for k in range(size):
            output[row, k] = h[row, k]


@compiled
def gru_step_back(gates: Any, before: Any, d_h: Any, d_inputs: Any, d_products: Any) -> None:
    """d_inputs, d_products: (N, 3 H), the gradients of the inputs' part and of the state's product.

    d_h: (N, H), the gradient of the new state; made the part of the old one's that z lets through.
    """
    size = d_h.shape[1]
    one = gates.dtype.type(1)
    for row in range(d_h.shape[0]):
        for k in range(size):
            n = gates[row, 2 * size + k]
            d_inputs[row, 2 * size + k] = d_h[row, k] * (one - gates[row, size + k]) * (one - n * n)
        for k in range(size):
            z = gates[row, size + k]
            d_inputs[row, size + k] = d_h[row, k] * (before[row, k] - gates[row, 2 * size + k]) * z * (one - z)
        for k in range(size):
            r = gates[row, k]
            d_inputs[row, k] = d_inputs[row, 2 * size + k] * gates[row, 3 * size + k] * r * (one - r)
        for k in range(2 * size):
            d_products[row, k] = d_inputs[row, k]
        for k in range(size):
            d_products[row, 2 * size + k] = d_inputs[row, 2 * size + k] * gates[row, k]
        for k in range(size):
            d_h[row, k] = d_h[row, k] * gates[row, size + k]
