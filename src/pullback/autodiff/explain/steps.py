"""A recorded computation as steps: each value, its derivative by each of its inputs, its gradient.

The tape keeps what the vjps want to see again and nothing else. Most values are there; the others are computed
again from them, and what neither gives is left open. Every derivative is one walk of the engine over one step.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from math import prod
from typing import Any, NamedTuple

from ...backends import Array, backend_of, find_backend_of, is_complex
from ...backends.host import host
from ..rule import Plan
from ..tape import Leaf, Node, Output, Place, behind, walk
from ..tensor import Tensor
from .notation import Formula, derivative, expression, multiple, symbol
from .writing import text

__all__ = ["Link", "Step", "steps_behind"]


class Link(NamedTuple):
    """An input of a step, and the step's derivative by it."""

    input: "Step"
    formula: Formula | None
    """How the derivative is taught, where there is a formula for it."""
    derivative: float | None
    """The derivative itself, where both are one real number."""
    rule: str
    """The vjp that gives it."""


@dataclass(frozen=True, eq=False)
class Step:
    """One value of a computation: a variable, a constant, or what an op gave."""

    name: str
    kind: str
    """"variable", "constant", or the name of the op."""
    shape: tuple[int, ...] | None
    formula: Formula
    links: tuple[Link, ...] = ()
    value: Tensor | None = None
    gradient: Tensor | None = None
    """The gradient of the result, of this step's shape; None for a constant."""

    @property
    def expression(self) -> str:
        """How it comes about: `w·x`; of a variable, its name."""
        return text(self.formula)

    @property
    def computed(self) -> bool:
        """Whether an op gave it."""
        return self.kind not in ("variable", "constant")


def steps_behind(result: Tensor, names: Mapping[str, Tensor]) -> list[Step]:
    """The steps that led to a result of one element, variables first (in the order of their names), the result last.

    Raises RuntimeError where there is no graph, or none any more.
    """
    if result.node is None:
        raise RuntimeError("there is nothing to explain in a constant; no variable with requires_grad led to it")
    places = _places(result.node)
    values = _values(places, result, names.values())
    gradients = _gradients(places, Tensor.namespace.ones_like(result.detach()).array)
    called = _names(places, names)
    constants = _Constants(names, set(called.values()))
    steps: dict[Place, Step] = {}
    for place in places:
        name, value = called[place], values.get(place)
        described: dict[str, Any] = {"kind": "variable", "formula": symbol(name)}
        if not isinstance(place, Leaf):
            described = _call(place, name, steps, gradients[place], constants)
        steps[place] = Step(
            name=name,
            shape=tuple(place.shape),
            value=None if value is None else Tensor(value),
            gradient=Tensor(gradients[place]),
            **described,
        )
    given = {name: position for position, name in enumerate(names)}
    variables = [step for step in steps.values() if not step.computed]
    variables.sort(key=lambda step: given.get(step.name, len(given)))
    return [*variables, *constants.steps, *(step for step in steps.values() if step.computed)]


def _places(result: Place) -> list[Place]:
    """The places of the graph that stand for a value, oldest first."""
    found = sorted(behind([result]), key=lambda place: place.index)
    if any(isinstance(place, Node) and place.plan is None for place in found):
        raise RuntimeError(
            "this graph was walked and freed by backward(); call pb.explain before it, or backward(retain_graph=True)"
        )
    if any(isinstance(place, Node) and not isinstance(place.plan, Plan) for place in found):
        raise RuntimeError("this graph has a part that is recomputed; explain the function without pb.checkpoint")
    several = {place.parents[0] for place in found if isinstance(place, Output)}
    return [place for place in found if place not in several and (place is result or not _is_alias(place))]


def _is_alias(place: Place | None) -> bool:
    return isinstance(place, Node) and place.plan.op.name == "alias"


def _node(place: Node | Output) -> Node:
    """The call that gave a value."""
    return place if isinstance(place, Node) else place.parents[0]


def _inputs(place: Place) -> list[Place | None]:
    """What a value was computed from, by position: places, and None for constants."""
    if isinstance(place, Leaf):
        return []
    return [_behind_aliases(parent) for parent in _node(place).parents]


def _behind_aliases(place: Place | None) -> Place | None:
    while _is_alias(place):
        place = place.parents[0]  # type: ignore[union-attr]
    return place


def _saved(node: Node) -> dict[int, Any]:
    """What a call has kept of its inputs and, under the number after theirs, of its output."""
    found: dict[int, Any] = {}
    for position, value in zip(node.plan.arrays, node.values, strict=False):
        if isinstance(position, slice):
            found.update(zip(range(position.start, position.stop), value, strict=False))
        else:
            found[position] = value
    numbers = node.values[len(node.plan.arrays) :]
    facts = zip(node.plan.facts, numbers, strict=True)
    found.update({position: value for (position, fact), value in facts if fact == "number" and value is not None})
    return found


def _values(places: Sequence[Place], result: Tensor, named: Any) -> dict[Place, Array]:
    """The value at each place that is known: kept somewhere, or computed again from values that are."""
    known: dict[Place, Array] = {}
    for place in places:
        if isinstance(place, Leaf):
            variable = place.variable()
            if variable is not None:
                known[place] = variable.array
            continue
        inputs, saved = _inputs(place), _saved(_node(place))
        known.update({i: saved[n] for n, i in enumerate(inputs) if n in saved and i is not None})
        if isinstance(place, Node) and len(inputs) in saved:
            known[place] = saved[len(inputs)]
    known.update({tensor.node: tensor.array for tensor in (*named, result) if tensor.node is not None})
    for place in places:
        if place not in known and not isinstance(place, Leaf):
            with suppress(KeyError):
                known[place] = _again(place, known)
    return known


