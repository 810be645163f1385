"""Adam's update, compiled."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from math import sqrt
from typing import Any

__all__ = ["adam"]


@cache
def adam() -> Callable[..., None] | None:
    """Adam's update in place, compiled; None where numba is not installed.

    The same operations in the same order as the rule's, each rounded to the arrays' own precision, so
    the results are the same to the bit.
    """
    if find_spec("numba") is None:
        return None
    from numba import njit

    # NumPy's way of dividing: by zero gives infinity. Checking for it would keep the loop from being vectorised.
    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def update(
        p: Any, g: Any, m: Any, v: Any, top: Any, amsgrad: bool, beta1: Any, beta2: Any, rest1: Any, rest2: Any,
        step_size: Any, eps: Any, decay: Any, shrink: Any,
    ) -> None:  # fmt: skip
        for i in range(p.size):
            slope = g[i] + decay * p[i] if decay != 0 else g[i]
            m[i] = beta1 * m[i] + rest1 * slope
            v[i] = beta2 * v[i] + rest2 * slope * slope
            largest = v[i]
            if amsgrad:
                largest = top[i] = max(top[i], v[i])
            p[i] = p[i] * shrink - step_size * (m[i] / (sqrt(largest) + eps))

    def in_place(
        p: Any, g: Any, m: Any, v: Any, top: Any, *, beta1: float, beta2: float, step_size: float, eps: float,
        decay: float, shrink: float,
    ) -> None:  # fmt: skip
        numbers = (beta1, beta2, 1 - beta1, 1 - beta2, step_size, eps, decay, shrink)
        update(p, g, m, v, v if top is None else top, top is not None, *map(p.dtype.type, numbers))

    return in_place
