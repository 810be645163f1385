"""Adafactor: Adam that keeps of a matrix of squares only its rows' and its columns' means."""

from collections.abc import Iterable, Mapping
from math import prod, sqrt
from typing import Any, ClassVar

from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..autodiff.tensor import Tensor
from ..backends import Array, Namespace
from ..ops.linear_algebra import matmul
from .optimizer import Hyper, Optimizer, Start

__all__ = ["Adafactor", "adafactor"]

_HYPER: dict[str, Any] = {"rate": 0.1, "fresh": 0.3, "eps2": 1e-3, "d": 1.0}


@op(
    examples=[
        example(normal(5), normal(5), uniform(5, low=0.5), **_HYPER),
        example(normal(3, 4), normal(3, 4), uniform(3, 1, low=0.5), uniform(1, 4, low=0.5), shrink=0.99, **_HYPER),
        example(
            *(normal(2, 3, 4), normal(2, 3, 4), uniform(2, 3, 1, low=0.5), uniform(2, 1, 4, low=0.5)),
            **_HYPER | {"eps1": 1e-6, "d": 1.5},
        ),
    ]
)
def adafactor(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    row_var: Array,
    col_var: Array | None = None,
    /,
    *,
    rate: float,
    fresh: float,
    eps2: float,
    d: float,
    eps1: float | None = None,
    shrink: float = 1.0,
) -> tuple[Array, ...]:
    """One step of Adafactor for one parameter.

    row_var, col_var: the running means of the squares, over the last axis and over the one before it; of a
        parameter of one axis or none, row_var is that of each element, and col_var is None.
    rate: the learning rate, relative to the parameter's root mean square or, if that is smaller, to `eps2`.
    fresh: how much the new squares count. eps1: the least root of a mean; None is the dtype's precision.
    d: the largest root mean square that the step may have, relative to the rate.
    shrink: what the parameter is multiplied by first.
    Returns the new parameter and the new state.
    """
    least = float(xp.finfo(parameter.dtype).eps) if eps1 is None else eps1
    squares = gradient * gradient
    size = rate * xp.clip(_root_mean_square(xp, parameter), eps2)
    if col_var is None:
        spread = row_var = row_var + fresh * (squares - row_var)
    else:
        row_var = row_var + fresh * (xp.mean(squares, axis=-1, keepdims=True) - row_var)
        col_var = col_var + fresh * (xp.mean(squares, axis=-2, keepdims=True) - col_var)
        spread = matmul(row_var, col_var) / xp.clip(xp.mean(row_var, axis=-2, keepdims=True), least)
    direction = gradient / xp.sqrt(xp.clip(spread, least * least))
    direction = direction / xp.clip(_root_mean_square(xp, direction) / d, 1.0)
    parameter = parameter if shrink == 1.0 else parameter * shrink
    parameter = parameter - size * direction
    return (parameter, row_var) if col_var is None else (parameter, row_var, col_var)


def _root_mean_square(xp: Namespace, x: Array) -> Array:
    return xp.sqrt(xp.sum(x * x)) / sqrt(max(1, prod(x.shape)))


class Adafactor(Optimizer):
    """Adafactor (Shazeer and Stern, 2018), with PyTorch's arguments and defaults.

    lr: the largest rate; that of step t is at most 1 / sqrt(t). Both are relative to the size of the parameter.
    beta2_decay: the power of the step's number that is the share of the new squares in their running means.
    eps: the least root of a running mean (None is the dtype's precision), and the least size of a parameter.
    d: the largest step, relative to the rate. weight_decay makes the parameter itself shrink.
    """

    elementwise = False
    rule = adafactor
    checks: ClassVar = {
        "beta2_decay": (lambda power: bool(power <= 0), "a number of at most 0"),
        "eps": (
            lambda pair: len(pair) == 2 and (pair[0] is None or pair[0] >= 0) and bool(pair[1] >= 0),
            "two numbers of at least 0, of which the first may be None",
        ),
        "d": (lambda value: bool(value >= 1), "a number of at least 1"),
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay, maximize=maximize
        )

    def state_start(self, group: Mapping[str, Any], parameter: Tensor) -> dict[str, Start]:
        """The running means over rows and columns; of what has no two axes, that of each element."""
        shape = parameter.shape
        if len(shape) < 2:
            return {"variance": (shape, 0.0)}
        return {"row_var": ((*shape[:-1], 1), 0.0), "col_var": ((*shape[:-2], 1, shape[-1]), 0.0)}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """Adafactor's numbers for one step."""
        eps1, eps2 = group["eps"]
        return {
            "rate": min(group["lr"], 1 / sqrt(step)),
            "fresh": float(step) ** group["beta2_decay"],
            "eps1": eps1,
            "eps2": eps2,
            "d": group["d"],
            "shrink": 1 - group["lr"] * group["weight_decay"],
        }
