"""Training a job: from each random start, with the optimizer and the schedule that were chosen."""

from collections.abc import Iterable

from ..data import DataLoader
from ..nn import CrossEntropyLoss, MSELoss
from ..train import History, Restarts, Trainer, restart
from ..train.metrics import R2, Accuracy
from .job import Job
from .method import OPTIMIZERS, SCHEDULES

__all__ = ["fit"]

_SMOOTHING = 0.1
_VALIDATION_BATCH = 256


def fit(job: Job, seeds: Iterable[int], *, progress: bool) -> tuple[Restarts[Trainer], bool]:
    """Train from every seed, and keep the network that does best on the validation rows.

    Returns how that went, and whether Ctrl-C ended it. Raises Diverged when every start diverged.
    """
    regression = job.encoder.target.classes is None
    schedule = SCHEDULES[job.schedule]
    histories: list[History] = []

    def build(seed: int) -> Trainer:
        network = job.architecture.build()
        optimizer = OPTIMIZERS[job.optimizer].build(network.parameters(), job.lr)
        return Trainer(
            network,
            MSELoss() if regression else CrossEntropyLoss(label_smoothing=_SMOOTHING),
            optimizer,
            metrics=[R2() if regression else Accuracy()],
            schedule=schedule and schedule.build(optimizer, job.lr, job.epochs, job.updates),
            precision=job.precision,  # type: ignore[arg-type]
            schedule_every=schedule.every if schedule else "epoch",
            progress=progress,
        )

    def train(trainer: Trainer) -> History:
        rows = DataLoader(*job.parts["train"], batch_size=job.batch_size, shuffle=True)
        validation = DataLoader(*job.parts["validate"], batch_size=_VALIDATION_BATCH)
        histories.append(trainer.fit(rows, validation, job.epochs))
        return histories[-1]

    result = restart(build, train, seeds)
    return result, any(history.interrupted for history in histories)
