"""Lion: the sign of the momentum, and nothing of its size."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace
from .optimizer import Hyper, Optimizer

__all__ = ["Lion", "lion"]


@op(
    examples=[
        example(normal(5), normal(5, away_from_zero=1.0), normal(5), lr=0.1, beta1=0.5, beta2=0.99),
        example(normal(5), normal(5, away_from_zero=1.0), normal(5), lr=0.1, beta1=0.5, beta2=0.99, shrink=0.9),
    ]
)
def lion(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    exp_avg: Array,
    /,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    shrink: float = 1.0,
) -> tuple[Array, Array]:
    """One step of Lion for one parameter.

    exp_avg: the running mean of the gradients, of which each step keeps the share `beta2`, and which makes up the
        share `beta1` of what gives the sign. shrink: what the parameter is multiplied by first.
    Returns the new parameter and the new mean.
    """
    direction = xp.sign(beta1 * exp_avg + (1 - beta1) * gradient)
    parameter = parameter if shrink == 1.0 else parameter * shrink
    return parameter - lr * direction, beta2 * exp_avg + (1 - beta2) * gradient


class Lion(Optimizer):
    """Lion (Chen et al., "Symbolic discovery of optimization algorithms", 2023).

    Each step moves every element by `lr`, so it wants a rate 3 to 10 times smaller than Adam's, and a weight_decay
    larger by as much; that makes the parameter itself shrink. betas: how much of the running mean goes into the
    step, and how much of it is kept.
    """

    rule = lion

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The running mean."""
        return {"exp_avg": 0.0}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """Lion's numbers, the same for every step."""
        beta1, beta2 = group["betas"]
        shrink = 1 - group["lr"] * group["weight_decay"]
        return {"lr": group["lr"], "beta1": beta1, "beta2": beta2, "shrink": shrink}
