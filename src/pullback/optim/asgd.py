"""Averaged stochastic gradient descent: the mean of where the descent has been."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, ClassVar

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace
from .optimizer import Hyper, Optimizer

__all__ = ["ASGD", "asgd"]


@op(
    examples=[
        example(normal(5), normal(5), normal(5), eta=0.1, mu=1.0, shrink=0.99),
        example(normal(5), normal(5), normal(5), eta=0.1, mu=0.2, shrink=0.99, decay=0.1),
    ]
)
def asgd(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    ax: Array,
    /,
    *,
    eta: float,
    mu: float,
    shrink: float,
    decay: float = 0.0,
) -> tuple[Array, Array]:
    """One step of averaged descent for one parameter.

    ax: the mean of the parameters, to which this one counts with the share `mu`.
    eta: the rate of this step. shrink: what the parameter is multiplied by first.
    decay: added to the gradient, times the parameter.
    Returns the new parameter and the new mean.
    """
    if decay:
        gradient = gradient + decay * parameter
    parameter = shrink * parameter - eta * gradient
    return parameter, ax + (parameter - ax) * mu


class ASGD(Optimizer):
    """Averaged stochastic gradient descent (Polyak and Juditsky, 1992), with PyTorch's arguments and defaults.

    The mean of the parameters lies in the state, as `ax`: `optimizer.state_dict()["state"][0]["ax"]`.

    lambd: how fast the parameters shrink and the rate falls: that of step t is lr / (1 + lambd * lr * t) ** alpha.
    t0: the step from which on it is averaged. weight_decay is added to the gradient, times the parameter.
    """

    linear = True
    rule = asgd
    checks: ClassVar = {"alpha": (lambda value: bool(-inf < value < inf), "a finite number")}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(params, lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, maximize=maximize)

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The mean of the parameters; the first of them replaces what it starts with."""
        return {"ax": 0.0}

    def scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The rate of the coming step, and how much it will count."""
        return {"eta": group["lr"], "mu": 1.0}

    def advance(
        self, group: Mapping[str, Any], step: int, scalars: Mapping[str, float]
    ) -> tuple[Hyper, dict[str, float]]:
        """The numbers for one step, which the last one left; and those of the next."""
        eta, rate = scalars["eta"], group["lr"]
        numbers = {
            "eta": eta,
            "mu": scalars["mu"],
            "shrink": 1 - group["lambd"] * eta,
            "decay": group["weight_decay"],
        }
        coming = rate / (1 + group["lambd"] * rate * step) ** group["alpha"]
        return numbers, {"eta": coming, "mu": 1 / max(1.0, step - group["t0"])}
