"""Adam, and AdamW, whose weight decay does not pass through the moments."""

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any

from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace
from .optimizer import Hyper, Optimizer

__all__ = ["Adam", "AdamW", "adam", "decay_numbers"]

_HYPER: dict[str, Any] = {"beta1": 0.9, "beta2": 0.99, "step_size": 0.1, "eps": 1e-8}


@op(
    examples=[
        example(normal(5), normal(5), normal(5), uniform(5, low=0.1), **_HYPER),
        example(normal(5), normal(5), normal(5), uniform(5, low=0.1), uniform(5, low=0.1), decay=0.1, **_HYPER),
        example(normal(5), normal(5), normal(5), uniform(5, low=0.1), shrink=0.9, **_HYPER),
    ]
)
def adam(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    max_exp_avg_sq: Array | None = None,
    /,
    *,
    beta1: float,
    beta2: float,
    step_size: float,
    eps: float,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> tuple[Array, ...]:
    """One step of Adam for one parameter: the mean of the gradients over the root of the mean of their squares.

    exp_avg, exp_avg_sq: the running means; max_exp_avg_sq: the largest second one so far (AMSGrad), or None.
    step_size, eps: the learning rate, and what keeps the root from 0, with the means' bias taken out of both
        (section 2 of the paper, end).
    decay: added to the gradient, times the parameter. shrink: what the parameter is multiplied by first.
    Returns the new parameter and the new state.
    """
    if decay:
        gradient = gradient + decay * parameter
    exp_avg = beta1 * exp_avg + (1 - beta1) * gradient
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * gradient * gradient
    largest = exp_avg_sq if max_exp_avg_sq is None else xp.maximum(max_exp_avg_sq, exp_avg_sq)
    direction = exp_avg / (xp.sqrt(largest) + eps)
    parameter = parameter if shrink == 1.0 else parameter * shrink
    parameter = parameter - step_size * direction
    return (parameter, exp_avg, exp_avg_sq) if max_exp_avg_sq is None else (parameter, exp_avg, exp_avg_sq, largest)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with PyTorch's arguments and defaults.

    weight_decay is added to the gradient, times the parameter; with decoupled_weight_decay the parameter itself
    shrinks instead, as in AdamW. amsgrad never lets a step grow again (Reddi, Kale and Kumar, 2018).
    """

    rule = adam

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
            decoupled_weight_decay=decoupled_weight_decay,
        )

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The two running means, and with amsgrad the largest second one."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0} | ({"max_exp_avg_sq": 0.0} if group["amsgrad"] else {})

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """Adam's numbers for one step, the bias corrections among them."""
        beta1, beta2 = group["betas"]
        root = sqrt(1 - beta2**step)
        return {
            "beta1": beta1,
            "beta2": beta2,
            "step_size": group["lr"] * root / (1 - beta1**step),
            "eps": group["eps"] * root,
            **decay_numbers(group),
        }


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019): the parameter itself shrinks each step."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay=True, maximize=maximize)


def decay_numbers(group: Mapping[str, Any]) -> Hyper:
    """What weight decay is to a rule: `decay`, or with `decoupled_weight_decay` in the group, `shrink`."""
    if group["decoupled_weight_decay"]:
        return {"decay": 0.0, "shrink": 1 - group["lr"] * group["weight_decay"]}
    return {"decay": group["weight_decay"], "shrink": 1.0}