def _again(place: Node | Output, known: Mapping[Place, Array]) -> Array:
    """The value of a call, computed once more. Raises KeyError where an input is not known."""
    node = _node(place)
    saved = _saved(node)
    inputs = [saved[n] if i is None else known[i] for n, i in enumerate(_inputs(place))]
    with host.errstate(all="ignore"):
        value = node.plan.op(*inputs, **(node.metadata or {}))
    return value if isinstance(place, Node) else value[place.number]


def _gradients(places: Sequence[Place], one: Array) -> dict[Place, Array]:
    """The gradient at each place: walks of one step each, newest first, added up where they meet."""
    found = {places[-1]: one}
    for place in reversed(places):
        for parent, piece in _pulled(place, found[place]).items():
            found[parent] = parent.owner.from_scalar(found[parent] + piece) if parent in found else piece
    return found


def _pulled(place: Place, g: Array) -> dict[Place, Array]:
    """What a gradient at one place gives its inputs."""
    wanted = [parent for parent in _inputs(place) if parent is not None]
    if not wanted:
        return {}
    with host.errstate(all="ignore"):  # a derivative that is infinite is shown as such
        return walk([(place, g)], wanted=wanted, retain=True)


def _names(places: Sequence[Place], names: Mapping[str, Tensor]) -> dict[Place, str]:
    """A name for each place: the given ones, f for the result, and numbered ones for the rest."""
    called: dict[Place, str] = {}
    for name, tensor in names.items():
        place = _behind_aliases(tensor.node)
        if place is None:
            continue
        if place not in places:
            raise ValueError(f"{name} has no part in the result; leave it out")
        called[place] = name
    taken = set(names)
    called.setdefault(places[-1], next(name for name in _candidates("f", "y", "loss") if name not in taken))
    variables, steps = _numbered("x", taken), _numbered("v", taken)
    for place in places:
        if place not in called:
            called[place] = next(variables if isinstance(place, Leaf) else steps)
    return called


def _candidates(*first: str) -> Iterator[str]:
    yield from first
    yield from (f"{first[0]}{i}" for i in count(1))


def _numbered(letter: str, taken: set[str]) -> Iterator[str]:
    return (name for i in count(1) if (name := f"{letter}{i}") not in taken)


class _Constants:
    """Names for the arrays that no gradient is asked for, given as they turn up."""

    def __init__(self, names: Mapping[str, Tensor], taken: set[str]) -> None:
        self.steps: list[Step] = []
        self._named = {id(tensor.array): name for name, tensor in names.items() if tensor.node is None}
        self._free = _numbered("c", taken | set(names))
        self._seen: dict[int, Formula] = {}

    def formula(self, saved: Mapping[int, Any], position: int) -> Formula:
        """How a constant input is written: as its number, or by a name."""
        value = saved.get(position)
        if value is not None and find_backend_of(value) is None:
            return symbol(value)
        if id(value) in self._seen:
            return self._seen[id(value)]
        shape = None if value is None else tuple(value.shape)
        name = self._named.get(id(value))
        if name is None and shape == ():
            return symbol(backend_of(value).to_host(value).item())
        name = name or next(self._free)
        tensor = None if value is None else Tensor(value)
        self.steps.append(Step(name, "constant", shape, symbol(name), value=tensor))
        if value is not None:
            self._seen[id(value)] = self.steps[-1].formula
        return self.steps[-1].formula


def _call(
    place: Node | Output, name: str, steps: Mapping[Place, Step], gradient: Array, constants: _Constants
) -> dict[str, Any]:
    """The op, the expression and the derivatives of a step."""
    node, parents = _node(place), _inputs(place)
    op, saved = node.plan.op, _saved(node)
    inputs = list(op.inputs)
    if op.variadic:
        inputs[-1:] = [inputs[-1]] * (len(parents) - len(inputs) + 1)
    while parents[-1] is None and saved.get(len(parents) - 1) is None and _may_be_left_out(op, inputs[-1]):
        parents, inputs = parents[:-1], inputs[:-1]
    operands = [
        constants.formula(saved, n) if parent is None else symbol(steps[parent].name)
        for n, parent in enumerate(parents)
    ]
    metadata = {k: v for k, v in (node.metadata or {}).items() if not _is(v, op.defaults.get(k))}
    formula = expression(op.name, inputs, operands, metadata)
    if isinstance(place, Output):
        formula = ast.Subscript(formula, symbol(place.number), ast.Load())
    slopes = _slopes(place, gradient)

    def link(parent: Place) -> Link:
        at = [n for n, other in enumerate(parents) if other is parent]
        formulas = [derivative(op.name, n, name, inputs, operands, metadata) for n in at]
        taught = [f for f in formulas if f is not None]
        rule = next(rule.name for rule in op.rules if inputs[at[0]] in rule.arguments)
        return Link(steps[parent], multiple(taught) if len(taught) == len(at) else None, slopes.get(parent), rule)

    return {
        "kind": op.name,
        "formula": formula,
        "links": tuple(map(link, dict.fromkeys(parent for parent in parents if parent is not None))),
    }


def _may_be_left_out(op: Any, name: str) -> bool:
    return op.__signature__.parameters[name].default is None


def _is(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and value == default)


def _slopes(place: Node | Output, like: Array) -> dict[Place, float]:
    """The derivatives of a step that is one real number by those of its inputs that are."""
    if prod(place.shape) != 1 or is_complex(place.dtype):
        return {}
    pulled = _pulled(place, backend_of(like).namespace.ones_like(like))
    single = {parent: g for parent, g in pulled.items() if prod(parent.shape) == 1 and not is_complex(parent.dtype)}
    return {parent: Tensor(g).item() for parent, g in single.items()}
