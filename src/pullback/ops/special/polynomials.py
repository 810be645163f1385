"""Polynomials, and quotients of two, by Horner's rule. Coefficients are given from the highest power down."""

from collections.abc import Sequence
from functools import reduce

from ...backends import Array

__all__ = ["BERNOULLI", "polynomial", "quotient"]

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
"""Bernoulli's numbers B_2, B_4, ..., B_20 (DLMF 24.2)."""


def polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """The polynomial's value at x; of two coefficients at least."""
    first, second, *rest = coefficients
    return reduce(lambda total, c: total * x + c, rest, x * first + second)


def quotient(above: Sequence[float], below: Sequence[float], x: Array) -> Array:
    """The quotient of two polynomials at x."""
    return polynomial(above, x) / polynomial(below, x)
