"""Kernels of updates: one launch for all parameters, in place."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..backend import Array
from .launch import Source, type_of
from .parts import table_of
from .rows import contiguous
from .table import kernels

_THREADS: Final = 256

# The numbers of each rule, in the order in which optimizer.cu takes them.
_NUMBERS: Final = {
    "sgd": ("lr", "momentum", "dampening", "nesterov", "decay"),
    "adam": ("beta1", "beta2", "step_size", "eps", "decay", "shrink"),
    "nadam": ("beta1", "beta2", "gradient_size", "average_size", "eps", "decay", "shrink"),
    "radam": ("beta1", "beta2", "step_size", "eps", "rectified", "decay", "shrink"),
    "adamax": ("beta1", "beta2", "step_size", "eps", "decay"),
    "adadelta": ("lr", "rho", "eps", "decay"),
    "adagrad": ("lr", "eps", "decay"),
    "rmsprop": ("lr", "alpha", "eps", "momentum", "decay"),
    "lion": ("lr", "beta1", "beta2", "shrink"),
}
_LEFT_OUT: Final = {"momentum": 0.0, "dampening": 0.0, "nesterov": 0.0, "decay": 0.0, "shrink": 1.0}
"""What a number is that a rule is not given."""

_source = Source(
    "optimizer",
    ["update"],
    [f"{name}, {rule.capitalize()}" for name in ("float", "double") for rule in _NUMBERS],
    options=["-fmad=false"],
)


def _in_place(rule: str, names: tuple[str, ...]) -> Callable[..., Any]:
    def update(
        parameter: Array,
        gradient: Array | Sequence[Array],
        *state: Array | None,
        maximize: bool = False,
        **hyper: Any,
    ) -> Any:
        """One step for a flat buffer of parameters; their gradients lie in one like it, or each by itself.

        Returns NotImplemented for numbers that it leaves to the rule's own lines.
        """
        types = f"{type_of(parameter.dtype)}, {rule.capitalize()}"
        if types not in _source.types:
            return NotImplemented
        gradients = list(map(contiguous, gradient if isinstance(gradient, (list, tuple)) else [gradient]))
        table = table_of(gradients)
        states = (*state, None, None, None)[:3]
        numbers = [float(hyper[name] if name in hyper else _LEFT_OUT[name]) for name in names]
        sign = -1.0 if maximize else 1.0
        numbers += [0.0] * (8 - len(numbers))
        _source.launch("update", types, table.shape[0], _THREADS, table, parameter, *states, sign, *numbers)
        return None

    return update


for _rule, _names in _NUMBERS.items():
    kernels[f"{_rule}.in_place"] = _in_place(_rule, _names)
