"""How a recurrent layer walks over sequences of several lengths.

The sequences stand packed: sorted by length, longest first, all their first elements, then all their second ones, and
so on, as rows of one array. `batch_sizes[t]` says how many sequences reach step t. A step reads the first
`batch_sizes[t]` rows of the state and replaces them. So the state of a sequence that has ended stays what it was at
its end; walking in reverse, a sequence that has not begun keeps the state it starts from. At the end of the walk
the state is that of every sequence at its own end, in both directions.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from ...backends import Array, Namespace
from ..linear_algebra import linear
from ..manipulation import reshape

__all__ = ["columns", "in_order", "preactivated", "put_back", "states_before", "steps", "unpacked"]


def steps(batch_sizes: Sequence[int], reverse: bool) -> list[slice]:
    """The rows of each step, in the order in which they are walked."""
    ends = accumulate(batch_sizes)
    rows = [slice(end - size, end) for end, size in zip(ends, batch_sizes, strict=True)]
    return rows[::-1] if reverse else rows


def put_back(xp: Namespace, new: Array, state: Array) -> Array:
    """The state with its first rows replaced."""
    size = new.shape[0]
    return new if size == state.shape[0] else xp.concat([new, state[size:, ...]])


def in_order(xp: Namespace, parts: Sequence[Array], reverse: bool) -> Array:
    """What was found step by step as rows of one array, the first step of the sequences first."""
    return xp.concat(parts[::-1] if reverse else parts)


def states_before(xp: Namespace, state: Array, states: Array, batch_sizes: Sequence[int], reverse: bool) -> Array:
    """For each row the state that its step started from, given the first ones and those after each step."""
    before = []
    for rows in steps(batch_sizes, reverse):
        before.append(state[: rows.stop - rows.start, ...])
        state = put_back(xp, states[rows, ...], state)
    return in_order(xp, before, reverse)


def columns(x: Array, count: int) -> list[Array]:
    """The last axis in `count` parts of one length: one for each gate."""
    size = x.shape[-1] // count
    return [x[..., i * size : (i + 1) * size] for i in range(count)]


def preactivated(
    x: Array, weight: Array, bias: Array | None, batch_sizes: Sequence[int] | None, *states: tuple[Array, int]
) -> tuple[Array, tuple[int, ...]]:
    """What the inputs alone give to each gate, as packed rows: one matrix product for all steps; and the batch sizes.

    x: (L, N, in), or packed rows (T, in) with their `batch_sizes`. weight: (rows, in).
    states: those to start from, each with the length that its rows are to have.
    Raises ValueError for other shapes, for sequences of no steps, and for batch sizes that do not fit the rows.
    """
    shape, inputs = tuple(x.shape), weight.shape[1]
    if len(shape) != (3 if batch_sizes is None else 2) or shape[-1] != inputs:
        expected = f"(L, N, {inputs})" if batch_sizes is None else f"packed rows (T, {inputs})"
        raise ValueError(f"a recurrent network of these weights takes {expected}; got shape {shape}")
    if batch_sizes is None:
        if not shape[0]:
            raise ValueError("a recurrent network walks over one step or more; got sequences of length 0")
        batch_sizes = (shape[1],) * shape[0]
        x = reshape(x, (shape[0] * shape[1], inputs))
    sizes = tuple(batch_sizes)
    if not sizes or sum(sizes) != x.shape[0] or any(a < b for a, b in pairwise(sizes)):
        raise ValueError(
            f"{x.shape[0]} packed rows in steps of {sizes}: expected one step or more, never growing, of as many rows "
            "together"
        )
    for state, size in states:
        if tuple(state.shape) != (sizes[0], size):
            raise ValueError(f"the sequences start from a state {(sizes[0], size)}; got shape {tuple(state.shape)}")
    return linear(x, weight, bias), sizes


def unpacked(output: Array, like: Array) -> Array:
    """The output in the shape of the input: steps and sequences, or packed rows."""
    return output if len(like.shape) == 2 else reshape(output, (*like.shape[:2], output.shape[-1]))
