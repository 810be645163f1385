"""Updates in place, compiled: one pass over a flat buffer, in all threads.

The same operations in the same order as the rules', each rounded to the arrays' own precision, so that the results are
the same to the bit: products are not fused and sums not reordered, as `compiled` would.

Each function takes the buffers of a rule, None for those that are not there (an empty array to what is compiled), and
its numbers.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any

from .compiling import compiled_exactly, in_parts

__all__ = ["adagrad", "adam", "lion", "rmsprop", "sgd"]


def _run(function: Callable[..., None], *buffers: Any, numbers: tuple[float, ...]) -> None:
    """A function of parts of the buffers, with the numbers in their precision."""
    in_precision = [x if isinstance(x, bool) else buffers[0].dtype.type(x) for x in numbers]
    there = [buffers[0][:0] if x is None else x for x in buffers]
    in_parts(function, buffers[0].size, *there, *in_precision, cost=len(there))


@compiled_exactly
def _sgd(
    start: int, stop: int, p: Any, g: Any, b: Any, nesterov: bool, lr: Any, momentum: Any, rest: Any, decay: Any,
) -> None:  # fmt: skip
    p, g, b = p[start:stop], g[start:stop], b[start:stop]
    for i in range(p.size):
        slope = g[i] + decay * p[i] if decay != 0 else g[i]
        if b.size:
            b[i] = momentum * b[i] + rest * slope
            slope = slope + momentum * b[i] if nesterov else b[i]
        p[i] = p[i] - lr * slope


def sgd(p: Any, g: Any, b: Any, *, lr: float, momentum: float, dampening: float, nesterov: bool, decay: float) -> None:
    """Gradient descent, with momentum where there is a buffer of it."""
    _run(_sgd, p, g, b, numbers=(nesterov, lr, momentum, 1 - dampening, decay))


@compiled_exactly
def _adam(
    start: int, stop: int, p: Any, g: Any, m: Any, v: Any, top: Any, beta1: Any, beta2: Any,
    rest1: Any, rest2: Any, step_size: Any, eps: Any, decay: Any, shrink: Any,
) -> None:  # fmt: skip
    p, g, m, v, top = p[start:stop], g[start:stop], m[start:stop], v[start:stop], top[start:stop]
    for i in range(p.size):
        slope = g[i] + decay * p[i] if decay != 0 else g[i]
        m[i] = beta1 * m[i] + rest1 * slope
        v[i] = beta2 * v[i] + rest2 * slope * slope
        largest = v[i]
        if top.size:
            largest = top[i] = v[i] if v[i] > top[i] or v[i] != v[i] else top[i]  # NaN stays, which `max` may drop
        p[i] = p[i] * shrink - step_size * (m[i] / (sqrt(largest) + eps))


def adam(
    p: Any, g: Any, m: Any, v: Any, top: Any, *, beta1: float, beta2: float, step_size: float, eps: float,
    decay: float, shrink: float,
) -> None:  # fmt: skip
    """Adam and AdamW."""
    numbers = (beta1, beta2, 1 - beta1, 1 - beta2, step_size, eps, decay, shrink)
    _run(_adam, p, g, m, v, top, numbers=numbers)


@compiled_exactly
def _rmsprop(
    start: int, stop: int, p: Any, g: Any, v: Any, b: Any, m: Any, lr: Any, alpha: Any,
    rest: Any, eps: Any, momentum: Any, decay: Any,
) -> None:  # fmt: skip
    p, g, v, b, m = p[start:stop], g[start:stop], v[start:stop], b[start:stop], m[start:stop]
    for i in range(p.size):
        slope = g[i] + decay * p[i] if decay != 0 else g[i]
        v[i] = alpha * v[i] + rest * slope * slope
        spread = v[i]
        if m.size:
            m[i] = alpha * m[i] + rest * slope
            spread = v[i] - m[i] * m[i]
        direction = slope / (sqrt(spread) + eps)
        if b.size:
            direction = b[i] = momentum * b[i] + direction
        p[i] = p[i] - lr * direction


def rmsprop(
    p: Any, g: Any, v: Any, b: Any, m: Any, *, lr: float, alpha: float, eps: float, momentum: float, decay: float
) -> None:
    """RMSprop."""
    _run(_rmsprop, p, g, v, b, m, numbers=(lr, alpha, 1 - alpha, eps, momentum, decay))


@compiled_exactly
def _adagrad(start: int, stop: int, p: Any, g: Any, v: Any, lr: Any, eps: Any, decay: Any) -> None:
    p, g, v = p[start:stop], g[start:stop], v[start:stop]
    for i in range(p.size):
        slope = g[i] + decay * p[i] if decay != 0 else g[i]
        v[i] = v[i] + slope * slope
        p[i] = p[i] - lr * (slope / (sqrt(v[i]) + eps))


def adagrad(p: Any, g: Any, v: Any, *, lr: float, eps: float, decay: float) -> None:
    """Adagrad."""
    _run(_adagrad, p, g, v, numbers=(lr, eps, decay))


@compiled_exactly
def _lion(
    start: int, stop: int, p: Any, g: Any, m: Any, lr: Any, beta1: Any, beta2: Any, rest1: Any, rest2: Any, shrink: Any
) -> None:
    p, g, m = p[start:stop], g[start:stop], m[start:stop]
    for i in range(p.size):
        mixed = beta1 * m[i] + rest1 * g[i]
        step = lr if mixed > 0 else -lr if mixed < 0 else lr * mixed  # of 0 and of NaN, the sign is the same
        p[i] = p[i] * shrink - step
        m[i] = beta2 * m[i] + rest2 * g[i]


def lion(p: Any, g: Any, m: Any, *, lr: float, beta1: float, beta2: float, shrink: float) -> None:
    """Lion."""
    _run(_lion, p, g, m, numbers=(lr, beta1, beta2, 1 - beta1, 1 - beta2, shrink))
