"""The tape: what was computed, and the walk back over it that carries gradients from outputs to inputs.

A `Node` stands for one value that was computed from others. It knows its op, its parents, and what
the op's vjps want to see again; it does not know the Tensor that points to it, nor its children, so
there are no reference cycles and a finished step is freed at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeAlias

from ..backends import find_backend_of

__all__ = ["Leaf", "Node", "Output", "Place", "enable_grad", "no_grad", "recording", "walk"]

recording: ContextVar[bool] = ContextVar("pullback_recording", default=True)
"""Whether ops on Tensors are written down."""

_clock = count(1)


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without recording: results inside the block have no place on the tape.

    >>> import pullback as pb
    >>> w = pb.tensor([1.0], requires_grad=True)
    >>> with pb.no_grad():
    ...     (w * 2).requires_grad
    False
    """
    token = recording.set(False)
    try:
        yield
    finally:
        recording.reset(token)


@contextmanager
def enable_grad() -> Iterator[None]:
    """Record again inside a `no_grad` block."""
    token = recording.set(True)
    try:
        yield
    finally:
        recording.reset(token)


class Leaf:
    """A variable: where the walk ends, and where `.grad` is kept."""

    __slots__ = ("dtype", "grad", "index", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.index = next(_clock)
        self.shape = shape
        self.dtype = dtype
        self.grad: Any = None


class Node:
    """The record of one call of an op, or of one output of a call that has several.

    rules: what to call for the parents that need a gradient (see `op.Plan`).
    values: what those rules want to see again, as arrays.
    """

    __slots__ = ("dtype", "index", "metadata", "parents", "plan", "shape", "values")

    def __init__(
        self,
        parents: "Sequence[Place | None]",
        plan: Any,
        values: Sequence[Any],
        metadata: dict[str, Any],
        shape: Any,
        dtype: Any,
    ) -> None:
        self.index = next(_clock)
        self.parents = parents
        self.plan = plan
        self.values = values
        self.metadata = metadata
        self.shape = shape
        self.dtype = dtype

    def pull(
        self, g: Any, needed: "set[Place] | None", record: bool
    ) -> Iterable[tuple["Place", Any]]:
        """The gradients of the parents, each with its parent, given the gradient of this value."""
        plan = self.plan
        if plan is None:
            raise RuntimeError(
                "this graph was walked already and freed; "
                "call backward(retain_graph=True) the first time to walk it again"
            )
        return plan.pull(self, g, needed, record)

    def release(self) -> None:
        """Let go of everything behind this node."""
        self.plan = None
        self.parents = self.values = ()


class Output:
    """One output of a call that has several; hands its gradient on to the call's node under its number."""

    __slots__ = ("dtype", "index", "node", "number", "shape")

    def __init__(self, node: Node, number: int, shape: tuple[int, ...], dtype: Any) -> None:
        self.index = next(_clock)
        self.node = node
        self.number = number
        self.shape = shape
        self.dtype = dtype


Place: TypeAlias = Leaf | Node | Output
"""A Tensor's place on the tape."""


def walk(
    seeds: Iterable[tuple[Place, Any]],
    *,
    wanted: Sequence[Place] | None = None,
    record: bool = False,
    retain: bool = False,
) -> dict[Place, Any]:
    """Carry gradients back from the seeds, newest node first.

    seeds: pairs of a place and the gradient there, of the same shape.
    wanted: the places whose gradients are asked for; None asks for every Leaf that is reached.
    record: compute on Tensors, which writes the walk itself on the tape.
    retain: keep the graph, so that it can be walked again.

    Returns the gradient at each place that was asked for and reached.
    """
    needed = None if wanted is None else _leading_to(set(wanted), [place for place, _ in seeds])
    gradients: dict[Place, Any] = {}
    pending: list[tuple[int, Place]] = []
    ends = () if wanted is None else wanted

    def arrive(place: Place, gradient: Any) -> None:
        if place in gradients:
            gradients[place] = _add(gradients[place], gradient)
        else:
            gradients[place] = gradient
            if not isinstance(place, Leaf) and place not in ends:
                heappush(pending, (-place.index, place))

    for place, gradient in seeds:
        if needed is None or place in needed:
            arrive(place, gradient)
    while pending:
        place = heappop(pending)[1]
        gradient = gradients.pop(place)
        if isinstance(place, Output):
            arrive(place.node, {place.number: gradient})
            continue
        assert isinstance(place, Node)
        for parent, piece in place.pull(gradient, needed, record):
            arrive(parent, piece)
        if not retain:
            place.release()
    return gradients


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, dict):  # gradients of several outputs, by number
        return a | {number: _add(a[number], g) if number in a else g for number, g in b.items()}
    total = a + b
    if find_backend_of(total) is None and (owner := find_backend_of(a)) is not None:
        return owner.from_scalar(total)  # NumPy's sum of two 0-d arrays is a scalar
    return total


def _leading_to(wanted: set[Place], starts: Iterable[Place]) -> set[Place]:
    """All places between the starts and the wanted ones; what is older than every wanted one is not visited."""
    oldest = min((place.index for place in wanted), default=0)
    found: list[Place] = []
    seen: set[Place] = set()
    stack = list(starts)
    while stack:
        place = stack.pop()
        if place in seen or place.index < oldest:
            continue
        seen.add(place)
        found.append(place)
        if place not in wanted:
            stack.extend(_parents(place))
    needed = wanted & seen
    for place in sorted(found, key=lambda place: place.index):
        if any(parent in needed for parent in _parents(place)):
            needed.add(place)
    return needed


def _parents(place: Place) -> Iterable[Place]:
    if isinstance(place, Output):
        return (place.node,)
    if isinstance(place, Node):
        return (parent for parent in place.parents if parent is not None)
    return ()
