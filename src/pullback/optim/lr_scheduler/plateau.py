"""A schedule that goes by how training goes."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import Any, Literal

from ..optimizer import Optimizer
from .scheduler import LRScheduler, check_groups, one_each

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by `factor` when a metric has not improved for more than `patience` epochs.

    mode: `"min"` or `"max"`, what is better. threshold: what counts as better: by that share of the best
        (`threshold_mode="rel"`), or by that much (`"abs"`).
    cooldown: epochs to wait after a reduction. min_lr: the lowest rate, or one for each group.
    eps: a reduction smaller than this is left out.

    >>> import pullback as pb
    >>> from pullback.optim import SGD
    >>> optimizer = SGD([pb.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in [0.5, 0.5, 0.5]:
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau expects a factor below 1; got {factor!r}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                "ReduceLROnPlateau expects mode 'min' or 'max' and threshold_mode 'rel' or 'abs'; "
                f"got {mode!r} and {threshold_mode!r}"
            )
        self.mode, self.factor, self.patience, self.cooldown, self.eps = mode, factor, patience, cooldown, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.min_lrs = one_each("ReduceLROnPlateau", "min_lr", min_lr, optimizer)
        self.best = self._worst
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)

    def rate(self, lr: float, initial_lr: float) -> float:
        """The same rate, until a metric says otherwise."""
        return lr

    def step(self, metrics: Any) -> None:  # type: ignore[override]  # this one goes by a metric
        """Take note of a metric, a number or a 0-d Tensor, and reduce the rates if it is stuck."""
        check_groups(self, self.min_lrs)
        current = float(metrics)
        self.last_epoch += 1
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        rates = [group["lr"] for group in self.optimizer.param_groups]
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            lower = [max(lr * self.factor, least) for lr, least in zip(rates, self.min_lrs, strict=True)]
            rates = [new if lr - new > self.eps else lr for lr, new in zip(rates, lower, strict=True)]
        self._set(rates)

    def state_dict(self) -> dict[str, Any]:
        """As the base says; `best` is None before the first metric, as JSON knows no infinity."""
        return {**super().state_dict(), "best": self.best if isfinite(self.best) else None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As the base says."""
        super().load_state_dict(state)
        if state["best"] is None:
            self.best = self._worst

    @property
    def _worst(self) -> float:
        return inf if self.mode == "min" else -inf

    def _is_better(self, current: float) -> bool:
        margin = self.threshold if self.mode == "max" else -self.threshold
        bound = self.best * (1 + margin) if self.threshold_mode == "rel" else self.best + margin
        return current > bound if self.mode == "max" else current < bound
