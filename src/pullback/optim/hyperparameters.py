"""What hyperparameters may be: one check for every optimizer."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

__all__ = ["AT_LEAST_ZERO", "Check", "at_least", "check_hyperparameters"]


Check = tuple[Callable[[Any], bool], str]
"""What says whether a value is good, and what a good one is in words."""


AT_LEAST_ZERO: Check = (lambda value: bool(0 <= value < inf)), "a finite number of at least 0"


def _share(value: Any) -> bool:
    return bool(0 <= value < 1)


def at_least(least: int) -> Check:
    """A whole number with a lower bound."""
    return (lambda value: value == int(value) and bool(value >= least)), f"a whole number of at least {least}"


_RULES: dict[str, Check] = {
    **dict.fromkeys(
        (
            "lr", "lr_decay", "eps", "weight_decay", "momentum", "initial_accumulator_value", "momentum_decay",
            "lambd", "t0", "initial_lr",
        ),
        AT_LEAST_ZERO,
    ),
    **dict.fromkeys(("alpha", "rho"), (lambda value: bool(0 <= value <= 1), "a number from 0 to 1")),
    "betas": (lambda pair: len(pair) == 2 and all(map(_share, pair)), "two numbers in [0, 1)"),
    "dampening": (lambda value: bool(-inf < value < inf), "a finite number"),
}  # fmt: skip


def check_hyperparameters(optimizer: str, group: Mapping[str, Any], particular: Mapping[str, Check] = _RULES) -> None:
    """Raises ValueError, naming the optimizer, for a hyperparameter of a group that makes no sense.

    particular: what is allowed for this optimizer, by name, where it differs from what is so for all.

    >>> check_hyperparameters("SGD", {"lr": -0.1})
    Traceback (most recent call last):
    ValueError: SGD expects lr to be a finite number of at least 0; got -0.1
    """
    for name, (allows, description) in {**_RULES, **particular}.items():
        if name in group:
            try:
                good = allows(group[name])
            except (TypeError, ValueError, LookupError, ArithmeticError):  # no number, or too few of them
                good = False
            if not good:
                raise ValueError(f"{optimizer} expects {name} to be {description}; got {group[name]!r}")
    if group.get("nesterov") and "dampening" in group and (not group["momentum"] or group["dampening"]):
        raise ValueError(
            f"{optimizer} with nesterov=True expects a momentum above 0 and no dampening; "
            f"got momentum={group['momentum']!r}, dampening={group['dampening']!r}"
        )
