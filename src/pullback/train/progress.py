"""The progress bar of a training run."""

from types import TracebackType
from typing import Any

from .history import Row

__all__ = ["Progress"]


class Progress:
    """A bar on stderr: epoch, iteration, loss and samples per second. Not shown, it does nothing.

    epochs: how many there will be. samples: how many an epoch has; None when that is not known.
    """

    def __init__(self, epochs: int, samples: int | None, shown: bool) -> None:
        self.epochs = epochs
        self._bar: Any = None
        self._epoch = 1
        if shown:
            from tqdm import tqdm

            total = None if samples is None else epochs * samples
            self._bar = tqdm(
                total=total,
                unit=" samples",
                unit_scale=True,
                dynamic_ncols=True,
                desc=f"epoch 1/{epochs}",
                # A short bar, and what matters most before it: a narrow terminal cuts off the end.
                bar_format="{desc} {bar:6} {percentage:3.0f}%, {rate_noinv_fmt}, {remaining} left{postfix}"
                if samples
                else None,
            )

    def start(self, epoch: int) -> None:
        """Name the epoch that begins."""
        self._epoch = epoch

    def advance(self, samples: int, iteration: int, loss: float) -> None:
        """Show one more iteration."""
        if self._bar is not None:
            description = f"epoch {self._epoch}/{self.epochs}, iteration {iteration}, loss {loss:.4f}"
            self._bar.set_description_str(description, refresh=False)
            self._bar.update(samples)

    def finish(self, row: Row) -> None:
        """Show what the epoch that ends gave on the validation data."""
        if self._bar is not None:
            shown = [f"{name} {value:.4g}" for name, value in row.items() if name.startswith("val_")]
            self._bar.set_postfix_str(", ".join(shown), refresh=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
