"""What an optimizer is given to learn: Tensors, pairs of a name and a Tensor, or groups of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..autodiff.tape import Leaf
from ..autodiff.tensor import Tensor
from ..nn.containers import ParameterList
from ..nn.module import Module, Parameter

__all__ = ["check_variable", "listed", "without_names"]


def listed(optimizer: str, params: Any) -> list[Any]:
    """Parameters or groups as a list. Raises TypeError for what is none, and for a set, which has no order."""
    if isinstance(params, Tensor):
        advice = "for one Tensor w, pass [w]"
    elif isinstance(params, Module) and not isinstance(params, ParameterList):
        advice = f"for a {type(params).__name__}, pass its parameters()"
    elif isinstance(params, Mapping):
        advice = "for one group, pass [group]; for parameters by name, pass .items()"
    elif isinstance(params, (set, frozenset)):
        advice = "a set has another order in every run, and state is saved by their order"
    elif isinstance(params, Iterable):
        return list(params)
    else:
        advice = f"got {params!r}"
    raise TypeError(f"{optimizer} takes a list of parameters; {advice}")


def without_names(optimizer: str, given: Sequence[Any]) -> tuple[list[Any], dict[str, list[str]]]:
    """Parameters alone; and their names as an entry of their group, where they were given as pairs."""
    pairs = [pair for pair in given if isinstance(pair, tuple)]
    if any(len(pair) != 2 or not isinstance(pair[0], str) for pair in pairs):
        raise ValueError(f"{optimizer} takes parameters, or pairs of a name and a parameter; got another tuple")
    if 0 < len(pairs) < len(given):
        raise ValueError(f"{optimizer} takes all parameters with names or all without; got {len(pairs)} with names "
                         f"of {len(given)}")  # fmt: skip
    return ([p for _, p in pairs], {"param_names": [name for name, _ in pairs]}) if pairs else (list(given), {})


def check_variable(p: Any) -> None:
    """Raises ValueError for what cannot be learnt: anything but a Parameter, or a Tensor that requires gradients."""
    if isinstance(p, Tensor) and p.requires_grad and not isinstance(p.node, Leaf):
        raise ValueError(
            "an optimizer takes variables; got a Tensor that was computed from others. Pass those, "
            "or make it a variable of its own with .detach().requires_grad_()"
        )
    if not isinstance(p, Parameter) and not (isinstance(p, Tensor) and p.requires_grad):
        advice = "; pass its parameters()" if isinstance(p, Module) else ""
        raise ValueError(f"an optimizer takes Tensors that require gradients; got {type(p).__name__}{advice}")
