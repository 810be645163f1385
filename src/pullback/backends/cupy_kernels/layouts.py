"""How the factors of a matrix product lie in memory, and the fewest calls that take it from there.

A call multiplies matrices whose rows, or whose columns, are contiguous, so many numbers apart; or a stack of them, each
so many numbers behind the other. What lies otherwise is copied first.
"""

from collections.abc import Sequence
from itertools import product as choices
from typing import Any, NamedTuple

__all__ = ["Call", "Calls", "Matrices", "calls_for"]

Steps = tuple[int, ...]
"""How many numbers lie between neighbours along each axis."""


class Matrices(NamedTuple):
    """How a factor's matrices lie: by rows, or transposed, so many numbers from one line to the next."""

    transposed: bool
    line: int


class Call(NamedTuple):
    """out (rows, columns) = a (rows, inner) times b (inner, columns), `batch` times."""

    rows: int
    columns: int
    inner: int
    a: Matrices
    b: Matrices
    line: int
    """From one row of the result to the next."""
    batch: int
    steps: tuple[int, int, int]
    """From one matrix of a, of b and of the result to the next."""


class Calls(NamedTuple):
    """A call, where it is made, and what is copied before."""

    call: Call
    offsets: list[tuple[int, int, int]]
    """How far into a, b and the result each call begins, in numbers; one for each time it is made."""
    copied: tuple[bool, bool]


class _Axis(NamedTuple):
    """An axis of the stack: its length, and the steps of a, b and the result along it."""

    length: int
    steps: tuple[int, int, int]


def calls_for(a: Any, b: Any, out: Any) -> Calls:
    """The calls that multiply arrays which lie as these do.

    a: (..., M, K), b: (..., K, N), out: (..., M, N), none of them empty. Rows of out are contiguous.
    """
    given = [_steps(x) for x in (a, b, out)]
    contiguous = [_contiguous_steps(x.shape) for x in (a, b)]
    must = [_must_be_copied(x.shape, steps) for x, steps in zip((a, b), given, strict=False)]
    found = _calls(a, b, out, given, contiguous, must)
    if len(found.offsets) > 1:  # copies are quicker than many small calls, where copies make them fewer
        may = [steps != other for steps, other in zip(given, contiguous, strict=False)]
        other = _calls(a, b, out, given, contiguous, may)
        if len(other.offsets) < len(found.offsets):
            return other
    return found


def _calls(a: Any, b: Any, out: Any, given: list[Steps], contiguous: list[Steps], copied: Sequence[bool]) -> Calls:
    steps = [new if copy else old for old, new, copy in zip(given, contiguous, copied, strict=False)]
    first, second = (_matrices(x.shape[-2:], own[-2:]) for x, own in zip((a, b), steps, strict=False))
    assert first is not None
    assert second is not None
    line = given[2][-2]
    rows, columns, inner = a.shape[-2], b.shape[-1], a.shape[-1]
    batch = out.shape[:-2]
    along = [_aligned(x.shape[:-2], own[:-2], batch) for x, own in zip((a, b), steps, strict=False)]
    stacked = zip(batch, *along, given[2][:-2], strict=True)
    axes = _merged([_Axis(n, (of_a, of_b, of_out)) for n, of_a, of_b, of_out in stacked if n > 1])
    if rows == 1:
        line = columns
    while axes and not first.transposed and axes[-1].steps[1] == 0:  # one second factor: more rows of the first
        length, (of_a, _, of_out) = axes[-1]
        if rows == 1 and of_a >= inner and of_out >= columns:
            first, line = Matrices(False, of_a), of_out
        elif of_a != rows * first.line or of_out != rows * line:
            break
        rows *= length
        axes.pop()
    axes.sort(key=lambda axis: axis.length)
    stack = axes.pop() if axes else _Axis(1, (0, 0, 0))

    def offset(place: tuple[int, ...], k: int) -> int:
        return sum(i * axis.steps[k] for i, axis in zip(place, axes, strict=True))

    places = choices(*(range(axis.length) for axis in axes))
    offsets = [(offset(place, 0), offset(place, 1), offset(place, 2)) for place in places]
    call = Call(rows, columns, inner, first, second, max(line, columns), stack.length, stack.steps)
    return Calls(call, offsets, (copied[0], copied[1]))


def _matrices(shape: tuple[int, int], steps: Steps) -> Matrices | None:
    """How matrices lie; None where neither their rows nor their columns are contiguous and apart."""
    (rows, columns), (down, across) = shape, steps
    if (across == 1 or columns == 1) and (down >= columns or rows == 1):
        return Matrices(False, columns if rows == 1 else down)
    if (down == 1 or rows == 1) and (across >= rows or columns == 1):
        return Matrices(True, rows if columns == 1 else across)
    return None


def _must_be_copied(shape: tuple[int, ...], steps: Steps) -> bool:
    backwards = any(step < 0 for n, step in zip(shape[:-2], steps, strict=False) if n > 1)
    return backwards or _matrices((shape[-2], shape[-1]), steps[-2:]) is None


def _steps(x: Any) -> Steps:
    size = x.dtype.itemsize
    return tuple(n // size if n % size == 0 else -1 for n in x.strides)


def _contiguous_steps(shape: tuple[int, ...]) -> Steps:
    steps = [1]
    for n in shape[:0:-1]:
        steps.append(steps[-1] * n)
    return tuple(reversed(steps))


def _aligned(shape: tuple[int, ...], steps: Steps, batch: tuple[int, ...]) -> Steps:
    """Steps along all axes of the stack: 0 where an array has one matrix for all of them."""
    return (0,) * (len(batch) - len(shape)) + tuple(0 if n == 1 else s for n, s in zip(shape, steps, strict=True))


def _merged(axes: list[_Axis]) -> list[_Axis]:
    """Neighbouring axes as one, where all three go on from one to the next in equal steps."""
    merged: list[_Axis] = []
    for axis in axes:
        if merged and all(outer == axis.length * s for outer, s in zip(merged[-1].steps, axis.steps, strict=True)):
            axis = _Axis(axis.length * merged.pop().length, axis.steps)
        merged.append(axis)
    return merged
