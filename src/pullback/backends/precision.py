"""What `autocast` asks for, where kernels and the tape can read it."""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar, cast

__all__ = ["casting", "in_tf32", "products_in_tf32", "uncast"]

F = TypeVar("F", bound=Callable[..., Any])

casting: ContextVar[str | None] = ContextVar("pullback_autocast", default=None)
"""The data type of products inside `autocast`, or "tf32"; None outside of it, and inside of ops and of walks back."""

in_tf32: ContextVar[bool] = ContextVar("pullback_in_tf32", default=False)


def products_in_tf32() -> bool:
    """Whether products of float32 may be taken in TF32, which rounds their factors to 10 binary places.

    For kernels of products to ask, on devices that have it; all others compute in float32. It is so while an op that
    `autocast` takes to low precision runs inside `autocast("tf32")`, and while its gradients are computed, wherever.
    """
    return in_tf32.get()


def uncast(function: F) -> F:
    """Have a function run as it does outside of `autocast`."""

    @wraps(function)
    def run(*inputs: Any, **options: Any) -> Any:
        token = casting.set(None)
        try:
            return function(*inputs, **options)
        finally:
            casting.reset(token)

    return cast(F, run)
