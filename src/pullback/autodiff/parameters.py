"""What a function takes, told without `inspect.signature` where that would make importing hundreds of them slow."""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["parameters_of"]


def parameters_of(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of what is taken by position, and by name only."""
    if (
        type(function) is FunctionType
        and not vars(function)
        and not function.__code__.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    ):
        code = function.__code__
        names, count = code.co_varnames, code.co_argcount
        return names[:count], names[count : count + code.co_kwonlyargcount]
    parameters = inspect.signature(function).parameters.values()
    named = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    return tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY), named
