"""What all losses share: how single losses become one number, and what may stand beside a prediction."""

from math import nan, prod
from typing import Any, Literal, TypeAlias

from ...autodiff.examples import example, normal
from ...backends import Array, Namespace, is_complex
from ..statistical import mean
from ..statistical import sum as total

__all__ = [
    "PAIR", "Reduction", "average", "beside", "check_arrays", "check_broadcasts", "check_reduction",
    "check_same_shape", "check_scores", "check_weight", "reduced", "share",
]  # fmt: skip

Reduction: TypeAlias = Literal["mean", "sum", "none"]

PAIR = [example(normal(5, 3), normal(5, 3), reduction=r) for r in ("mean", "sum", "none")]
"""Examples of losses of an input and a target of one shape."""


def reduced(xp: Namespace, losses: Array, reduction: str) -> Array:
    """The mean or the sum of all losses, or the losses themselves. The mean of none is NaN."""
    if reduction == "mean":
        return xp.sum(losses) * nan if 0 in losses.shape else xp.mean(losses)
    if reduction == "sum":
        return xp.sum(losses)
    check_reduction(reduction)
    return losses


def check_reduction(reduction: str) -> None:
    """Raise ValueError for a reduction that there is not."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is 'mean', 'sum' or 'none'; got {reduction!r}")


def average(losses: Array) -> Any:
    """The mean of all losses, arrays or Tensors; NaN of none."""
    return total(losses) * nan if 0 in losses.shape else mean(losses)


def share(g: Array, shape: tuple[int, ...], reduction: str) -> Array:
    """The gradient of each single loss, given that of the reduced one."""
    if reduction != "mean":
        return g
    return g / (prod(shape) or 1)


def check_arrays(name: str, *given: Any) -> None:
    """Raise TypeError for what is no array, such as a list."""
    for x in given:
        if not hasattr(x, "shape"):
            raise TypeError(f"{name} takes arrays; got {type(x).__name__}. Make one: pb.asarray(...)")


def check_same_shape(name: str, input: Array, target: Array) -> None:
    """Raise ValueError where target and input have different shapes."""
    if tuple(input.shape) != _shape(target):
        raise ValueError(f"{name} expects a target of the input's shape {tuple(input.shape)}; got {_shape(target)}")


def check_broadcasts(what: str, given: Array | None, input: Array) -> None:
    """Raise ValueError for what does not broadcast to the input's shape, or would make it larger."""
    shape, whole = _shape(given), tuple(input.shape)
    if len(shape) > len(whole) or any(n not in (1, m) for n, m in zip(shape[::-1], whole[::-1], strict=False)):
        raise ValueError(f"{what} broadcasts to the input's shape {whole}; got {shape}")


def check_scores(name: str, input: Array) -> None:
    """Raise ValueError for scores that have no axis of classes."""
    if not input.shape:
        raise ValueError(f"{name} takes scores with the classes along the last axis; got one number")


def check_weight(input: Array, weight: Array | None) -> None:
    """Raise ValueError where a weight has not one number for each class."""
    if weight is not None and _shape(weight) != tuple(input.shape[-1:]):
        raise ValueError(f"weight has one number for each of {input.shape[-1]} classes; got shape {_shape(weight)}")


def _shape(x: Array | None) -> tuple[int, ...]:
    """The shape of an array, or that of a number."""
    return tuple(getattr(x, "shape", ()))


def beside(xp: Namespace, x: Array, input: Array) -> Array:
    """A target or a weight in the dtype of the prediction, the loss's. Complex ones, numbers and None stay."""
    dtype = getattr(x, "dtype", input.dtype)
    return x if dtype == input.dtype or is_complex(dtype) else xp.astype(x, input.dtype)
