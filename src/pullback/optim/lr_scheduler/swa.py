"""The schedule of stochastic weight averaging."""

from collections.abc import Sequence
from math import cos, pi
from typing import Literal

from ..optimizer import Optimizer
from .scheduler import LRScheduler, check_groups, one_each

__all__ = ["SWALR"]


class SWALR(LRScheduler):
    """From the rate that there is to `swa_lr` in `anneal_epochs` epochs, and no further.

    It is for the end of a training whose weights are averaged, see `AveragedModel`.

    swa_lr: the rate at the end, or one for each group. anneal_strategy: `"cos"` or `"linear"`.
    Raises ValueError for numbers that make no sense.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR expects anneal_strategy 'cos' or 'linear'; got {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR expects anneal_epochs to be a whole number of at least 0; got {anneal_epochs!r}")
        self.swa_lrs = one_each("SWALR", "swa_lr", swa_lr, optimizer)
        self.anneal_epochs, self.anneal_strategy = anneal_epochs, anneal_strategy
        self.annealed = -1  # epochs since it began, whatever number they have
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rate of each group on its way, from the one before."""
        check_groups(self, self.swa_lrs)
        self.annealed += 1
        count = max(self.annealed, 1) if self.anneal_epochs == 0 else self.annealed
        before, now = self._share(count - 1), self._share(count)
        rates = []
        for group, end in zip(self.optimizer.param_groups, self.swa_lrs, strict=True):
            start = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates

    def _share(self, count: int) -> float:
        share = min(1.0, max(0.0, count / max(1, self.anneal_epochs)))
        return share if self.anneal_strategy == "linear" else (1 - cos(pi * share)) / 2

    def restart(self) -> None:
        """Begin again at epoch 0, from the rates that there are."""
        self._rewind()
        LRScheduler.step(self)

    def _rewind(self) -> None:
        super()._rewind()
        self.annealed = -1
