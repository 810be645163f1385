"""What metrics are given, as arrays: predictions and targets are Tensors, arrays or nested lists."""

from numbers import Integral
from typing import Any, NamedTuple, Protocol

from ...autodiff.tensor import array_of
from ...backends import Array, backend_of, dtype_name, find_backend_of
from ...backends.dtypes import is_floating
from ...backends.host import host

__all__ = [
    "Classes", "Metric", "as_array", "check_count", "check_kin", "check_width", "check_within", "classes_of",
    "classes_on_host", "measured", "no_classes", "numbers", "on_host", "paired", "scored", "whole",
]  # fmt: skip


class Metric(Protocol):
    """What gathers a measure over the batches of an epoch."""

    name: str
    """What its column of the history is called."""

    def update(self, prediction: Any, target: Any) -> None:
        """Take a batch into account."""

    def compute(self) -> Any:
        """The measure of all batches since `reset`."""

    def reset(self) -> None:
        """Forget all batches."""


class Classes(NamedTuple):
    """The predicted and the true classes, arrays of int64 of one shape, where the scores live.

    predicted: -1 where a score is NaN. known: whether each target is a class; None where that is sure.
    scores: how many classes have scores; None for classes against classes.
    """

    predicted: Array
    true: Array
    known: Array | None
    scores: int | None


def measured(metric: Metric, prediction: Any, target: Any) -> Any:
    """A metric of one call."""
    metric.update(prediction, target)
    return metric.compute()


def classes_of(prediction: Any, target: Any, threshold: float | None) -> Classes:
    """The predicted and the true classes. Raises ValueError for shapes that do not fit."""
    scores, true = as_array(prediction), as_array(target)
    if true.ndim == 0:  # one sample
        scores, true = (backend_of(x).namespace.reshape(x, (1, *x.shape)) for x in (scores, true))
    shape, wanted = tuple(scores.shape), tuple(true.shape)
    floating, xp = is_floating(scores.dtype), backend_of(scores).namespace
    several = floating and shape[-1:] > (1,)
    if floating and threshold is not None and shape in (wanted, (*wanted, 1)):
        scores, true = xp.reshape(scores, wanted), _cast(true, "float32")
        above = xp.where(scores == scores, _cast(scores > float(threshold), "int64"), -1)
        return Classes(above, _cast(true > 0.5, "int64"), (true >= 0) & (true <= 1), 2)
    if shape == wanted and not floating:
        return Classes(_cast(scores, "int64"), *_labels(true, None), None)
    if several and wanted == shape[:-1]:
        return Classes(_greatest(scores), *_labels(true, shape[-1]), shape[-1])
    if several and wanted == shape and len(shape) > 1:
        likeliest = _greatest(true)
        return Classes(_greatest(scores), likeliest, likeliest >= 0, shape[-1])
    if floating and shape in (wanted, (*wanted, 1)):
        raise ValueError(
            f"a prediction of shape {shape} has one score for each target: say with threshold= above which "
            "it means 1 (0 for logits, 0.5 for probabilities)"
        )
    raise ValueError(
        f"a prediction of shape {shape} and a target of shape {wanted} do not fit: expected floating scores "
        f"(N, ..., C) with classes (N, ...), or classes of one shape"
    )


def _greatest(scores: Array) -> Array:
    """The class of the greatest score; -1 where one of them is NaN."""
    xp = backend_of(scores).namespace
    best = xp.max(scores, axis=-1)
    return xp.where(best == best, _cast(xp.argmax(scores, axis=-1), "int64"), -1)


def _labels(true: Array, classes: int | None) -> tuple[Array, Array | None]:
    """Targets as int64, and whether each is a class: whole, and of `classes` where that is not None."""
    xp, known = backend_of(true).namespace, None
    if is_floating(true.dtype):
        known = xp.isfinite(true) & (xp.floor(true) == true)
        true = xp.where(known, true, 0.0)
    true = _cast(true, "int64")
    if classes is not None:
        within = (true >= 0) & (true < classes)
        known = within if known is None else known & within
    return true, known


def _cast(array: Array, dtype: str) -> Array:
    xp = backend_of(array).namespace
    return xp.astype(array, getattr(xp, dtype), copy=False)


def no_classes(name: str, count: int) -> ValueError:
    """The error for targets that are none of the classes."""
    return ValueError(
        f"{name} got targets that are no class, {count} in all: classes are whole numbers, from 0 to one less than "
        "there are scores; leave padding out"
    )


