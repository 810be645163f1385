"""RMSprop: the gradient over the root of the running mean of its square."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..autodiff.examples import example, normal, uniform
from ..autodiff.op import op
from ..backends import Array, Namespace
from .optimizer import Hyper, Optimizer

__all__ = ["RMSprop", "rmsprop"]

_SQUARES = uniform(5, low=0.5, high=2)
_HYPER: dict[str, Any] = {"lr": 0.1, "alpha": 0.9, "eps": 1e-8}


@op(
    examples=[
        example(normal(5), normal(5), _SQUARES, decay=0.2, **_HYPER),
        example(normal(5), normal(5), _SQUARES, normal(5), momentum=0.9, **_HYPER),
        example(normal(5), normal(5), _SQUARES, normal(5), uniform(5, high=0.1), momentum=0.9, **_HYPER),
    ]
)
def rmsprop(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    square_avg: Array,
    momentum_buffer: Array | None = None,
    grad_avg: Array | None = None,
    /,
    *,
    lr: float,
    alpha: float,
    eps: float,
    momentum: float = 0.0,
    decay: float = 0.0,
) -> tuple[Array, ...]:
    """One step of RMSprop for one parameter.

    square_avg: the running mean of the squares, of which each step keeps the share `alpha`.
    momentum_buffer: the running sum of the steps, of which each keeps the share `momentum`; or None.
    grad_avg: the running mean of the gradients, whose square is taken off so that the root is of the
        variance; or None. decay: added to the gradient, times the parameter.
    Returns the new parameter and the new state.
    """
    if decay:
        gradient = gradient + decay * parameter
    square_avg = alpha * square_avg + (1 - alpha) * gradient * gradient
    spread = square_avg
    if grad_avg is not None:
        grad_avg = alpha * grad_avg + (1 - alpha) * gradient
        spread = square_avg - grad_avg * grad_avg
    direction = gradient / (xp.sqrt(spread) + eps)
    if momentum_buffer is None:
        return parameter - lr * direction, square_avg
    momentum_buffer = momentum * momentum_buffer + direction
    parameter = parameter - lr * momentum_buffer
    state = (square_avg, momentum_buffer)
    return (parameter, *state) if grad_avg is None else (parameter, *state, grad_avg)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, 2012), with PyTorch's arguments and defaults.

    alpha: how much of the running mean of the squares is kept. weight_decay is added to the gradient.
    momentum: how much of the last step is kept. centered: divide by the standard deviation of the
    gradient instead of its root mean square (Graves, 2013); this keeps the momentum's buffer too.
    """

    rule = rmsprop

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            maximize=maximize,
        )

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The mean of the squares, and what momentum and centering need."""
        centered = {"grad_avg": 0.0} if group["centered"] else {}
        summed = {"momentum_buffer": 0.0} if group["momentum"] or group["centered"] else {}
        return {"square_avg": 0.0} | summed | centered

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """RMSprop's numbers, the same for every step."""
        names = ("lr", "alpha", "eps", "momentum")
        return {**{name: group[name] for name in names}, "decay": group["weight_decay"]}
