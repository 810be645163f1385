"""What all losses share: how single losses become one number, and the check that two shapes agree."""

from math import prod
from typing import Literal, TypeAlias

from ...autodiff.examples import example, normal
from ...backends import Array, Namespace, is_floating

__all__ = ["PAIR", "Reduction", "check_same_shape", "check_weight", "labels", "reduced", "share"]

Reduction: TypeAlias = Literal["mean", "sum", "none"]

PAIR = [example(normal(5, 3), normal(5, 3), reduction=r) for r in ("mean", "sum", "none")]
"""Examples of losses of an input and a target of one shape."""


def reduced(xp: Namespace, losses: Array, reduction: str) -> Array:
    """The mean or the sum of all losses, or the losses themselves."""
    if reduction == "mean":
        return xp.mean(losses)
    if reduction == "sum":
        return xp.sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"reduction is 'mean', 'sum' or 'none'; got {reduction!r}")


def share(g: Array, shape: tuple[int, ...], reduction: str) -> Array:
    """The gradient of each single loss, given that of the reduced one."""
    if reduction != "mean":
        return g
    return g / prod(shape)


def check_same_shape(name: str, input: Array, target: Array) -> None:
    """Raise ValueError where target and input have different shapes."""
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(
            f"{name} expects a target of the input's shape {tuple(input.shape)}; got {tuple(target.shape)}"
        )


def check_weight(input: Array, weight: Array | None) -> None:
    """Raise ValueError where a weight has not one number for each class."""
    if weight is not None and tuple(weight.shape) != tuple(input.shape[-1:]):
        raise ValueError(
            f"weight has one number for each of {input.shape[-1]} classes; got shape {tuple(weight.shape)}"
        )


def labels(xp: Namespace, target: Array, input: Array) -> Array:
    """Targets such as 1 and -1 in the input's dtype, where they are integers."""
    return target if is_floating(target.dtype) else xp.astype(target, input.dtype)
