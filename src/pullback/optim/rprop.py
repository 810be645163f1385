"""Rprop: each element goes by the sign of its gradient, with a step size of its own."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, ClassVar

from ..autodiff.examples import example, normal, values
from ..autodiff.op import op
from ..backends import Array, Namespace
from .optimizer import Hyper, Optimizer

__all__ = ["Rprop", "rprop"]


_PREV = values([1.0, -1.0, -1.0, 0.0], differentiable=False)  # only its signs count
_SIZES = values([0.9, 0.4, 0.3, 0.5])


@op(
    examples=[
        example(
            normal(4),
            values([1.0, -2.0, 1.0, -1.0]),
            _PREV,
            _SIZES,
            eta_minus=0.5,
            eta_plus=1.2,
            smallest=1e-6,
            largest=50.0,
        ),
        example(
            normal(4),
            values([1.0, -2.0, 1.0, -1.0]),
            _PREV,
            _SIZES,
            eta_minus=0.4,
            eta_plus=1.5,
            smallest=0.15,
            largest=1.0,
        ),
    ]
)
def rprop(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    prev: Array,
    step_size: Array,
    /,
    *,
    eta_minus: float,
    eta_plus: float,
    smallest: float,
    largest: float,
) -> tuple[Array, ...]:
    """One step of Rprop for one parameter.

    prev: the last gradient, 0 where it was passed over. step_size: how far each element goes, times `eta_plus`
        where the gradient keeps its sign and times `eta_minus` where it changes, within `smallest` and `largest`.
    An element whose gradient changed its sign stays where it is, and counts as having had none.
    Returns the new parameter and the new state.
    """
    agreement = gradient * prev
    ones = xp.ones_like(step_size)
    factor = xp.where(agreement > 0, ones * eta_plus, xp.where(agreement < 0, ones * eta_minus, ones))
    step_size = xp.clip(step_size * factor, smallest, largest)
    gradient = xp.where(agreement < 0, xp.zeros_like(gradient), gradient)
    return parameter - xp.sign(gradient) * step_size, gradient, step_size


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller and Braun, 1993), with PyTorch's arguments and defaults.

    It is for gradients of the whole data set: those of batches change their signs by chance.
    lr: the step size of each element at the start. etas: what it is multiplied by where the gradient changes its
    sign, and where it keeps it. step_sizes: the smallest and the largest.
    """

    rule = rprop
    checks: ClassVar = {
        "etas": (
            lambda pair: len(pair) == 2 and bool(0 < pair[0] < 1 < pair[1] < inf),
            "two numbers, below 1 and above 1",
        ),
        "step_sizes": (
            lambda pair: len(pair) == 2 and bool(0 <= pair[0] <= pair[1]),
            "two numbers, the smallest and the largest",
        ),
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(params, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize)

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The last gradient, and the step size."""
        return {"prev": 0.0, "step_size": group["lr"]}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """Rprop's numbers, the same for every step."""
        (minus, plus), (smallest, largest) = group["etas"], group["step_sizes"]
        return {"eta_minus": minus, "eta_plus": plus, "smallest": smallest, "largest": largest}
