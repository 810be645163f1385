"""The backend of batched arrays, one for each level of `vmap` and each library at the bottom."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

from ...backends import Array, Backend, Function, Namespace, backend_of, find_backend_of, register
from ..tensor import Tensor, array_of
from . import manipulation, ops, products, reductions, searching
from .array import Batched, below
from .rules import creation, one_by_one, op_rules, rules, unrelated

__all__ = ["batch", "inside", "level", "lift"]

level: ContextVar[int] = ContextVar("pullback_batching_level", default=0)
"""How many calls of `vmap` are under way, one in another."""

FAMILIES = (manipulation, ops, products, reductions, searching)
"""Imported for the rules that they enter."""


def batch(value: Any, mapped: bool = True) -> Batched:
    """`value` as a batched array of the innermost `vmap`: its first axis is the batch's, if it is `mapped`."""
    return _kind(level.get(), _bottom(value))(value, mapped)


def inside(x: Tensor) -> Tensor:
    """A Tensor as the innermost `vmap` has it: from outside, it is the same for all of the batch, and no variable."""
    here = level.get()
    if isinstance(x.array, Batched) and x.array.level == here:
        return x
    return Tensor(batch(x if x.requires_grad else x.array, mapped=False))


def lift(inputs: Sequence[Any]) -> Sequence[Any]:
    """The inputs of a call, all on the level of the highest among them.

    A Tensor of a lower level that is being recorded there is a constant of the call up here, which the functions
    of batched arrays go on recording below.
    """
    highest = max(map(_level_of, inputs))
    if not highest:
        return inputs

    def raised(x: Any) -> Any:
        recorded = isinstance(x, Tensor) and x.requires_grad
        return Tensor(_kind(highest, _bottom(x))(x, False)) if recorded and _level_of(x) < highest else x

    return list(map(raised, inputs))


def _level_of(x: Any) -> int:
    array = array_of(x)
    return array.level if isinstance(array, Batched) else 0


def _bottom(value: Any) -> Backend:
    """The backend of the arrays under all batches."""
    while isinstance(value, (Tensor, Batched)):
        value = value.array if isinstance(value, Tensor) else value.value
    return backend_of(value)


@cache
def _kind(number: int, bottom: Backend) -> type[Batched]:
    kind: type[Batched] = type("Batched", (Batched,), {"level": number, "__slots__": ()})
    kind.namespace = _Namespace(kind, bottom.namespace, "")
    register(kind, _BatchBackend(kind, bottom))
    return kind


class _Namespace:
    """The standard's namespace for batched arrays: a rule where there is one, else one array after the other."""

    def __init__(self, kind: type[Batched], bottom: Namespace, prefix: str) -> None:
        self._kind = kind
        self.bottom = bottom
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        found = self._find(name)
        setattr(self, name, found)
        return found

    def _find(self, name: str) -> Any:
        beneath = getattr(self.bottom, name)
        if not self._prefix and name in ("linalg", "fft"):
            return _Namespace(self._kind, beneath, f"{name}.")
        full = self._prefix + name
        if full in creation:
            return lambda *given, **options: self._kind(beneath(*given, **options), False)
        if full in unrelated or not callable(beneath) or isinstance(beneath, type):
            return beneath
        room = getattr(below, self._prefix[:-1]) if self._prefix else below
        return partial(rules.get(full, one_by_one), self._kind, getattr(room, name))


class _BatchBackend(Backend):
    """The backend of batched arrays: ops run by their own lines, on the namespace of batched arrays."""

    several_devices = False  # the backend at the bottom has the last word on devices

    def __init__(self, kind: type[Batched], bottom: Backend) -> None:
        self.kind = kind
        self.bottom = bottom
        self.level = kind.level
        self.name = bottom.name
        self.namespace = kind.namespace
        super().__init__(bottom.device)

    def implement(self, function: Function, /) -> Callable[..., Any]:
        """As for every backend; the lines of an op see nothing but batched arrays."""
        rule = op_rules.get(function.name)
        own = partial(function.function, self.namespace) if rule is None else partial(rule, self.kind)

        def on_batched(*inputs: Any, **metadata: Any) -> Any:
            return own(*map(self._raised, inputs), **metadata)

        return on_batched

    def _raised(self, x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(self._raised, x))
        return x if isinstance(x, self.kind) or find_backend_of(x) is None else self.kind(x, False)

    def absorbs(self, other: Backend) -> bool:
        """Arrays from below are the same for all of the batch."""
        return other is self.bottom or (
            isinstance(other, _BatchBackend) and other.bottom is self.bottom and other.level < self.level
        )

    def find_device(self, device: Any, /) -> Any:
        """As the backend at the bottom has it."""
        return self.bottom.find_device(device)

    def device_name(self, device: Any, /) -> str:
        """As the backend at the bottom has it."""
        return self.bottom.device_name(device)

    def from_scalar(self, value: Any, /) -> Array:
        """As the backend at the bottom has it."""
        return self.bottom.from_scalar(value)

    def own(self, array: Array, /, *, shared: bool) -> Array:
        """The array itself: a batched one is never written to."""
        return array

    def to_host(self, array: Array, /) -> Any:
        """Refused: there is no single value."""
        return array.refuse()

    def show(self, array: Array, /) -> str:
        """What a batched array is."""
        return repr(array)
