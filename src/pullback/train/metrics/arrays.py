"""What metrics are given, as arrays: predictions and targets are Tensors, arrays or nested lists."""

from typing import Any, Protocol

from ...autodiff.tensor import Tensor
from ...backends import Array, dtype_name, find_backend_of
from ...backends.host import host
from ...ops.data_types import astype
from ...ops.elementwise import greater
from ...ops.searching import argmax

__all__ = ["Metric", "as_array", "classes_of", "measured", "numbers", "on_host", "paired", "whole"]


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


def measured(metric: Metric, prediction: Any, target: Any) -> Any:
    """A metric of one call."""
    metric.update(prediction, target)
    return metric.compute()


def classes_of(prediction: Any, target: Any, threshold: float | None) -> tuple[Array, Array]:
    """The predicted and the true classes, as arrays of one shape."""
    scores, true = as_array(prediction), as_array(target)
    shape, wanted = tuple(scores.shape), tuple(true.shape)
    floating = "float" in dtype_name(scores.dtype)
    if threshold is not None and floating and shape in (wanted, (*wanted, 1)):
        above = greater(scores.reshape(wanted), threshold)
        return astype(above, "int64"), astype(greater(astype(true, "float32"), 0.5), "int64")
    if shape == wanted and not floating:
        return scores, true
    if floating and shape[-1:] > (1,) and wanted == shape[:-1]:
        return argmax(scores, axis=-1), true
    if floating and shape[-1:] > (1,) and wanted == shape and len(shape) > 1:
        return argmax(scores, axis=-1), argmax(true, axis=-1)
    if floating and shape in (wanted, (*wanted, 1)):
        raise ValueError(
            f"a prediction of shape {shape} has one score for each target: say with threshold= above which "
            "it means 1 (0 for logits, 0.5 for probabilities)"
        )
    raise ValueError(
        f"a prediction of shape {shape} and a target of shape {wanted} do not fit: expected scores "
        f"(N, ..., C) with classes (N, ...), or classes of one shape"
    )


def as_array(x: Any) -> Array:
    """An array where it lives; lists become one on the host."""
    if isinstance(x, Tensor):
        return x.array
    return x if find_backend_of(x) is not None else host.asarray(x)


def on_host(x: Any) -> Any:
    """An array, copied to the host if it lives elsewhere; a number as it is."""
    owner = find_backend_of(x)
    return x if owner is None else owner.to_host(x)


def whole(x: Any) -> Array:
    """Classes as a flat host array of int64."""
    return host.asarray(on_host(as_array(x))).astype(host.int64).reshape(-1)


def numbers(x: Any) -> Array:
    """Numbers as a host array of float64."""
    return host.asarray(on_host(as_array(x))).astype(host.float64)


def paired(name: str, prediction: Any, target: Any) -> tuple[Array, Array]:
    """Numbers and what they should be as host arrays (N, outputs) of float64."""
    p, t = numbers(prediction), numbers(target)
    if p.shape != t.shape or p.ndim == 0:
        raise ValueError(f"{name} expects a prediction of the target's shape {t.shape}; got {p.shape}")
    width = 1 if p.ndim == 1 else int(host.prod(p.shape[1:]))
    return p.reshape(len(p), width), t.reshape(len(t), width)
