"""How the vjps of an op are called: what each wants saved, and where its results go."""

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from ..backends import Backend, backend_of, find_backend_of, is_complex, is_floating
from .parameters import parameters_of
from .tape import Node, Output, Place
from .tensor import Tensor

__all__ = ["Plan", "Rule", "Step", "make_plan"]


class Rule:
    """One vjp: the function, the inputs it is for, and what it wants to see again."""

    __slots__ = ("arguments", "function", "lasting", "metadata", "name", "saves", "zeros")

    def __init__(
        self, op: "Differentiable", arguments: tuple[str, ...], function: Callable[..., Any], zeros: bool
    ) -> None:
        positional, named = parameters_of(function)
        if positional[1:2] != ("g",):
            raise TypeError(f"a vjp of {op.name} starts with (xp, g, ...); got ({', '.join(positional)})")
        strange = [name for name in named if name not in op.defaults]
        if strange:
            known = ", ".join(op.defaults)
            raise TypeError(f"a vjp of {op.name} takes its metadata ({known}); got {', '.join(strange)}")
        self.name = f"{op.name}.vjp({','.join(arguments)})"
        self.arguments = arguments
        self.function = function
        self.lasting = op.lasting
        self.saves = positional[2:]
        self.metadata = named
        self.zeros = zeros


class Step(NamedTuple):
    """One rule as a plan calls it."""

    rule: Rule
    saved: Callable[[Sequence[Any]], Sequence[Any]]
    """Picks what it wants to see from the plan's saved values."""
    slots: tuple[int, ...]
    """The positions of the parents that its results are for."""
    only: int | None
    """Where the one value is that it wants to see, if it is one: most rules, and the quickest to call."""


