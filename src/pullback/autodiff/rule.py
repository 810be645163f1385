"""How the vjps of an op are called: what each wants saved, and where its results go."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..backends import Array, Namespace, backend_of, find_backend_of
from .tape import Node, Output, Place
from .tensor import Tensor

__all__ = ["Plan", "Rule", "Step"]


class Rule:
    """One vjp: the function, the inputs it is for, and what it wants to see again."""

    __slots__ = ("arguments", "function", "metadata", "name", "saves")

    def __init__(self, op_name: str, arguments: tuple[str, ...], function: Callable[..., Any]) -> None:
        parameters = list(inspect.signature(function).parameters.values())
        positional = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        if positional[1:2] != ("g",):
            raise TypeError(f"a vjp of {op_name} starts with (xp, g, ...); got ({', '.join(positional)})")
        self.name = f"{op_name}.vjp({','.join(arguments)})"
        self.arguments = arguments
        self.function = function
        self.saves = positional[2:]
        self.metadata = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


class Step(NamedTuple):
    """One rule as a plan calls it."""

    rule: Rule
    take: tuple[int, ...]
    """Which of the plan's saved values it sees, in order."""
    slots: tuple[int, ...]
    """The positions of the parents that its results are for."""


class Plan(NamedTuple):
    """What is saved and what is called when a certain set of an op's inputs needs gradients."""

    saves: tuple[tuple[int | slice, str], ...]
    """Positions in (*inputs, output), each with the fact that is wanted of it ("" for the array itself)."""
    steps: tuple[Step, ...]

    def collect(self, inputs: Sequence[Any], y: Any) -> list[Any]:
        """What the node must keep."""
        pool = (*inputs, y)
        return [_fact(pool[position], fact) if fact else pool[position] for position, fact in self.saves]

    def pull(self, node: Node, g: Any, needed: set[Place] | None, record: bool) -> Iterator[tuple[Place, Any]]:
        """The gradients of the node's parents, each with its parent.

        g: the gradient of the output; for an op with several, a dict of those that arrived by number.
        needed: the places worth carrying a gradient to; None for all.
        record: compute on Tensors, which writes this down in turn.
        """
        parents, values = node.parents, node.values
        if type(g) is dict:
            g = _complete(g, node)
        owner = None if record else backend_of(g[0] if type(g) is tuple else g)
        xp = Tensor.namespace if owner is None else owner.namespace
        if owner is None:
            values = [v if fact else _restore(v, at, node) for (at, fact), v in zip(self.saves, values, strict=True)]
        for rule, take, slots in self.steps:
            receivers = [parents[slot] for slot in slots]
            if needed is not None:
                receivers = [parent if parent in needed else None for parent in receivers]
            if receivers.count(None) == len(receivers):
                continue
            metadata = {name: node.metadata[name] for name in rule.metadata} if rule.metadata else _NONE
            if owner is None:
                pieces = rule.function(xp, g, *[values[i] for i in take], **metadata)
            else:
                pieces = owner.implementation(rule)(g, *[values[i] for i in take], **metadata)
            for parent, piece in zip(receivers, pieces if type(pieces) is tuple else (pieces,), strict=True):
                if parent is not None:
                    if owner is not None and find_backend_of(piece) is None:
                        piece = owner.from_scalar(piece)
                    yield parent, _fit(xp, piece, parent, rule)


_NONE: Mapping[str, Any] = {}


def _fit(xp: Namespace, piece: Array, parent: Place, rule: Rule) -> Array:
    """The gradient in its input's shape and dtype: what was broadcast in the forward is summed here."""
    shape: tuple[int, ...] = parent.shape
    if piece.shape != shape:
        lead = len(piece.shape) - len(shape)
        if lead < 0 or any(n not in (1, piece.shape[i + lead]) for i, n in enumerate(shape)):
            raise ValueError(f"{rule.name} gave a gradient of shape {piece.shape} for an input of shape {shape}")
        axes = tuple(i for i, n in enumerate(piece.shape) if i < lead or n != shape[i - lead])
        piece = xp.reshape(xp.sum(piece, axis=axes, keepdims=True), shape)
    if (piece.array if isinstance(piece, Tensor) else piece).dtype != parent.dtype:
        piece = xp.astype(piece, parent.dtype)
    return piece


def _fact(value: Any, fact: str) -> Any:
    if type(value) is tuple:
        return tuple(_fact(v, fact) for v in value)
    if fact == "place":
        owner = backend_of(value)
        return owner, owner.device_of(value)
    return getattr(value, fact)


def _restore(value: Any, position: int | slice, node: Node) -> Any:
    """A saved array as the Tensor that it was, in its place on the tape."""
    if position == len(node.parents):
        if type(value) is tuple:
            return tuple(Tensor(a, Output(node, i, a.shape, a.dtype)) for i, a in enumerate(value))
        return Tensor(value, node)
    if isinstance(position, slice):
        return tuple(_restore(v, i, node) for i, v in enumerate(value, position.start))
    return value if find_backend_of(value) is None else Tensor(value, node.parents[position])


def _complete(g: dict[int, Any], node: Node) -> tuple[Any, ...]:
    """The gradients of all outputs; zeros for those that nothing depended on."""
    some = next(iter(g.values()))
    array = some.array if isinstance(some, Tensor) else some
    owner = backend_of(array)

    def zeros(i: int) -> Any:
        made = owner.namespace.zeros(node.shape[i], dtype=node.dtype[i], device=owner.device_of(array))
        return Tensor(made) if isinstance(some, Tensor) else made

    return tuple(g[i] if i in g else zeros(i) for i in range(len(node.shape)))
