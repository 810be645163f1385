"""Dropout and normal values, compiled."""

from typing import Any

from ..host import host as np
from ..random_numbers import LOGARITHM, ROOT_HALF, SINE, TWICE_LOG_2
from .compiling import compiled, compiled_exactly

__all__ = ["masked", "normals"]


@compiled
def masked(start: int, stop: int, x: Any, mask: Any, scale: Any, shift: Any, other: Any, y: Any) -> None:
    """x * scale + shift where the mask is true, `other` elsewhere."""
    for i in range(start, stop):
        y[i] = x[i] * scale + shift if mask[i] else other


_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7 = LOGARITHM
_S0, _S1, _S2, _S3, _S4, _S5, _S6 = SINE
_ROOT_BITS = int(np.asarray(ROOT_HALF).view(np.int64))
_ROUNDER = 1.5 * 2**52
"""Added to a number and taken away again it leaves the nearest whole one."""


@compiled_exactly
def normals(
    start: int, stop: int, distances: Any, directions: Any, first: Any, second: Any, mean: float, std: float
) -> None:
    """Two normal values for each two words, as the op's own lines compute them."""
    for i in range(start, stop):
        u = 1.0 - np.float64((distances[i] >> 11) & 0x1FFFFFFFFFFFFF) * 2.0**-53
        bits = np.int64(np.float64(u).view(np.int64) - _ROOT_BITS)
        u = np.int64((bits & 0xFFFFFFFFFFFFF) + _ROOT_BITS).view(np.float64)
        s = (u - 1.0) / (u + 1.0)
        z = s * s
        p = ((((((_L0 * z + _L1) * z + _L2) * z + _L3) * z + _L4) * z + _L5) * z + _L6) * z + _L7
        square = s * p - np.float64(bits >> 52) * TWICE_LOG_2
        quarters = np.float64(directions[i] >> 11) * 2.0**-51
        turns = (quarters + _ROUNDER) - _ROUNDER
        rest = quarters - turns
        z = rest * rest
        sine = rest * ((((((_S0 * z + _S1) * z + _S2) * z + _S3) * z + _S4) * z + _S5) * z + _S6)
        along, across = np.sqrt(square * (1.0 - sine * sine)), np.sqrt(square) * sine
        to_right = 1.0 - abs(turns)
        to_top = turns + turns * to_right
        first[i] = (along * to_right - across * to_top) * std + mean
        second[i] = (along * to_top + across * to_right) * std + mean
