"""Kernels of updates: in place, block by block."""

from typing import Any

from ..host import host as np
from ..numba_kernels import adam, is_worthwhile
from .table import kernel

__all__ = ["BLOCK"]

BLOCK = 32768
"""How many elements an update passes over at once, so that they stay in the processor's cache."""


@kernel("adam.in_place")
def _(
    parameter: Any,
    gradient: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    max_exp_avg_sq: Any = None,
    *,
    decay: float = 0.0,
    shrink: float = 1.0,
    **numbers: float,
) -> None:
    compiled = adam() if is_worthwhile(parameter.size) else None
    if compiled is not None:
        compiled(parameter, gradient, exp_avg, exp_avg_sq, max_exp_avg_sq, decay=decay, shrink=shrink, **numbers)
        return
    for start in range(0, parameter.size, BLOCK):
        part = slice(start, start + BLOCK)
        top = None if max_exp_avg_sq is None else max_exp_avg_sq[part]
        block = parameter[part], gradient[part], exp_avg[part], exp_avg_sq[part], top
        _adam_block(*block, decay=decay, shrink=shrink, **numbers)


def _adam_block(
    parameter: Any,
    gradient: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    max_exp_avg_sq: Any,
    *,
    beta1: float,
    beta2: float,
    step_size: float,
    eps: float,
    decay: float,
    shrink: float,
) -> None:
    """The operations of the rule in the same order, so the results are the same to the bit."""
    scratch = np.multiply(parameter, decay) if decay else np.empty_like(parameter)
    if decay:
        gradient += scratch
    np.multiply(gradient, 1 - beta1, out=scratch)
    exp_avg *= beta1
    exp_avg += scratch
    np.multiply(gradient, 1 - beta2, out=scratch)
    scratch *= gradient
    exp_avg_sq *= beta2
    exp_avg_sq += scratch
    largest = exp_avg_sq
    if max_exp_avg_sq is not None:
        largest = np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
    np.sqrt(largest, out=scratch)
    scratch += eps
    np.divide(exp_avg, scratch, out=scratch)
    if shrink != 1.0:
        parameter *= shrink
    scratch *= step_size
    parameter -= scratch
