"""Adadelta: steps of the size of earlier steps, so that there is no unit to choose a rate in."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace
from .optimizer import Hyper, Optimizer

__all__ = ["Adadelta", "adadelta"]

_MEANS = uniform(5, low=0.1), uniform(5, low=0.1)


@op(
    examples=[
        example(normal(5), normal(5), *_MEANS, lr=0.5, rho=0.9, eps=1e-6),
        example(normal(5), normal(5), *_MEANS, lr=0.5, rho=0.9, eps=1e-6, decay=0.2),
    ]
)
def adadelta(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    square_avg: Array,
    acc_delta: Array,
    /,
    *,
    lr: float,
    rho: float,
    eps: float,
    decay: float = 0.0,
) -> tuple[Array, ...]:
    """One step of Adadelta for one parameter.

    square_avg, acc_delta: the running means of the squares of the gradients and of the steps, of which each step
        keeps the share `rho`. decay: added to the gradient, times the parameter.
    Returns the new parameter and the new state.
    """
    if decay:
        gradient = gradient + decay * parameter
    square_avg = rho * square_avg + (1 - rho) * gradient * gradient
    delta = xp.sqrt(acc_delta + eps) / xp.sqrt(square_avg + eps) * gradient
    acc_delta = rho * acc_delta + (1 - rho) * delta * delta
    return parameter - lr * delta, square_avg, acc_delta


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012), with PyTorch's arguments and defaults.

    rho: how much of the running means is kept. weight_decay is added to the gradient, times the parameter.
    """

    rule = adadelta

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The running means of the squares, of the gradients and of the steps."""
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """Adadelta's numbers, the same for every step."""
        return {"lr": group["lr"], "rho": group["rho"], "eps": group["eps"], "decay": group["weight_decay"]}
