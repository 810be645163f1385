"""Adagrad: the gradient over the root of the sum of all its squares."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace
from .optimizer import Hyper, Optimizer

__all__ = ["Adagrad", "adagrad"]


@op(
    examples=[
        example(normal(5), normal(5), uniform(5, low=0.1), lr=0.1, eps=1e-10),
        example(normal(5), normal(5), uniform(5, low=0.1), lr=0.1, eps=1e-10, decay=0.2),
    ]
)
def adagrad(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    total: Array,
    /,
    *,
    lr: float,
    eps: float,
    decay: float = 0.0,
) -> tuple[Array, Array]:
    """One step of Adagrad for one parameter.

    total: the sum of the squares of all gradients so far. decay: added to the gradient, times the parameter.
    Returns the new parameter and the new sum.
    """
    if decay:
        gradient = gradient + decay * parameter
    total = total + gradient * gradient
    return parameter - lr * (gradient / (xp.sqrt(total) + eps)), total


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer, 2011), with PyTorch's arguments and defaults.

    lr_decay: the rate of step t, counted from 0, is lr / (1 + t * lr_decay). weight_decay is added to the
    gradient. initial_accumulator_value: where the sums of squares start.
    """

    rule = adagrad

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
        )

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The sum of the squares, under PyTorch's name."""
        return {"sum": group["initial_accumulator_value"]}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """The numbers for one step, with the rate as it has decayed."""
        rate = group["lr"] / (1 + (step - 1) * group["lr_decay"])
        return {"lr": rate, "eps": group["eps"], "decay": group["weight_decay"]}
