"""Python's operators and the methods of arrays, as calls of the namespace that a Tensor belongs to."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .tape import Leaf, recording

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["in_place", "method", "number", "operator", "reflected"]

T = TypeVar("T")


def operator(name: str) -> "Callable[[Tensor, Any], Tensor]":
    """`self + other` and its like."""
    op: Any = None

    def apply(self: "Tensor", other: Any) -> "Tensor":
        nonlocal op
        if op is None:  # found once: an operator of small arrays costs little more than finding it
            op = getattr(self.namespace, name)
        return op.on_tensors((self, other), {})  # type: ignore[no-any-return]

    return apply


def reflected(name: str) -> "Callable[[Tensor, Any], Tensor]":
    """`other + self`, where the other is no Tensor."""
    return lambda self, other: getattr(self.namespace, name)(other, self)


def in_place(name: str) -> "Callable[[Tensor, Any], Tensor]":
    """`self += other`: a variable takes the new values, and stays the variable it is; of a constant, a new one."""

    def apply(self: "Tensor", other: Any) -> "Tensor":
        result: Tensor = getattr(self.namespace, name)(self, other)
        if not isinstance(self.node, Leaf):
            return result
        if recording.get():
            raise RuntimeError("a variable is changed in place only inside `with pb.no_grad():`")
        if result.shape != self.shape:
            raise ValueError(f"a variable of shape {self.shape} cannot take values of shape {result.shape}")
        self.array = result.astype(self.dtype).array
        return self

    return apply


def method(name: str) -> "Callable[..., Tensor]":
    """`self.name(...)` for a function of the namespace."""

    def apply(self: "Tensor", *arguments: Any, **options: Any) -> "Tensor":
        return getattr(self.namespace, name)(self, *arguments, **options)  # type: ignore[no-any-return]

    apply.__name__ = name
    apply.__doc__ = f"The same as `pb.{name}(self, ...)`."
    return apply


def number(kind: Callable[[Any], T]) -> "Callable[[Tensor], T]":
    """`float(self)` and its like, of a Tensor of one element."""
    return lambda self: kind(self.array if not self.shape else self.namespace.reshape(self, ()).array)
