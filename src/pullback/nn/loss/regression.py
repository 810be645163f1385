"""Losses of regression."""

from typing import Any

from ...backends import Array
from ...ops.loss import gaussian_nll_loss, huber_loss, l1_loss, mse_loss, poisson_nll_loss, smooth_l1_loss
from .reduction import Loss, Reduction

__all__ = ["GaussianNLLLoss", "HuberLoss", "L1Loss", "MSELoss", "PoissonNLLLoss", "SmoothL1Loss"]


class MSELoss(Loss):
    """Squared error, reduced.

    >>> import pullback as pb
    >>> MSELoss()(pb.tensor([1.0, 2.0]), pb.tensor([1.0, 4.0])).item()
    2.0
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, the input floating. Returns a 0-d Tensor, or with "none" one of that shape."""
        return mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """Absolute error, reduced."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, the input floating. Returns a 0-d Tensor, or with "none" one of that shape."""
        return l1_loss(input, target, reduction=self.reduction)


class HuberLoss(Loss):
    """Half the squared error up to `delta`, linear beyond it; reduced (Huber, 1964).

    Raises ValueError unless `delta` is positive.
    """

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        if not delta > 0:
            raise ValueError(f"delta, where the loss turns linear, is positive; got {delta!r}")
        self.delta = delta

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, the input floating. Returns a 0-d Tensor, or with "none" one of that shape."""
        return huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(Loss):
    """Squared error over 2 * beta up to `beta`, absolute error less beta / 2 beyond it; reduced (Girshick, 2015).

    beta: 0 or more; 0 gives the absolute error. Raises ValueError for one below 0.
    """

    def __init__(self, reduction: Reduction = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        if not beta >= 0:
            raise ValueError(f"beta, where the loss turns linear, is 0 or more; got {beta!r}")
        self.beta = beta

    def forward(self, input: Array, target: Array) -> Array:
        """input, target: one shape, the input floating. Returns a 0-d Tensor, or with "none" one of that shape."""
        return smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class PoissonNLLLoss(Loss):
    """Negative log-likelihood of counts under Poisson distributions of given rates, reduced.

    log_input: the input is the rates' logarithm. full: add log(target!), by Stirling's formula.
    eps: added to rates before their logarithm is taken.
    """

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: Array, target: Array) -> Array:
        """log_input, target: one shape. Returns a 0-d Tensor, or with "none" one of that shape."""
        return poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(Loss):
    """Negative log-likelihood of numbers under normal distributions of given means and variances, reduced.

    full: add log(2 * pi) / 2. eps: the least variance.
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Array, target: Array, var: Any) -> Any:
        """input, target: means and numbers. var: variances of that shape, fewer that broadcast, or a number.

        Returns a 0-d Tensor, or with "none" one of the input's shape. Raises ValueError for a variance below 0.
        """
        return gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)
