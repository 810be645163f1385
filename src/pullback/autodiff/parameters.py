"""What a function takes, told without `inspect.signature` where that would make importing hundreds of them slow."""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["ShownSignature", "inputs_and_metadata", "parameters_of"]


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


def inputs_and_metadata(forward: Callable[..., Any]) -> tuple[tuple[str, ...], int, bool, dict[str, Any]]:
    """Of an op's forward its inputs, how many must be given, whether they are any number, and its metadata.

    The metadata comes with its defaults; where there is none, with `inspect.Parameter.empty`.
    """
    function = inspect.unwrap(forward, stop=lambda f: hasattr(f, "__signature__"))
    shows_another = hasattr(function, "__signature__")
    if shows_another or type(function) is not FunctionType or function.__code__.co_flags & inspect.CO_VARKEYWORDS:
        parameters = list(inspect.signature(forward).parameters.values())[1:]
        inputs = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL)]
        metadata = {p.name: p.default for p in parameters if p not in inputs}
        required = sum(p.default is p.empty for p in inputs)
        return tuple(p.name for p in inputs), required, any(p.kind is p.VAR_POSITIONAL for p in inputs), metadata
    code, defaults, empty = function.__code__, function.__defaults__ or (), inspect.Parameter.empty
    names, count, total = code.co_varnames, code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    given = dict(zip(names[count - len(defaults) : count], defaults, strict=True)) | (function.__kwdefaults__ or {})
    positional = names[1 : code.co_posonlyargcount]
    several = bool(code.co_flags & inspect.CO_VARARGS)
    metadata = {name: given.get(name, empty) for name in names[max(code.co_posonlyargcount, 1) : total]}
    required = sum(name not in given for name in positional) + several
    return (*positional, names[total]) if several else positional, required, several, metadata


class ShownSignature:
    """An op's signature, made when somebody asks: without `xp`, and with inputs that may be left out given by name."""

    def __get__(self, op: Any, kind: type) -> inspect.Signature:
        if op is None:
            raise AttributeError("only an op has the signature, and not its class")
        signature = inspect.signature(op.__wrapped__)
        parameters = list(signature.parameters.values())[1:]
        shown = [
            p.replace(kind=p.POSITIONAL_OR_KEYWORD) if p.kind is p.POSITIONAL_ONLY and p.default is None else p
            for p in parameters
        ]
        vars(op)["__signature__"] = found = signature.replace(parameters=shown)
        return found
