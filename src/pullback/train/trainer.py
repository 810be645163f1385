"""Trainer: the training loop."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import Parameter as Argument
from inspect import signature
from math import isfinite, nan
from numbers import Integral
from time import perf_counter
from typing import Any, Literal

from ..autodiff.autocast import autocast
from ..autodiff.tape import no_grad
from ..autodiff.tensor import Tensor
from ..backends import backend_of
from ..backends.host import host
from ..data.dataset import ArrayDataset
from ..data.loader import DataLoader
from ..nn.module import Module
from ..ops.manipulation import concat
from ..ops.precision import wide
from ..optim.clip import clip_grads_with_norm_, get_total_norm
from ..optim.divergence import Diverged, LossWatch
from ..optim.grad_scaler import GradScaler
from ..optim.lbfgs import LBFGS
from ..optim.optimizer import Optimizer
from ..optim.sam import SAM
from .early_stopping import EarlyStopping
from .history import History, Row
from .metrics import Metric, by_name
from .progress import Progress
from .snapshot import Snapshot, buffers_kept

__all__ = ["Trainer"]


class Trainer:
    """Trains a model: epochs of updates, measured, watched over, and ended in good order.

    model: called with all arrays of a batch but the last.
    loss: called with what the model gives and the last array, the target; gives the mean loss of the batch.
    optimizer: of the model's parameters. SAM and LBFGS evaluate a batch several times in an update; what is measured
        is the first, and so are the model's running averages.
    metrics: what else to measure: objects of `train.metrics`, or their names, such as "accuracy" or "f1_macro".
    schedule: a learning-rate schedule. Its `step()` is called after every epoch, or after every update with
        `schedule_every="iteration"`; one whose `step` wants a value is given the monitored one.
    clip_norm: the greatest norm of all gradients together; None leaves them as they are.
    precision: what model and loss compute in: `"float32"`; or `"tf32"`, `"bfloat16"` or `"float16"` as `autocast` mixes
        them with float32, with the loss scaled for float16 by a `GradScaler`, the trainer's `scaler`. `predict`
        computes in the parameters' own.
    early_stopping: an `EarlyStopping`. What it monitors also decides which epoch is best; without one that is
        the loss on the validation data, or where there are none the training loss.
    restore_best_weights: end with the weights of the best epoch rather than of the last.
    detect_divergence: raise Diverged when the loss is not finite or grows past a million times its start.
    progress: show a progress bar on stderr.

    >>> import pullback as pb
    >>> from pullback import nn, optim
    >>> x = pb.linspace(-1, 1, 64).reshape((64, 1))
    >>> _ = pb.manual_seed(0)
    >>> model = nn.Linear(1, 1)
    >>> trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    >>> history = trainer.fit((x, 3 * x + 1), epochs=50)
    >>> round(model.weight.item(), 2), round(model.bias.item(), 2)
    (3.0, 1.0)
    """

    def __init__(
        self,
        model: Module,
        loss: Callable[[Any, Any], Tensor],
        optimizer: Optimizer,
        *,
        metrics: Sequence[Metric | str] = (),
        schedule: Any = None,
        schedule_every: Literal["epoch", "iteration"] = "epoch",
        clip_norm: float | None = None,
        precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32",
        early_stopping: EarlyStopping | None = None,
        restore_best_weights: bool = True,
        detect_divergence: bool = True,
        progress: bool = True,
    ) -> None:
        if schedule_every not in ("epoch", "iteration"):
            raise ValueError(f"schedule_every is 'epoch' or 'iteration'; got {schedule_every!r}")
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"clip_norm is a positive number or None; got {clip_norm!r}")
        if precision not in ("float32", "tf32", "bfloat16", "float16"):
            raise ValueError(f"precision is 'float32', 'tf32', 'bfloat16' or 'float16'; got {precision!r}")
        if precision == "float16" and isinstance(optimizer, (SAM, LBFGS)):
            raise ValueError(
                f"{type(optimizer).__name__} computes a loss several times in a step, and float16 scales it for one; "
                "take precision='bfloat16'"
            )
        measures: tuple[Metric, ...] = tuple(by_name(m) if isinstance(m, str) else m for m in metrics)
        names = [_metric_name(metric) for metric in measures]
        twice = next((name for name in ["loss", *names] if ["loss", *names].count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two measures are named {twice!r}; give one of the metrics another `name`")
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.metrics = measures
        self.schedule = schedule
        self.schedule_takes_value = schedule is not None and _takes_value(schedule.step)
        self.schedule_every = schedule_every
        self.clip_norm = clip_norm
        self.precision = precision
        self.scaler = GradScaler(enabled=precision == "float16")
        self.early_stopping = early_stopping
        self.restore_best_weights = restore_best_weights
        self.detect_divergence = detect_divergence
        self.progress = progress

    def fit(self, train: Any, validation: Any = None, epochs: int = 1) -> History:
        """Train for some epochs, and return what was measured.

        train: a `DataLoader`; a tuple of arrays or an `ArrayDataset`, which is shuffled and cut into batches
            of 32; or anything with a length that gives batches anew each time it is iterated over, such as
            a list of tuples of arrays.
        validation: the same, but in order; measured after every epoch and never learnt from.

        Ctrl-C ends training in good order: what was learnt is kept, and the history says `interrupted`.
        Raises Diverged, naming the iteration, the learning rate and the last good loss; the parameters are
        put back to those of that loss, and its `history` holds the epochs before.
        """
        if not isinstance(epochs, Integral) or isinstance(epochs, bool) or epochs < 1:
            raise ValueError(f"epochs is a whole number of at least 1; got {epochs!r}")
        run = _Run(self, _as_batches(train, shuffle=True), None if validation is None else _as_batches(validation))
        training = self.model.training
        try:
            with self._quiet(), Progress(epochs, _sample_count(run.train), self.progress) as bar:
                run.go(epochs, bar)
        except KeyboardInterrupt:
            run.history.interrupted = True
        except Diverged as error:
            if run.good is not None:
                run.good.restore()
            error.history = run.history
            raise
        finally:
            self.model.train(training)
        if self.restore_best_weights and run.history.best_epoch is not None:
            run.best.restore()
        return run.history

    def evaluate(self, data: Any) -> dict[str, Any]:
        """The loss and the metrics on some data, by name, with the model in evaluation mode.

        data: as for `fit`, in order.
        """
        meter, training = Meter(self.metrics), self.model.training
        self.model.eval()
        try:
            with no_grad():
                for inputs, target in map(_parts, _as_batches(data)):
                    prediction, loss = self.compute(inputs, target)
                    meter.add(loss.item(), prediction, target)
        finally:
            self.model.train(training)
        return meter.results()

    def compute(self, inputs: Sequence[Any], target: Any) -> tuple[Any, Tensor]:
        """What the model gives for a batch, and the loss, in the trainer's precision."""
        with nullcontext() if self.precision == "float32" else autocast(self.precision):
            prediction = self.model(*inputs)
            return prediction, self.loss(prediction, target)

    def predict(self, inputs: Any) -> Tensor:
        """What the model gives for every sample, in order, in evaluation mode: one Tensor.

        inputs: an array; a tuple of arrays where the model takes several; or a `DataLoader`, whose last
            array, when it has several, is a target and left out.
        Raises ValueError for a loader that shuffles.
        """
        if isinstance(inputs, DataLoader):
            if inputs.shuffle:
                raise ValueError("predict keeps the order of the samples, but this loader shuffles them")
            loader, targets = inputs, len(inputs.dataset.arrays) > 1
        else:
            loader, targets = DataLoader(*(inputs if isinstance(inputs, tuple) else (inputs,)), batch_size=256), False
        training = self.model.training
        self.model.eval()
        try:
            with no_grad():
                return concat([self.model(*(batch[:-1] if targets else batch)) for batch in loader])  # type: ignore[no-any-return]
        finally:
            self.model.train(training)

    def _quiet(self) -> AbstractContextManager[Any]:
        """Where divergence is reported as such, NumPy's warnings on the way there are not."""
        ignored = host.errstate(over="ignore", invalid="ignore", divide="ignore")
        return ignored if self.detect_divergence else nullcontext()


