"""A line search: how far to go along a direction, by the strong Wolfe conditions."""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

from ..backends import Array

__all__ = ["Point", "strong_wolfe"]

ARMIJO, CURVATURE = 1e-4, 0.9
"""The share of the promised decrease that there must be, and the share of the slope that may be left."""


class Point(NamedTuple):
    """A place on the line."""

    t: float
    """How many times the direction it is away from the start."""
    loss: float
    gradient: Array
    slope: float
    """The derivative of the loss along the direction."""


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    *,
    length: float,
    tolerance: float,
    tries: int,
) -> tuple[Point, int]:
    """A point where the loss and its slope have become small enough, and the number of evaluations it took.

    evaluate: the point at t. start: the one at 0, of negative slope. t: the first to try.
    length: the largest element of the direction. tolerance: the largest change at which the search ends.
    tries: how many points are looked at after the first; then the best of the two at hand is given.

    Nocedal and Wright, "Numerical optimization", 2006, algorithms 3.5 and 3.6, as Schmidt's minFunc has them.
    """
    before, here = start, evaluate(t)
    tried = 0
    while tried < tries:
        rises = _is_too_high(here, start) or (tried > 1 and here.loss >= before.loss)
        if not rises and abs(here.slope) <= -CURVATURE * start.slope:
            return here, tried + 1
        if rises or here.slope >= 0:
            bracket = [before, here]
            break
        t = _lowest(before, here, here.t + 0.01 * (here.t - before.t), here.t * 10)
        before, here = here, evaluate(t)
        tried += 1
    else:
        bracket = [start, here]
    return _zoom(evaluate, start, bracket, tried, length=length, tolerance=tolerance, tries=tries)


def _zoom(
    evaluate: Callable[[float], Point],
    start: Point,
    bracket: list[Point],
    tried: int,
    *,
    length: float,
    tolerance: float,
    tries: int,
) -> tuple[Point, int]:
    """Narrow a bracket down until one of its ends will do."""
    low = _lower(bracket)
    stuck = False
    while tried < tries:
        left, right = sorted(point.t for point in bracket)
        if (right - left) * length < tolerance:
            break
        t = _lowest(bracket[0], bracket[1], left, right)
        margin = 0.1 * (right - left)
        near_an_end = min(right - t, t - left) < margin
        if near_an_end and (stuck or t >= right or t <= left):
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near_an_end = False
        stuck = near_an_end
        here = evaluate(t)
        tried += 1
        if _is_too_high(here, start) or here.loss >= bracket[low].loss:
            bracket[1 - low] = here
            low = _lower(bracket)
            continue
        if abs(here.slope) <= -CURVATURE * start.slope:
            return here, tried + 1
        if here.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = here
    return bracket[low], tried + 1


def _is_too_high(here: Point, start: Point) -> bool:
    return here.loss > start.loss + ARMIJO * here.t * start.slope


def _lower(bracket: list[Point]) -> int:
    return 0 if bracket[0].loss <= bracket[1].loss else 1


def _lowest(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic through two points with their slopes is lowest, within bounds; their middle if it is nowhere."""
    a, b = (a, b) if a.t <= b.t else (b, a)
    if a.t == b.t:
        return (least + most) / 2
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2
    d2 = sqrt(square)
    curvature = b.slope - a.slope + 2 * d2
    if curvature == 0:
        return (least + most) / 2
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / curvature), least), most)
