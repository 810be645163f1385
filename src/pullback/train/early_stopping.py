"""Early stopping: an end to training that no longer helps."""

from math import inf
from numbers import Integral
from typing import Literal, TypeAlias

__all__ = ["EarlyStopping", "Mode", "improvement"]

Mode: TypeAlias = Literal["auto", "min", "max"]

_GREATER_IS_BETTER = frozenset({"accuracy", "r2", "precision", "recall", "f1", "auc"})


def improvement(monitor: str, mode: Mode = "auto") -> Literal["min", "max"]:
    """Whether less or more of a monitored value is better; `"auto"` tells from its name.

    >>> improvement("val_accuracy"), improvement("val_loss")
    ('max', 'min')
    """
    if mode == "auto":
        words = set(monitor.split("_"))
        return "max" if words & _GREATER_IS_BETTER and "loss" not in words else "min"
    if mode not in ("min", "max"):
        raise ValueError(f"mode is 'auto', 'min' or 'max'; got {mode!r}")
    return mode


class EarlyStopping:
    """Ends training when a value has not improved for some epochs (Prechelt, 1998).

    monitor: the column of the history to watch.
    patience: how many epochs in a row may pass without an improvement; None never stops.
    min_delta: what a value must improve by to count.
    mode: `"min"` when less is better, `"max"` when more is, `"auto"` to tell from the name.

    >>> stopping = EarlyStopping(patience=2)
    >>> [stopping.update(loss) for loss in (0.5, 0.4, 0.6, 0.4)], stopping.stop
    ([True, True, False, False], True)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int | None = 10,
        min_delta: float = 0.0,
        mode: Mode = "auto",
    ) -> None:
        if patience is not None and (not isinstance(patience, Integral) or isinstance(patience, bool) or patience < 1):
            raise ValueError(f"patience is a whole number of epochs, at least 1, or None; got {patience!r}")
        if not min_delta >= 0:
            raise ValueError(f"min_delta is not negative; got {min_delta!r}")
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.mode = improvement(monitor, mode)
        self.reset()

    def reset(self) -> None:
        """Begin anew, as every `fit` does."""
        self.best = inf if self.mode == "min" else -inf
        self.waited = 0

    def update(self, value: float) -> bool:
        """Note the value of an epoch; True when it improves on the best before. NaN never does."""
        gain = self.best - value if self.mode == "min" else value - self.best
        better = gain > self.min_delta
        if better:
            self.best = value
        self.waited = 0 if better else self.waited + 1
        return better

    @property
    def stop(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.waited >= self.patience
