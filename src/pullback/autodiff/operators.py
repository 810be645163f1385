"""Python's operators and the methods of arrays, as calls of the namespace that a Tensor belongs to."""

from collections.abc import Callable
from typing import Any

from .tape import Leaf, recording

__all__ = ["in_place", "method", "operator", "reflected"]


def operator(name: str) -> Callable[[Any, Any], Any]:
    """`self + other` and its like."""
    return lambda self, other: getattr(self.namespace, name).on_tensors((self, other), {})


def reflected(name: str) -> Callable[[Any, Any], Any]:
    """`other + self`, where the other is no Tensor."""
    return lambda self, other: getattr(self.namespace, name)(other, self)


def in_place(name: str) -> Callable[[Any, Any], Any]:
    """`self += other`: a variable takes the new values, and stays the variable it is; of a constant, a new one."""

    def apply(self: Any, other: Any) -> Any:
        result = getattr(self.namespace, name)(self, other)
        if not isinstance(self.node, Leaf):
            return result
        if recording.get():
            raise RuntimeError("a variable is changed in place only inside `with pb.no_grad():`")
        if result.shape != self.shape:
            raise ValueError(f"a variable of shape {self.shape} cannot take values of shape {result.shape}")
        self.array = result.astype(self.dtype).array
        return self

    return apply


def method(name: str) -> Callable[..., Any]:
    """`self.name(...)` for a function of the namespace."""

    def apply(self: Any, *arguments: Any, **options: Any) -> Any:
        return getattr(self.namespace, name)(self, *arguments, **options)

    apply.__name__ = name
    apply.__doc__ = f"The same as `pb.{name}(self, ...)`."
    return apply