def classes_on_host(name: str, prediction: Any, target: Any, threshold: float | None) -> Classes:
    """The predicted and the true classes as flat host arrays.

    Raises ValueError where a score is NaN or a target is no class.
    """
    found = classes_of(prediction, target, threshold)
    if found.known is not None and not (known := host.asarray(on_host(found.known))).all():
        raise no_classes(name, int((~known).sum()))
    predicted, true = whole(found.predicted), whole(found.true)
    if found.scores is not None and predicted.min(initial=0) < 0:
        raise ValueError(f"{name} counts predicted classes; {int((predicted < 0).sum())} samples have scores of NaN")
    return Classes(predicted, true, None, found.scores)


def as_array(x: Any) -> Array:
    """An array of real numbers where it lives; lists become one on the host. Raises TypeError for anything else."""
    array = array_of(x)
    if find_backend_of(array) is None:
        try:
            array = host.asarray(x)
        except ValueError as error:
            raise TypeError(f"a metric takes Tensors, arrays and nested lists of numbers: {error}") from None
        array = array if array.size else array.astype(host.int64)
    if not dtype_name(array.dtype).startswith(("bool", "int", "uint", "float", "bfloat")):
        raise TypeError(f"a metric takes real numbers; got {dtype_name(array.dtype)}")
    return array


def on_host(x: Any) -> Any:
    """An array, copied to the host if it lives elsewhere; a number as it is."""
    owner = find_backend_of(x)
    return x if owner is None else owner.to_host(x)


def whole(x: Any) -> Array:
    """Classes as a flat host array of int64. Raises ValueError for what is no whole number."""
    given = host.asarray(on_host(as_array(x))).reshape(-1)
    with host.errstate(invalid="ignore"):
        classes = given.astype(host.int64)
    wrong = given[classes != given]
    if wrong.size:
        raise ValueError(f"classes are whole numbers; got {wrong[0]:g}")
    return classes


def numbers(x: Any) -> Array:
    """Numbers as a host array of float64."""
    return host.asarray(on_host(as_array(x))).astype(host.float64)


def scored(name: str, prediction: Any, target: Any) -> tuple[Array, Array]:
    """Scores as a host array (M, C) of float64, and their classes (M,). Raises ValueError where they do not fit."""
    scores, true = numbers(prediction), whole(target)
    shape, wanted = scores.shape, tuple(as_array(target).shape)
    if not shape or wanted != shape[:-1]:
        raise ValueError(f"{name} expects scores (N, ..., C) with classes (N, ...); got {shape} and {wanted}")
    return scores.reshape(true.size, shape[-1]), true


def paired(name: str, prediction: Any, target: Any) -> tuple[Array, Array]:
    """Numbers and what they should be as host arrays (N, outputs) of float64; a single number is one sample."""
    p, t = numbers(prediction), numbers(target)
    if p.shape != t.shape:
        raise ValueError(f"{name} expects a prediction of the target's shape {t.shape}; got {p.shape}")
    p, t = host.atleast_1d(p), host.atleast_1d(t)
    width = int(host.prod(p.shape[1:]))
    return p.reshape(len(p), width), t.reshape(len(t), width)


def check_count(what: str, count: Any) -> None:
    """Raises ValueError where a count is no whole number of 1 or more."""
    if not isinstance(count, Integral) or isinstance(count, bool) or count < 1:
        raise ValueError(f"{what} is a whole number, at least 1; got {count!r}")


def check_within(name: str, classes: Array, count: int) -> None:
    """Raises ValueError where a class lies outside [0, count)."""
    if classes.size and not 0 <= classes.min() <= classes.max() < count:
        found = classes.min() if classes.min() < 0 else classes.max()
        raise ValueError(f"{name} of {count} classes met class {found}")


def check_width(name: str, before: int, now: int) -> None:
    """Raises ValueError where batches have another number of outputs than those before."""
    if before != now:
        raise ValueError(f"{name} had {before} number{'' if before == 1 else 's'} for each sample; now {now}")


def check_kin(metric: Any, other: Any) -> None:
    """Raises ValueError where another metric is of another kind, or was made with other arguments."""
    mine, theirs = _described(metric), _described(other)
    if mine != theirs:
        raise ValueError(f"{mine} cannot take in what {theirs} has gathered; merge metrics that are made alike")


def _described(metric: Any) -> str:
    options = {name: value for name, value in vars(metric).items() if name != "name" and not name.startswith("_")}
    return f"{type(metric).__name__}({', '.join(f'{name}={value!r}' for name, value in options.items())})"
