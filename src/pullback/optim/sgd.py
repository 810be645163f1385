"""Stochastic gradient descent, plain or with momentum."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace
from .optimizer import Hyper, Optimizer

__all__ = ["SGD", "sgd"]


@op(
    examples=[
        example(normal(5), normal(5), lr=0.1),
        example(normal(5), normal(5), lr=0.1, decay=0.2),
        example(normal(5), normal(5), normal(5), lr=0.1, momentum=0.9, dampening=0.3),
        example(normal(5), normal(5), normal(5), lr=0.1, momentum=0.9, nesterov=True),
    ]
)
def sgd(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    momentum_buffer: Array | None = None,
    /,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    decay: float = 0.0,
) -> tuple[Array, ...]:
    """One step down the gradient for one parameter, or down the running sum of the gradients.

    momentum_buffer: that sum, of which each step keeps the share `momentum`; None for a plain step.
    dampening: the share of the new gradient that is left out of the sum.
    nesterov: look ahead by one more step of the momentum. decay: added to the gradient, times the parameter.
    Returns the new parameter and the new state.
    """
    if decay:
        gradient = gradient + decay * parameter
    if momentum_buffer is None:
        return (parameter - lr * gradient,)
    momentum_buffer = momentum * momentum_buffer + (1 - dampening) * gradient
    direction = gradient + momentum * momentum_buffer if nesterov else momentum_buffer
    return parameter - lr * direction, momentum_buffer


class SGD(Optimizer):
    """Gradient descent with momentum (Polyak, 1964), with PyTorch's arguments and defaults.

    momentum: how much of the last step's direction is kept. dampening: how much less the new gradient counts.
    weight_decay is added to the gradient, times the parameter. nesterov: Nesterov's momentum, in the form of
    Sutskever, Martens, Dahl and Hinton (2013).
    Raises ValueError for numbers that make no sense, and for nesterov without momentum or with dampening.

    >>> import pullback as pb
    >>> w = pb.tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> round(w.item(), 6)
    0.8
    """

    linear = True
    rule = sgd

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The running sum, where there is momentum."""
        return {"momentum_buffer": 0.0} if group["momentum"] else {}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """The numbers for one step; the first gradient starts the sum undampened."""
        return {
            "lr": group["lr"],
            "momentum": group["momentum"],
            "dampening": group["dampening"] if step > 1 else 0.0,
            "nesterov": group["nesterov"],
            "decay": group["weight_decay"],
        }
