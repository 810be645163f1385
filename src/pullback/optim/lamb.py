"""LAMB: Adam whose steps are as long, for each layer, as its weights are large."""

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any

from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace
from .optimizer import Hyper, Optimizer

__all__ = ["LAMB", "lamb"]

_HYPER: dict[str, Any] = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "size": 1.1, "eps": 1e-6}


@op(
    examples=[
        example(normal(5), normal(5), normal(5), uniform(5, low=0.1), **_HYPER),
        example(normal(2, 3), normal(2, 3), normal(2, 3), uniform(2, 3, low=0.1), decay=0.1, **_HYPER),
    ]
)
def lamb(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    /,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    size: float,
    eps: float,
    decay: float = 0.0,
) -> tuple[Array, ...]:
    """One step of LAMB for one parameter: Adam's, made as long as `lr` times the norm of the parameter.

    exp_avg, exp_avg_sq: the running means of the gradients and of their squares.
    size, eps: what Adam's direction is multiplied by, and what keeps the root from 0, with the means' bias taken
        out of both. decay: added to the direction, times the parameter.
    A parameter or a direction of norm 0 leaves the step as it is.
    Returns the new parameter and the new state.
    """
    exp_avg = beta1 * exp_avg + (1 - beta1) * gradient
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * gradient * gradient
    direction = size * (exp_avg / (xp.sqrt(exp_avg_sq) + eps))
    if decay:
        direction = direction + decay * parameter
    weight, length = xp.sum(parameter * parameter), xp.sum(direction * direction)
    usable = xp.logical_and(weight > 0, length > 0)
    ones = xp.ones_like(weight)
    ratio = xp.sqrt(xp.where(usable, weight, ones) / xp.where(usable, length, ones))
    return parameter - lr * ratio * direction, exp_avg, exp_avg_sq


class LAMB(Optimizer):
    """LAMB (You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2020).

    Its trust ratio, the norm of a parameter over that of its step, is taken of each parameter by itself.
    weight_decay is part of the step. Biases and norms' parameters are usually given a group without it.
    """

    elementwise = False
    rule = lamb

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The two running means."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """LAMB's numbers for one step, the bias corrections among them."""
        beta1, beta2 = group["betas"]
        root = sqrt(1 - beta2**step)
        return {
            "lr": group["lr"],
            "beta1": beta1,
            "beta2": beta2,
            "size": root / (1 - beta1**step),
            "eps": group["eps"] * root,
            "decay": group["weight_decay"],
        }
