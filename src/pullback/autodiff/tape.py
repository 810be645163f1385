"""The tape: what was computed, and the walk back over it that carries gradients from outputs to inputs.

A `Node` stands for one value that was computed from others. It knows its parents and what the vjps want to see again;
it knows neither its Tensor nor its children, so there are no reference cycles, and a finished step is freed at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeAlias
from weakref import ref

from ..backends import Array, Backend, backend_of, batch_backend, find_backend_of, is_complex, uncast

__all__ = ["Leaf", "Node", "Output", "Place", "behind", "enable_grad", "no_grad", "recording", "walk"]

recording: ContextVar[bool] = ContextVar("pullback_recording", default=True)
"""Whether ops on Tensors are written down."""

_clock = count(1)


@contextmanager
def _set_recording(value: bool) -> Iterator[None]:
    token = recording.set(value)
    try:
        yield
    finally:
        recording.reset(token)


def no_grad() -> Any:
    """Compute without recording: results inside the block have no place on the tape.

    >>> import pullback as pb
    >>> w = pb.tensor([1.0], requires_grad=True)
    >>> with pb.no_grad():
    ...     (w * 2).requires_grad
    False
    """
    return _set_recording(False)


def enable_grad() -> Any:
    """Record again inside a `no_grad` block."""
    return _set_recording(True)


class Leaf:
    """A variable: where the walk ends, and where `.grad` is kept.

    variable: its Tensor, or None where that is gone; a weak reference. inner: whether a transform made it for itself.
    """

    __slots__ = ("dtype", "grad", "index", "inner", "owner", "shape", "variable")

    parents = ()

    def __init__(self, tensor: Any, owner: Backend) -> None:
        self.index = next(_clock)
        self.variable = ref(tensor)
        self.owner = owner
        self.shape = tensor.array.shape
        self.dtype = tensor.array.dtype
        self.grad: Any = None
        self.inner = False

    def refuse_batch(self, array: Array) -> None:
        """Raises TypeError for values, or a gradient, of a batch that the variable itself is outside of."""
        owner = find_backend_of(array)
        if owner is not None and owner.level > self.owner.level:
            raise TypeError("inside vmap a variable from outside takes no values, and no .grad: they would be many")


class Node:
    """The record of one value: its parents, what was saved, and the plan that pulls gradients back.

    owner, shape, dtype: what the value is; of several outputs, tuples of their shapes and dtypes.
    """

    __slots__ = ("dtype", "index", "metadata", "owner", "parents", "plan", "shape", "values")

    def __init__(
        self, parents: Any, plan: Any, values: Any, metadata: Any, owner: Backend, shape: Any, dtype: Any
    ) -> None:
        self.index = next(_clock)
        self.parents: Sequence[Place | None] = parents
        self.plan = plan
        self.values = values
        self.metadata = metadata
        self.owner = owner
        self.shape = shape
        self.dtype = dtype


class Output:
    """One output of a call that has several: sends its gradient on to the call, under its number."""

    __slots__ = ("dtype", "index", "number", "owner", "parents", "shape")

    def __init__(self, call: Node, number: int, y: Array) -> None:
        self.index = next(_clock)
        self.parents = (call,)
        self.number = number
        self.owner = call.owner
        self.shape = y.shape
        self.dtype = y.dtype


Place: TypeAlias = Leaf | Node | Output
"""A Tensor's place on the tape."""


@uncast
@_set_recording(True)
def walk(
    seeds: Sequence[tuple[Place, Any]],
    *,
    wanted: Sequence[Place] | None = None,
    record: bool = False,
    retain: bool = False,
) -> dict[Place, Any]:
    """Carry gradients back from the seeds, newest node first.

    seeds: pairs of a place and the gradient there, of the same shape.
    wanted: the places whose gradients are asked for; None asks for every Leaf that is reached.
    record: compute on Tensors, which writes the walk itself on the tape.
    retain: keep the graph, so that it can be walked again; else it is freed on the way.
    Returns the gradient at each place that was asked for and reached.

    Between its ends the walk multiplies by Jacobians, also where they are complex. The gradient of a real number at
    z, the direction of its steepest ascent, is the conjugate of that product: both ends are conjugated.
    """
    ends = frozenset(wanted or ())
    needed = None if wanted is None else _leading_to(ends, [place for place, _ in seeds])
    gradients: dict[Place, Any] = {}
    pending: list[tuple[int, Any]] = []
    arrivals = [(place, _conjugate(place, g, record)) for place, g in seeds if needed is None or place in needed]
    batch = None if record else batch_backend((place.owner, g) for place, g in arrivals)
    while True:
        for place, g in arrivals:
            present = gradients.get(place)
            if present is not None:
                gradients[place] = place.owner.add(present, g) if type(g) is not dict else _merge(present, g)
            else:
                gradients[place] = g
                if type(place) is not Leaf and place not in ends:
                    heappush(pending, (-place.index, place))
        if not pending:
            return _delivered(gradients, [] if record else [g for _, g in seeds], record)
        place = heappop(pending)[1]
        g = gradients.pop(place)
        if type(place) is Output:
            arrivals = [(place.parents[0], {place.number: g})]
            continue
        if place.plan is None:
            raise RuntimeError("this graph was walked and freed; call backward(retain_graph=True) to walk it again")
        arrivals = place.plan.pull(place, g, needed, record, batch or place.owner)
        if not retain:
            place.plan, place.parents, place.values = None, (), ()


def _merge(a: dict[int, Any], b: dict[int, Any]) -> dict[int, Any]:
    """The gradients of several outputs, by number, added up."""
    return {**a, **{number: a[number] + g if number in a else g for number, g in b.items()}}


def _conjugate(place: Place, g: Any, record: bool) -> Any:
    if not is_complex(place.dtype):
        return g
    if record:
        return g.namespace.conj(g)
    g = place.owner.from_scalar(g)
    return place.owner.from_scalar(backend_of(g).namespace.conj(g))


def _delivered(gradients: dict[Place, Any], given: Iterable[Any], record: bool) -> dict[Place, Any]:
    """Each gradient as an array of its own, so that writing to one changes neither another nor what was given."""
    seen = set(map(id, given))
    for place, g in gradients.items():
        g = _conjugate(place, g, record)
        owner = find_backend_of(g) or place.owner  # a batch, where the place is of one array that all share
        gradients[place] = g if record else owner.own(g, shared=id(g) in seen)
        seen.add(id(g))
    return gradients


def behind(starts: Iterable[Place], oldest: int = 0, ends: frozenset[Place] = frozenset()) -> set[Place]:
    """The places that some others were computed from, themselves included; none older than `oldest` or past `ends`."""
    found: set[Place] = set()
    stack = list(starts)
    while stack:
        place = stack.pop()
        if place not in found and place.index >= oldest:
            found.add(place)
            if place not in ends:
                stack.extend(parent for parent in place.parents if parent is not None)
    return found


def _leading_to(wanted: frozenset[Place], starts: Iterable[Place]) -> set[Place]:
    """The places between the starts and the wanted ones; what is older than every wanted one is not visited."""
    found = behind(starts, min((place.index for place in wanted), default=0), wanted)
    needed = set(wanted & found)
    for place in sorted(found, key=lambda place: place.index):
        if any(parent in needed for parent in place.parents):
            needed.add(place)
    return needed
