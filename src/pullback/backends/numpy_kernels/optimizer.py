"""Kernels of updates: in place, compiled where that pays, else block by block.

They do the operations of the rules in the same order, so the results are the same to the bit. The gradient is theirs
to overwrite.
"""

from collections.abc import Callable
from typing import Any

from ..host import host as np
from ..numba_kernels import is_float, is_worthwhile
from ..numba_kernels import optimizer as compiled
from .table import kernel

__all__ = ["BLOCK"]

BLOCK = 32768
"""How many elements an update passes over at once, so that they stay in the processor's cache."""


def _compiles(parameter: Any) -> bool:
    return is_worthwhile(parameter.size) and is_float(parameter.dtype)


def _in_blocks(update: Callable[..., None], *buffers: Any, **numbers: Any) -> None:
    if buffers[0].size <= BLOCK:
        update(*buffers, **numbers)
        return
    for start in range(0, buffers[0].size, BLOCK):
        part = slice(start, start + BLOCK)
        update(*(None if x is None else x[part] for x in buffers), **numbers)


def _decayed(parameter: Any, gradient: Any, decay: float) -> Any:
    """Scratch, which was used to add the parameter's share to the gradient."""
    scratch = np.multiply(parameter, decay) if decay else np.empty_like(parameter)
    if decay:
        gradient += scratch
    return scratch


def _average(mean: Any, value: Any, share: float, scratch: Any) -> None:
    """share * mean + (1 - share) * value."""
    np.multiply(value, 1 - share, out=scratch)
    mean *= share
    mean += scratch


def _average_square(mean: Any, value: Any, share: float, scratch: Any) -> None:
    np.multiply(value, 1 - share, out=scratch)
    scratch *= value
    mean *= share
    mean += scratch


@kernel("sgd.in_place")
def _(
    parameter: Any,
    gradient: Any,
    momentum_buffer: Any = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    decay: float = 0.0,
) -> None:
    numbers = {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov, "decay": decay}
    if _compiles(parameter):
        compiled.sgd(parameter, gradient, momentum_buffer, **numbers)  # type: ignore[arg-type]
    else:
        _in_blocks(_sgd, parameter, gradient, momentum_buffer, **numbers)


def _sgd(p: Any, g: Any, b: Any, *, lr: float, momentum: float, dampening: float, nesterov: bool, decay: float) -> None:
    scratch = _decayed(p, g, decay)
    direction = g
    if b is not None:
        np.multiply(g, 1 - dampening, out=scratch)
        b *= momentum
        b += scratch
        direction = b
        if nesterov:
            direction = np.multiply(b, momentum, out=scratch)
            direction += g
    np.multiply(direction, lr, out=scratch)
    p -= scratch


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
    buffers = parameter, gradient, exp_avg, exp_avg_sq, max_exp_avg_sq
    if _compiles(parameter):
        compiled.adam(*buffers, decay=decay, shrink=shrink, **numbers)
    else:
        _in_blocks(_adam, *buffers, decay=decay, shrink=shrink, **numbers)


def _adam(
    p: Any, g: Any, m: Any, v: Any, top: Any, *, beta1: float, beta2: float, step_size: float, eps: float,
    decay: float, shrink: float,
) -> None:  # fmt: skip
    scratch = _decayed(p, g, decay)
    _average(m, g, beta1, scratch)
    _average_square(v, g, beta2, scratch)
    largest = v if top is None else np.maximum(top, v, out=top)
    np.sqrt(largest, out=scratch)
    scratch += eps
    np.divide(m, scratch, out=scratch)
    if shrink != 1.0:
        p *= shrink
    scratch *= step_size
    p -= scratch


@kernel("rmsprop.in_place")
def _(
    parameter: Any,
    gradient: Any,
    square_avg: Any,
    momentum_buffer: Any = None,
    grad_avg: Any = None,
    *,
    momentum: float = 0.0,
    decay: float = 0.0,
    **numbers: float,
) -> None:
    buffers = parameter, gradient, square_avg, momentum_buffer, grad_avg
    if _compiles(parameter):
        compiled.rmsprop(*buffers, momentum=momentum, decay=decay, **numbers)
    else:
        _in_blocks(_rmsprop, *buffers, momentum=momentum, decay=decay, **numbers)


def _rmsprop(
    p: Any, g: Any, v: Any, b: Any, m: Any, *, lr: float, alpha: float, eps: float, momentum: float, decay: float
) -> None:
    scratch = _decayed(p, g, decay)
    _average_square(v, g, alpha, scratch)
    spread = v
    if m is not None:
        _average(m, g, alpha, scratch)
        spread = np.subtract(v, np.multiply(m, m, out=scratch), out=scratch)
    np.sqrt(spread, out=scratch)
    scratch += eps
    direction = np.divide(g, scratch, out=scratch)
    if b is not None:
        b *= momentum
        b += direction
        direction = b
    np.multiply(direction, lr, out=scratch)
    p -= scratch


@kernel("adagrad.in_place")
def _(parameter: Any, gradient: Any, total: Any, *, lr: float, eps: float, decay: float = 0.0) -> None:
    if _compiles(parameter):
        compiled.adagrad(parameter, gradient, total, lr=lr, eps=eps, decay=decay)
    else:
        _in_blocks(_adagrad, parameter, gradient, total, lr=lr, eps=eps, decay=decay)


def _adagrad(p: Any, g: Any, v: Any, *, lr: float, eps: float, decay: float) -> None:
    scratch = _decayed(p, g, decay)
    v += np.multiply(g, g, out=scratch)
    np.sqrt(v, out=scratch)
    scratch += eps
    np.divide(g, scratch, out=scratch)
    scratch *= lr
    p -= scratch


@kernel("lion.in_place")
def _(parameter: Any, gradient: Any, exp_avg: Any, *, shrink: float = 1.0, **numbers: float) -> None:
    if _compiles(parameter):
        compiled.lion(parameter, gradient, exp_avg, shrink=shrink, **numbers)
    else:
        _in_blocks(_lion, parameter, gradient, exp_avg, shrink=shrink, **numbers)


def _lion(p: Any, g: Any, m: Any, *, lr: float, beta1: float, beta2: float, shrink: float) -> None:
    scratch = np.multiply(g, 1 - beta1)
    direction = np.multiply(m, beta1)
    direction += scratch
    np.sign(direction, out=direction)
    direction *= lr
    if shrink != 1.0:
        p *= shrink
    p -= direction
    _average(m, g, beta2, scratch)
