"""NAdam: Adam with Nesterov's momentum."""

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any

from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace
from .adam import decay_numbers
from .optimizer import Hyper, Optimizer

__all__ = ["NAdam", "nadam"]

_HYPER: dict[str, Any] = {"beta1": 0.9, "beta2": 0.99, "gradient_size": 0.02, "average_size": 0.1, "eps": 1e-8}


@op(
    examples=[
        example(normal(5), normal(5), normal(5), uniform(5, low=0.1), decay=0.1, **_HYPER),
        example(normal(5), normal(5), normal(5), uniform(5, low=0.1), shrink=0.9, **_HYPER),
    ]
)
def nadam(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    /,
    *,
    beta1: float,
    beta2: float,
    gradient_size: float,
    average_size: float,
    eps: float,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> tuple[Array, ...]:
    """One step of NAdam for one parameter.

    exp_avg, exp_avg_sq: the running means of the gradients and of their squares.
    gradient_size, average_size: how far to go along the gradient, and along its mean. These and `eps` have the
        bias of the squares' mean taken out.
    decay: added to the gradient, times the parameter. shrink: what the parameter is multiplied by first.
    Returns the new parameter and the new state.
    """
    if decay:
        gradient = gradient + decay * parameter
    exp_avg = beta1 * exp_avg + (1 - beta1) * gradient
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * gradient * gradient
    direction = (gradient_size * gradient + average_size * exp_avg) / (xp.sqrt(exp_avg_sq) + eps)
    parameter = parameter if shrink == 1.0 else parameter * shrink
    return parameter - direction, exp_avg, exp_avg_sq


class NAdam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2016), with PyTorch's arguments and defaults.

    momentum_decay: how fast the momentum rises to the first of `betas`, which it starts at a half of.
    weight_decay is added to the gradient, times the parameter; with decoupled_weight_decay the parameter itself
    shrinks instead.
    """

    rule = nadam

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
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
            momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The two running means."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The product of all momenta so far, from which the mean's bias is known."""
        return {"mu_product": 1.0}

    def advance(
        self, group: Mapping[str, Any], step: int, scalars: Mapping[str, float]
    ) -> tuple[Hyper, dict[str, float]]:
        """NAdam's numbers for one step, the bias corrections among them."""
        beta1, beta2 = group["betas"]
        momentum, coming = (beta1 * (1 - 0.5 * 0.96 ** (count * group["momentum_decay"])) for count in (step, step + 1))
        product = scalars["mu_product"] * momentum
        root = sqrt(1 - beta2**step)
        numbers = {
            "beta1": beta1,
            "beta2": beta2,
            "gradient_size": group["lr"] * root * (1 - momentum) / (1 - product),
            "average_size": group["lr"] * root * coming / (1 - product * coming),
            "eps": group["eps"] * root,
            **decay_numbers(group),
        }
        return numbers, {"mu_product": product}
