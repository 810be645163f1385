"""Training a job: from each random start, with the optimizer and the schedule that were chosen."""

from collections.abc import Callable, Iterable
from typing import Any

from .. import optim
from ..data import DataLoader
from ..nn import CrossEntropyLoss, MSELoss
from ..train import History, Restarts, Trainer, restart
from ..train.metrics import R2, Accuracy
from .job import Job

__all__ = ["fit"]

_SMOOTHING = 0.1
_VALIDATION_BATCH = 256
_OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "adamax": optim.Adamax,
    "lamb": optim.LAMB,
    "lion": optim.Lion,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
}


def fit(job: Job, seeds: Iterable[int], *, progress: bool) -> tuple[Restarts[Trainer], bool]:
    """Train from every seed, and keep the network that does best on the validation rows.

    Returns how that went, and whether Ctrl-C ended it. Raises Diverged when every start diverged.
    """
    regression = job.encoder.target.classes is None
    histories: list[History] = []

    def build(seed: int) -> Trainer:
        network = job.architecture.build()
        optimizer = _optimizer(job, network.parameters())
        return Trainer(
            network,
            MSELoss() if regression else CrossEntropyLoss(label_smoothing=_SMOOTHING),
            optimizer,
            metrics=[R2() if regression else Accuracy()],
            schedule=_schedule(job, optimizer),
            schedule_every="iteration" if job.schedule == "one-cycle" else "epoch",
            progress=progress,
        )

    def train(trainer: Trainer) -> History:
        rows = DataLoader(*job.parts["train"], batch_size=job.batch_size, shuffle=True)
        validation = DataLoader(*job.parts["validate"], batch_size=_VALIDATION_BATCH)
        histories.append(trainer.fit(rows, validation, job.epochs))
        return histories[-1]

    result = restart(build, train, seeds)
    return result, any(history.interrupted for history in histories)


def _optimizer(job: Job, parameters: Iterable[Any]) -> optim.Optimizer:
    if job.optimizer == "sgd":
        return optim.SGD(parameters, lr=job.lr, momentum=0.9)
    return _OPTIMIZERS[job.optimizer](parameters, lr=job.lr)


def _schedule(job: Job, optimizer: optim.Optimizer) -> Any:
    if job.schedule == "one-cycle":
        return optim.lr_scheduler.OneCycleLR(optimizer, job.lr, total_steps=job.updates, cycle_momentum=False)
    if job.schedule == "cosine":
        return optim.lr_scheduler.CosineAnnealingLR(optimizer, job.epochs)
    if job.schedule == "step":
        return optim.lr_scheduler.StepLR(optimizer, max(1, job.epochs // 3))
    if job.schedule == "exponential":
        return optim.lr_scheduler.ExponentialLR(optimizer, 0.01 ** (1 / job.epochs))
    if job.schedule == "plateau":
        return optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=max(2, job.epochs // 10))
    return None
