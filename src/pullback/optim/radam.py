"""RAdam: Adam that waits until it knows the gradients' sizes well enough to divide by them."""

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any

from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace
from .adam import decay_numbers
from .optimizer import Hyper, Optimizer

__all__ = ["RAdam", "radam"]

_HYPER: dict[str, Any] = {"beta1": 0.9, "beta2": 0.99, "step_size": 0.1, "eps": 1e-8}


@op(
    examples=[
        example(normal(5), normal(5), normal(5), uniform(5, low=0.1), rectified=False, decay=0.1, **_HYPER),
        example(normal(5), normal(5), normal(5), uniform(5, low=0.1), rectified=True, shrink=0.9, **_HYPER),
    ]
)
def radam(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    /,
    *,
    beta1: float,
    beta2: float,
    step_size: float,
    eps: float,
    rectified: bool,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> tuple[Array, ...]:
    """One step of RAdam for one parameter.

    exp_avg, exp_avg_sq: the running means of the gradients and of their squares.
    rectified: whether to divide by the root of the second; else the step goes along the first alone.
    step_size: the learning rate with the means' bias taken out. decay: added to the gradient, times the parameter.
    shrink: what the parameter is multiplied by first.
    Returns the new parameter and the new state.
    """
    if decay:
        gradient = gradient + decay * parameter
    exp_avg = beta1 * exp_avg + (1 - beta1) * gradient
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * gradient * gradient
    direction = exp_avg / (xp.sqrt(exp_avg_sq) + eps) if rectified else exp_avg
    parameter = parameter if shrink == 1.0 else parameter * shrink
    return parameter - step_size * direction, exp_avg, exp_avg_sq


class RAdam(Optimizer):
    """Rectified Adam (Liu, Jiang, He, Chen, Liu, Gao and Han, 2020), with PyTorch's arguments and defaults.

    weight_decay is added to the gradient, times the parameter; with decoupled_weight_decay the parameter itself
    shrinks instead.
    """

    rule = radam

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The two running means."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """RAdam's numbers for one step.

        The mean of the squares is worth that of so many of them; up to 5, its variance is not known (section 3).
        """
        beta1, beta2 = group["betas"]
        worth_at_last = 2 / (1 - beta2) - 1
        worth = worth_at_last - 2 * step * beta2**step / (1 - beta2**step)
        rectified = worth > 5
        step_size, root = group["lr"] / (1 - beta1**step), sqrt(1 - beta2**step)
        if rectified:
            share = (worth - 4) * (worth - 2) * worth_at_last
            step_size *= root * sqrt(share / ((worth_at_last - 4) * (worth_at_last - 2) * worth))
        return {
            "beta1": beta1,
            "beta2": beta2,
            "step_size": step_size,
            "eps": group["eps"],
            "rectified": rectified,
            **decay_numbers(group),
        }
