"""Metrics by name, as a `Trainer` takes them."""

from collections.abc import Callable
from typing import Any

from .accuracy import Accuracy, TopKAccuracy
from .confusion import F1, Precision, Recall
from .perplexity import Perplexity
from .ranking import ROCAUC, AveragePrecision
from .regression import MAE, MSE, R2, RMSE

__all__ = ["by_name"]

_PLAIN: tuple[Callable[[], Any], ...] = (
    Accuracy, TopKAccuracy, Precision, Recall, F1, ROCAUC, AveragePrecision, Perplexity, R2, MAE, MSE, RMSE,
)  # fmt: skip
_AVERAGED = tuple((cls, average) for cls in (Precision, Recall, F1) for average in ("micro", "macro", "weighted"))


def by_name(name: str) -> Any:
    """A new metric of its own name, such as "accuracy", "f1_macro" or "rmse", with the usual arguments.

    Raises ValueError for a name that is none, listing those that are.

    >>> by_name("f1_macro").average
    'macro'
    """
    known = [make() for make in _PLAIN] + [cls(average) for cls, average in _AVERAGED]  # type: ignore[arg-type]
    for metric in known:
        if metric.name == name:
            return metric
    raise ValueError(
        f"there is no metric {name!r}; there are {', '.join(metric.name for metric in known)}. "
        "Others, and those with arguments, are given as objects: metrics=[Accuracy(threshold=0)]"
    )
