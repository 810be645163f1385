"""What the models of the zoo say to sizes and inputs that they cannot take."""

from collections.abc import Callable
from typing import Any

from .. import nn
from ..backends import KINDS, dtype_name
from ..ops.sizes import shape_of, whole

__all__ = ["check_samples", "check_sizes", "check_tokens", "made"]


def check_sizes(model: str, *, least: int = 1, **sizes: Any) -> None:
    """Raise TypeError for a size that is no whole number, ValueError for one below the least."""
    for name, size in sizes.items():
        whole(size, f"{model}: {name}", least=least)


def check_samples(model: str, x: Any, shape: tuple[int, ...]) -> None:
    """Raise TypeError for what is no array, ValueError for one that is not (N, *shape)."""
    given = shape_of(model, x)
    if len(given) != len(shape) + 1 or given[1:] != shape:
        last = ", channels last" if len(shape) > 2 else ""
        raise ValueError(f"{model} takes (N, {', '.join(map(str, shape))}){last}, as it was made; got shape {given}")


def check_tokens(model: str, tokens: Any, longest: int | None = None, before: int = 0) -> None:
    """Raise TypeError for what are no integers, ValueError for other than (N, L), or more than the longest text.

    before: how many tokens were read already.
    """
    shape = shape_of(model, tokens)
    if len(shape) != 2 or not shape[1]:
        raise ValueError(f"this {model} takes tokens (N, L), one or more of each text; got shape {shape}")
    if dtype_name(tokens.dtype) not in KINDS["integral"]:
        raise TypeError(f"the tokens of a {model} are integers; got {dtype_name(tokens.dtype)}")
    if longest is not None and before + shape[1] > longest:
        raise ValueError(f"this {model} takes texts of up to {longest} tokens; got {before + shape[1]}")


def made(activation: Callable[[], nn.Module]) -> nn.Module:
    """A layer of its own from what makes it. Raises TypeError for a layer that is made already, and for names."""
    if isinstance(activation, nn.Module) or not callable(activation):
        raise TypeError(
            f"activation is what makes a layer, such as the class nn.ReLU, since each place has its own; "
            f"got {activation!r}"
        )
    return activation()
