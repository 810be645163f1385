"""One array that stands for many."""

from collections.abc import Callable
from math import prod
from typing import Any, ClassVar

from ...backends import Namespace
from ..tensor import Tensor, array_of

__all__ = ["Batched", "below"]

_SPELLED = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "pow", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
}  # fmt: skip
"""Python's binary operators, and the functions of the standard that they are."""
_COMPARISONS = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
}  # fmt: skip
_SIGNS = {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "bitwise_invert"}


class _Below:
    """The package's own namespace: what rules call on the values of a batch, whichever kind they are."""

    def __getattr__(self, name: str) -> Any:
        return getattr(Tensor.namespace, name)


below = _Below()


class Batched:
    """One array that stands for a batch of them.

    value: all of them, along a first axis; an array or a Tensor. Where not `mapped`: the one that all are.
    Its class knows the level of the `vmap` that made it, and its namespace, whose backend it belongs to.
    """

    __slots__ = ("mapped", "value")

    level: ClassVar[int]
    namespace: ClassVar[Any]

    __array_ufunc__ = None

    def __init__(self, value: Any, mapped: bool = True) -> None:
        self.value = value
        self.mapped = mapped

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of one of the batch along each axis."""
        return tuple(self.value.shape[1:] if self.mapped else self.value.shape)

    @property
    def ndim(self) -> int:
        """The number of axes of one of the batch."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements of one of the batch."""
        return prod(self.shape)

    @property
    def dtype(self) -> Any:
        """The data type, as the library at the bottom has it."""
        return array_of(self.value).dtype

    @property
    def device(self) -> Any:
        """Where the batch lives."""
        return self.value.device

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return self.namespace.matrix_transpose(self)

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Namespace:
        return self.namespace

    def __getitem__(self, key: Any) -> Any:
        whole = key if isinstance(key, tuple) else (key,)
        return type(self)(below.getitem(self.value, (slice(None), *whole) if self.mapped else whole), self.mapped)

    def refuse(self, *_: Any) -> Any:
        """Say that no single value is known, and what to do instead."""
        raise TypeError(
            "inside vmap an array stands for many, so no single value is known here: "
            "choose with pb.where(...), and index with slices and arrays of integers"
        )

    __bool__ = __int__ = __float__ = __complex__ = __index__ = __array__ = __setitem__ = refuse

    def __repr__(self) -> str:
        return f"<one of a batch: {self.dtype}{list(self.shape)}>"

    __hash__ = object.__hash__


def _forwarded(name: str) -> Callable[..., Any]:
    def apply(self: Batched, *other: Any) -> Any:
        if other and isinstance(other[0], Batched) and other[0].level > self.level:
            return NotImplemented  # the array of the inner vmap knows what to do with one of the outer
        return getattr(self.namespace, name)(self, *other)

    return apply


def _reflected(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: getattr(self.namespace, name)(other, self)


for _spelling, _name in {**_SPELLED, **_COMPARISONS, **_SIGNS}.items():
    setattr(Batched, f"__{_spelling}__", _forwarded(_name))
for _spelling, _name in _SPELLED.items():
    setattr(Batched, f"__r{_spelling}__", _reflected(_name))