class Meter:
    """The loss and metrics of the batches of an epoch, every sample counting alike."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = metrics
        self.samples = 0
        self._loss = 0.0
        for metric in metrics:
            metric.reset()

    def add(self, loss: float, prediction: Tensor, target: Tensor) -> None:
        """Take in a batch."""
        count = target.shape[0]
        self.samples += count
        self._loss += loss * count
        for metric in self.metrics:
            metric.update(wide(Tensor.namespace, prediction.detach()), target)

    @property
    def loss(self) -> float:
        """The mean loss so far."""
        return self._loss / self.samples if self.samples else nan

    def results(self) -> dict[str, Any]:
        """Everything so far, by name."""
        return {"loss": self.loss, **{metric.name: metric.compute() for metric in self.metrics}}


class _Run:
    """One call of `Trainer.fit`."""

    def __init__(self, trainer: Trainer, train: Any, validation: Any) -> None:
        if len(train) == 0:
            raise ValueError("the training data give no batch; with drop_last, have at least batch_size samples")
        self.trainer = trainer
        self.train = train
        self.validation = validation
        self.stopping = trainer.early_stopping or EarlyStopping(
            "loss" if validation is None else "val_loss", patience=None
        )
        self.stopping.reset()
        self._check_monitor()
        self.history = History(self.stopping.monitor, self.stopping.mode)
        self.iteration = 0
        self.best = Snapshot(trainer.model)
        self.good = Snapshot(trainer.model) if trainer.detect_divergence else None
        self.losses = LossWatch()
        self.batch: tuple[tuple[Any, ...], Any] = ((), None)

    def _check_monitor(self) -> None:
        names = ["loss", *(metric.name for metric in self.trainer.metrics)]
        known = names if self.validation is None else names + [f"val_{name}" for name in names]
        if self.stopping.monitor not in known:
            raise ValueError(
                f"early stopping watches {self.stopping.monitor!r}; this run measures {', '.join(known)}"
                + (". Give fit validation data" if self.stopping.monitor.startswith("val_") else "")
            )

    def go(self, epochs: int, bar: Progress) -> None:
        """Every epoch, until the last or an early stop."""
        for epoch in range(1, epochs + 1):
            begun, rate = perf_counter(), self._rate()
            bar.start(epoch)
            measured = self._train_epoch(bar)
            if self.validation is not None:
                results = self.trainer.evaluate(self.validation)
                measured.update((f"val_{name}", value) for name, value in results.items())
            row: Row = {"epoch": epoch, "iterations": self.iteration}
            row.update((name, float(value)) for name, value in measured.items() if getattr(value, "ndim", 0) == 0)
            row.update(lr=rate, seconds=perf_counter() - begun)
            monitored = row[self.stopping.monitor]
            improved = self.stopping.update(monitored)
            if self.good is not None:
                self._check_epoch(row, last=epoch == epochs or self.stopping.stop)
            self.history.append(row)
            bar.finish(row)
            if improved:
                self.best.take()
                self.history.best_epoch = epoch
            if self.stopping.stop:
                self.history.stopped_early = True
                return
            self._step_schedule("epoch", monitored)

    def _check_epoch(self, row: Row, last: bool) -> None:
        """Raise Diverged where the last update of an epoch, whose effect no training loss shows, did harm."""
        if self.validation is not None:
            if not isfinite(row["val_loss"]):
                raise self._diverged(f"the validation loss is {row['val_loss']:.6g}")
        elif last:
            inputs, target = self.batch
            self.trainer.model.eval()
            with no_grad():
                loss = self.trainer.compute(inputs, target)[1].item()
            if not self.losses.accepts(loss):
                raise self._diverged(self.losses.complaint(loss))

    def _train_epoch(self, bar: Progress) -> dict[str, Any]:
        trainer, meter = self.trainer, Meter(self.trainer.metrics)
        trainer.model.train()
        for inputs, target in map(_parts, self.train):
            self.iteration += 1
            self.batch = inputs, target
            value, prediction = self._update()
            meter.add(value, prediction, target)
            bar.advance(target.shape[0], self.iteration, meter.loss)
        if self.good is not None and not _is_finite(trainer.model):
            raise self._diverged("the parameters are not finite")
        return meter.results()

    def _update(self) -> tuple[float, Any]:
        """One step of the optimizer; gives the loss of the batch before it, and what the model said."""
        trainer, (inputs, target) = self.trainer, self.batch
        first: list[tuple[float, Any]] = []

        def closure() -> Tensor:
            """The loss and its gradients: called once, or by SAM and LBFGS also where they only look."""
            trainer.optimizer.zero_grad()
            with buffers_kept(trainer.model) if first else nullcontext():
                prediction, loss = trainer.compute(inputs, target)
                trainer.scaler.scale(loss).backward()
            if not first:
                first.append((loss.item(), prediction))
                self._check_loss(first[0][0])
            if trainer.clip_norm is not None:
                learned = [p for group in trainer.optimizer.param_groups for p in group["params"]]
                norm = trainer.scaler.unscale_(trainer.optimizer)  # None where the scaler has nothing to do
                if norm is None:
                    norm = get_total_norm([p.grad for p in learned if p.grad is not None])
                clip_grads_with_norm_(learned, trainer.clip_norm, norm)
            return loss

        if trainer.scaler.is_enabled():
            closure()
            trainer.scaler.step(trainer.optimizer)
            trainer.scaler.update()
        else:
            trainer.optimizer.step(closure)
        self._step_schedule("iteration", first[0][0])
        return first[0]

    def _check_loss(self, loss: float) -> None:
        """Raise Diverged for a loss that is not good; of one that is, remember the parameters."""
        if self.good is not None:
            if not self.losses.accepts(loss):
                raise self._diverged(self.losses.complaint(loss))
            self.good.take()

    def _step_schedule(self, moment: str, value: float) -> None:
        schedule = self.trainer.schedule
        if schedule is not None and self.trainer.schedule_every == moment:
            schedule.step(*([value] if self.trainer.schedule_takes_value else []))

    def _diverged(self, reason: str) -> Diverged:
        return Diverged(reason, iteration=self.iteration, rate=self._rate(), last_loss=self.losses.last_loss)

    def _rate(self) -> float:
        return float(self.trainer.optimizer.param_groups[0]["lr"])


def _as_batches(data: Any, shuffle: bool = False) -> Any:
    """What gives batches and has a length."""
    if isinstance(data, (tuple, list)) and data and all(map(_is_batch, data)):
        return data
    if isinstance(data, (ArrayDataset, tuple, list)):
        arrays = (data,) if isinstance(data, ArrayDataset) else data
        return DataLoader(*arrays, batch_size=32 if shuffle else 256, shuffle=shuffle)
    if isinstance(data, Iterable) and hasattr(data, "__len__") and not hasattr(data, "shape"):
        return data
    raise TypeError(f"expected a DataLoader, an ArrayDataset or a tuple of arrays; got {type(data).__name__}")


def _is_batch(item: Any) -> bool:
    """Whether an item of a list is a batch, that is arrays together, and not one array."""
    return isinstance(item, (tuple, list)) and bool(item) and all(getattr(part, "shape", ()) for part in item)


def _sample_count(batches: Any) -> int | None:
    return batches.plan.samples_per_epoch if isinstance(batches, DataLoader) else None


def _parts(batch: Any) -> tuple[tuple[Any, ...], Any]:
    """The inputs and the target of a batch."""
    *inputs, target = batch
    if not inputs:
        raise ValueError(
            "a batch holds inputs and a target; these have one array. Where it is both, give it twice: DataLoader(x, x)"
        )
    return tuple(inputs), target


def _metric_name(metric: Any) -> str:
    """The name of a metric. Raises TypeError for what is none."""
    if isinstance(metric, type):
        raise TypeError(f"metrics are objects, and {metric.__name__} is a class; give {metric.__name__}()")
    missing = [name for name in ("name", "update", "compute", "reset") if not hasattr(metric, name)]
    if missing:
        raise TypeError(f"{metric!r} is no metric: it lacks {', '.join(missing)}; see pullback.train.metrics")
    return str(metric.name)


def _takes_value(step: Callable[..., Any]) -> bool:
    """Whether a schedule's step cannot do without a value, as ReduceLROnPlateau's."""
    positional = (Argument.POSITIONAL_ONLY, Argument.POSITIONAL_OR_KEYWORD)
    return any(a.default is a.empty and a.kind in positional for a in signature(step).parameters.values())


def _is_finite(model: Module) -> bool:
    for p in model.parameters():
        owner = backend_of(p.array)
        xp = owner.namespace
        if not bool(owner.to_host(xp.all(xp.isfinite(p.array)))):
            return False
    return True
