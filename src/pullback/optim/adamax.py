"""Adamax: Adam with the largest gradient in place of the root of the mean square."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace
from .optimizer import Hyper, Optimizer

__all__ = ["Adamax", "adamax"]

_HYPER: dict[str, Any] = {"beta1": 0.9, "beta2": 0.99, "step_size": 0.1, "eps": 1e-3}


@op(
    examples=[
        example(normal(5), normal(5, away_from_zero=0.1), normal(5), uniform(5, low=4, high=5), **_HYPER),
        example(normal(5), normal(5, away_from_zero=0.1), normal(5), uniform(5, high=0.05), decay=0.05, **_HYPER),
    ]
)
def adamax(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    exp_avg: Array,
    exp_inf: Array,
    /,
    *,
    beta1: float,
    beta2: float,
    step_size: float,
    eps: float,
    decay: float = 0.0,
) -> tuple[Array, ...]:
    """One step of Adamax for one parameter: the mean of the gradients over the largest of them, which fades.

    exp_avg: the running mean. exp_inf: the largest size so far, of which each step keeps the share `beta2`.
    step_size: the learning rate with the mean's bias taken out. decay: added to the gradient, times the parameter.
    Returns the new parameter and the new state.
    """
    if decay:
        gradient = gradient + decay * parameter
    exp_avg = beta1 * exp_avg + (1 - beta1) * gradient
    exp_inf = xp.maximum(beta2 * exp_inf, xp.abs(gradient) + eps)
    return parameter - step_size * (exp_avg / exp_inf), exp_avg, exp_inf


class Adamax(Optimizer):
    """Adamax (Kingma and Ba, 2015, section 7.1), with PyTorch's arguments and defaults.

    weight_decay is added to the gradient, times the parameter.
    """

    rule = adamax

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The running mean, and the largest size."""
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """Adamax's numbers for one step, the bias correction among them."""
        beta1, beta2 = group["betas"]
        return {
            "beta1": beta1,
            "beta2": beta2,
            "step_size": group["lr"] / (1 - beta1**step),
            "eps": group["eps"],
            "decay": group["weight_decay"],
        }
