"""What all losses share: how single losses become one number."""

from typing import Any

from ...autodiff.tensor import Tensor
from ...backends import find_backend_of
from ...ops.loss.reduction import Reduction, check_reduction
from ..module import Module

__all__ = ["Loss", "Reduction"]


class Loss(Module):
    """What losses have in common: `reduction` is "mean", "sum", or "none" for one loss a sample."""

    def __init__(self, reduction: Reduction) -> None:
        super().__init__()
        check_reduction(reduction)
        self.reduction = reduction

    def keep_weight(self, name: str, value: Any) -> None:
        """A weight as a buffer: an array becomes a Tensor, as it would in a call of the function."""
        self.register_buffer(name, value if find_backend_of(value) is None else Tensor(value))

    def extra_repr(self) -> str:
        """How the losses are put together."""
        return f"reduction={self.reduction!r}"