def _picker(places: Sequence[int | slice]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """The function that picks the values at some places, as a sequence."""
    if len(places) > 1:
        return itemgetter(*places)
    if not places:
        return lambda values: ()
    only = places[0]
    if isinstance(only, slice):
        return lambda values: (tuple(values[only]),)
    return itemgetter(slice(only, only + 1))


class Plan:
    """What is saved and what is called when a certain set of an op's inputs needs gradients."""

    __slots__ = ("arrays", "facts", "op", "pick", "steps")

    def __init__(self, op: "Differentiable", saves: Sequence[tuple[int | slice, str]], steps: tuple[Step, ...]) -> None:
        self.op = op
        self.arrays = [position for position, fact in saves if not fact]  # positions in (*inputs, output)
        self.facts = [(position, fact) for position, fact in saves if fact]
        self.pick = _picker(self.arrays)
        self.steps = steps

    def collect(self, pool: Sequence[Any]) -> Sequence[Any]:
        """What the node must keep of (*inputs, output): arrays, which `pick` picks, then facts."""
        return [*self.pick(pool), *(_fact(pool[position], fact) for position, fact in self.facts)]

    def pull(
        self, node: Node, g: Any, needed: set[Place] | None, record: bool, owner: Backend
    ) -> list[tuple[Place, Any]]:
        """The gradients of the node's parents, each with its parent.

        g: the gradient of the output; for an op with several, a dict of those that arrived, by number.
        owner: the backend whose implementations run, where nothing is recorded.
        """
        parents, values = node.parents, node.values
        if type(g) is dict:
            g = _complete(g, node, record, any(step.rule.zeros for step in self.steps))
        if record:
            tensors = [_restore(value, at, node) for value, at in zip(values, self.arrays, strict=False)]
            values = [*tensors, *values[len(tensors) :]]
        pairs: list[tuple[Place, Any]] = []
        for rule, saved, slots, only in self.steps:
            if needed is not None and needed.isdisjoint([parents[slot] for slot in slots]):
                continue
            run: Any = (
                partial(rule.function, Tensor.namespace)
                if record
                else owner.implementations.get(rule) or owner.implementation(rule)
            )
            if rule.metadata:
                pieces = run(g, *saved(values), **{name: node.metadata[name] for name in rule.metadata})
            else:
                pieces = run(g, *saved(values)) if only is None else run(g, values[only])
            if type(pieces) is tuple:
                if len(pieces) != len(slots):
                    raise TypeError(f"{rule.name} gave {len(pieces)} gradients for {len(slots)} inputs")
                for slot, piece in zip(slots, pieces, strict=True):
                    parent: Any = parents[slot]
                    if parent is not None and (needed is None or parent in needed):
                        pairs.append(
                            (parent, _fit(piece if record else owner.from_scalar(piece), parent, rule, record))
                        )
                continue
            parent = parents[slots[0]]
            try:
                fits = pieces.shape == parent.shape and not record and pieces.dtype == parent.dtype
            except AttributeError:
                raise TypeError(f"{rule.name} gave {type(pieces).__name__}; a vjp gives an array") from None
            if not fits or len(slots) != 1:
                pieces = _fit(pieces if record else owner.from_scalar(pieces), parent, rule, record, len(slots))
            pairs.append((parent, pieces))
        return pairs


class Differentiable(Protocol):
    """What a plan is made for: an op."""

    name: str
    lasting: bool
    defaults: dict[str, Any]
    inputs: tuple[str, ...]
    variadic: bool
    rules: list[Rule]


def make_plan(op: Differentiable, tracked: int, count: int) -> Plan:
    """Which rules serve a call, and what they want saved.

    tracked: a bit for each of the `count` inputs, set where it needs a gradient.
    Raises TypeError when no rule gives one, or when a rule names what there is not.
    """
    last = len(op.inputs) - 1
    positions = {name: range(i, count if op.variadic and i == last else i + 1) for i, name in enumerate(op.inputs)}
    slots = {rule: tuple(i for name in rule.arguments for i in positions[name]) for rule in op.rules}
    needed = {name for name, places in positions.items() if any(tracked >> i & 1 for i in places)}
    chosen = set()
    for name in needed:
        own = [rule for rule in op.rules if name in rule.arguments]
        if not own:
            raise TypeError(
                f"{op.name} has no vjp for {name!r}: pass {name}.detach(), or register @{op.name}.vjp({name!r})"
            )
        # The one for most inputs, if all of those need gradients; else the one for this input alone.
        chosen.add(max(own, key=lambda rule: len(rule.arguments) * (1 if needed.issuperset(rule.arguments) else -1)))
    rules = [rule for rule in op.rules if rule in chosen]

    def locate(name: str) -> tuple[int | slice, str]:
        if name.rstrip("0123456789") == "y" and name not in positions:
            return count + 1 + int(name[1:] or -1), ""
        base, _, fact = name.rpartition("_")
        if name in positions or fact not in ("shape", "dtype", "place"):
            base, fact = name, ""
        if base not in positions:
            raise TypeError(f"a vjp of {op.name} names {name!r}, which is no input of it: {', '.join(op.inputs)}")
        places = positions[base]
        return slice(places.start, places.stop) if op.variadic and places.start == last else places.start, fact

    wanted = {name: locate(name) for rule in rules for name in rule.saves}
    names = sorted(wanted, key=lambda name: wanted[name][1])  # whole arrays first, facts after them
    steps = []
    for rule in rules:
        take = [names.index(name) for name in rule.saves]
        steps.append(Step(rule, _picker(take), slots[rule], take[0] if len(take) == 1 else None))
    saves = [wanted[name] for name in names]
    constants: list[tuple[int | slice, str]] = [
        (i, "number") for i in range(count) if not tracked >> i & 1 and (i, "") not in saves
    ]
    return Plan(op, saves + constants, tuple(steps))


def _fit(piece: Any, parent: Any, rule: Rule, record: bool, expected: int = 1) -> Any:
    """A gradient in its input's shape and dtype: what the forward repeated by broadcasting is summed."""
    if expected != 1:
        raise TypeError(f"{rule.name} gave one gradient; it is for {expected} inputs, so it gives a tuple of as many")
    shape, array = parent.shape, piece.array if record else piece
    xp = Tensor.namespace if record else backend_of(array).namespace
    if array.shape != shape:
        lead = len(array.shape) - len(shape)
        if lead < 0 or any(n not in (1, array.shape[i + lead]) for i, n in enumerate(shape)):
            raise ValueError(f"{rule.name} gave a gradient of shape {tuple(array.shape)}, its input is {tuple(shape)}")
        axes = tuple(i for i, n in enumerate(array.shape) if i < lead or n != shape[i - lead])
        piece = xp.reshape(xp.sum(piece, axis=axes, keepdims=True), shape)
    if array.dtype == parent.dtype:
        return piece
    if is_complex(array.dtype) and not is_complex(parent.dtype):
        piece = xp.real(piece)  # a real input moves along the real axis only
    return xp.astype(piece, parent.dtype)


def _fact(value: Any, fact: str) -> Any:
    if fact == "number":  # no vjp sees it: a constant, kept for those who read the tape
        return value if isinstance(value, (bool, int, float, complex)) else None
    if isinstance(value, (tuple, list)):
        return tuple(_fact(v, fact) for v in value)
    if fact == "place":
        owner = backend_of(value)
        return owner, owner.device_of(value)
    return getattr(value, fact)


def _restore(value: Any, position: int | slice, node: Node) -> Any:
    """A saved array as the Tensor that it was, in its place on the tape."""
    output = len(node.parents)  # its position; behind it are those of its parts, where there are several
    if isinstance(position, slice):
        return tuple(_restore(v, i, node) for i, v in enumerate(value, position.start))
    if position == output and type(value) is tuple:
        return tuple(_restore(y, i, node) for i, y in enumerate(value, output + 1))
    if position >= output:
        place = node if position == output else Output(node, position - output - 1, value)
        return Tensor(value, place if is_floating(value.dtype) else None)
    return value if find_backend_of(value) is None else Tensor(value, node.parents[position])


def _complete(g: dict[int, Any], node: Node, record: bool, fill: bool) -> tuple[Any, ...]:
    """The gradients of all outputs; zeros, or None, for those that nothing depended on."""
    some = next(iter(g.values()))
    device = node.owner.device_of(some.array if record else some)

    def zeros(i: int) -> Any:
        made = node.owner.namespace.zeros(node.shape[i], dtype=node.dtype[i], device=device)
        return Tensor(made) if record else made

    pieces = (g[i] if i in g else zeros(i) if fill else None for i in range(len(node.shape)))
    return tuple(pieces if record else map(node.owner.from_scalar, pieces))
