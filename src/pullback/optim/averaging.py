"""Averages of a model's weights over its training: equal ones (SWA), or exponential ones (EMA)."""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from ..autodiff.tape import no_grad
from ..autodiff.tensor import Tensor
from ..backends import is_floating
from ..nn.loading import array_like
from ..nn.module import Module
from ..nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from ..ops.creation import asarray
from ..ops.data_types import to_device

__all__ = [
    "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip

Average = Callable[[Tensor, Tensor, int], Tensor]
MultiAverage = Callable[[Sequence[Tensor], Sequence[Tensor], int], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The function of an exponential moving average: it keeps the share `decay` of the old value.

    Raises ValueError where that is not from 0 to 1.
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"an exponential average expects a decay from 0 to 1; got {decay!r}")
    return lambda averaged, current, count: averaged + (current - averaged) * (1 - decay)


def get_swa_avg_fn() -> Average:
    """The function of an average in which every value counts alike."""
    return lambda averaged, current, count: averaged + (current - averaged) / (count + 1)


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """As `get_ema_avg_fn`, for lists of parameters, which it replaces."""
    return _for_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> MultiAverage:
    """As `get_swa_avg_fn`, for lists of parameters, which it replaces."""
    return _for_lists(get_swa_avg_fn())


def _for_lists(average: Average) -> MultiAverage:
    def replace(averaged: Sequence[Tensor], current: Sequence[Tensor], count: int) -> None:
        for mean, value in zip(averaged, current, strict=True):
            mean.array = array_like(average(mean.detach(), value, count), mean.array)

    return replace


class AveragedModel(Module):
    """A copy of a model whose weights are the average of the model's, over all calls of `update_parameters`.

    model: copied with its values. device: where the copy is kept; by default where the model is.
    avg_fn: gives a new average of (the old average, the current value, how many values it is of).
    multi_avg_fn: the same for lists of Tensors, whose first it changes in place. By default every value counts
        alike (stochastic weight averaging: Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, 2018).
    use_buffers: average the buffers too; else they are copied. Integers, such as the count of a batch norm's batches,
        are copied in any case: PyTorch cuts their averages down to integers, so that a count stays where it began.
    The first `update_parameters` copies. The weights lie in `module`, the count in the buffer `n_averaged`.
    Raises ValueError where both functions are given.

    >>> from pullback import nn
    >>> model = nn.Linear(1, 1)
    >>> average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    >>> for value in (1.0, 2.0, 3.0):
    ...     _ = nn.init.constant_(model.weight, value)
    ...     average.update_parameters(model)
    >>> average.module.weight.item()
    2.25
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel expects avg_fn or multi_avg_fn; got both")
        super().__init__()
        self.module = deepcopy(model)
        if device is not None:
            self.module.to(device)
        self.register_buffer("n_averaged", asarray(0, dtype="int64", device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the model computes with the averaged weights."""
        return self.module(*inputs, **options)

    def update_parameters(self, model: Module) -> None:
        """Take the present weights of the model into the average."""
        own, others = list(self.module.parameters()), list(model.parameters())
        own_buffers, other_buffers = list(self.module.buffers()), list(model.buffers())
        if len(own) != len(others) or len(own_buffers) != len(other_buffers):
            raise ValueError(
                f"AveragedModel was made for a model of {len(own)} parameters and {len(own_buffers)} buffers; "
                f"got one of {len(others)} and {len(other_buffers)}"
            )
        count = int(self.n_averaged.item())
        averaged: list[tuple[Tensor, Tensor]] = list(zip(own, others, strict=True))
        copied: list[tuple[Tensor, Tensor]] = []
        for mean, value in zip(own_buffers, other_buffers, strict=True):
            (averaged if self.use_buffers and is_floating(mean.dtype) else copied).append((mean, value))
        if count == 0:
            averaged, copied = [], averaged + copied
        with no_grad():
            for mean, value in copied:
                mean.array = array_like(value, mean.array, copy=True)
            if averaged:
                change = self.multi_avg_fn or _for_lists(self.avg_fn or get_swa_avg_fn())
                values = [Tensor(array_like(value, mean.array)) for mean, value in averaged]
                change([mean for mean, _ in averaged], values, count)
            self.n_averaged.array = (self.n_averaged + 1).array


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Measure the running statistics of a model's batch norms anew, over all batches: averaged weights need it.

    loader: of batches, each the model's input, or a tuple or list that begins with it.
    model: is called in training mode, and left in the mode that it was in.
    device: where each batch is moved to first.
    """
    norms = [module for module in model.modules() if isinstance(module, (BatchNorm1d, BatchNorm2d, BatchNorm3d))]
    if not norms:
        return
    momenta = [module.momentum for module in norms]
    training = model.training
    model.train()
    try:
        for module in norms:
            module.reset_running_stats()
            module.momentum = None
        with no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else to_device(x, device))
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
        model.train(training)
