"""checkpoint: keep what goes into a function, and compute what is inside again when gradients come back.

On the tape a checkpointed call is one node. Its parents are all that the function reached: its arguments, and the
variables of its closure. When a gradient arrives, the function runs again and the walk goes on into what that
recorded, node by node as if it had been there all the time: gradients are added up in the same order, to the bit.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import Context, ContextVar, copy_context
from threading import RLock
from typing import Any, TypeVar

from ..backends import Backend, backend_of
from .tape import Leaf, Node, Output, Place, _clock, behind, recording
from .tensor import Tensor
from .tree import flatten

__all__ = ["checkpoint", "exchanged", "once", "repeatable"]

T = TypeVar("T")


def checkpoint(function: Callable[..., Any], *args: Any) -> Any:
    """What `function(*args)` gives, without keeping its intermediate values: they are computed again for its gradient.

    function: a layer, a part of a network, or any other function that gives the same whenever it is called. It is
        called once more for each walk back, so what it does besides (counting, printing) is done again.
    args: arrays, Tensors, and anything else, in dicts, lists and tuples. Variables that the function reaches
        besides, such as a module's parameters, get their gradients too.
    Raises RuntimeError in the backward pass where the function gives something else than before.

    Gradients are those of the plain call, to the bit; random numbers from `pullback.random` are the same again. A
    chain of n layers in segments of sqrt(n) needs memory for about 2 sqrt(n) of them, for the time of one more
    forward pass (Chen et al., "Training deep nets with sublinear memory cost", 2016). Gradients of gradients keep
    what they computed again. Values that are recorded outside of a `vmap` around the call are kept.

    >>> import pullback as pb
    >>> x = pb.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: x * x * x, x).sum().backward()
    >>> x.grad
    Tensor([ 3., 12.], dtype=float32)
    """
    if not recording.get():
        return function(*args)
    context, journal = copy_context(), _Journal(_journal.get())
    first = next(_clock)
    token = _journal.set(journal)
    try:
        result = function(*args)
    finally:
        _journal.reset(token)
    outputs, rebuild = flatten(result)
    numbers: dict[Place, int] = {}  # of each value that was recorded in here, its place among the outputs
    for number, y in enumerate(outputs):
        if isinstance(y, Tensor) and y.node is not None and y.node.index > first and type(y.node) is not Leaf:
            numbers.setdefault(y.node, number)
    parents = _reached(numbers, first)
    if not parents:
        return result
    arrays = [outputs[number].array for number in numbers.values()]
    plan = _Recomputation(function, args, context, journal.values, list(numbers.values()))
    shapes, dtypes = tuple(y.shape for y in arrays), tuple(y.dtype for y in arrays)
    node = Node(parents, plan, (), {}, backend_of(arrays[0]), shapes, dtypes)
    places = {place: Output(node, i, y) for i, (place, y) in enumerate(zip(numbers, arrays, strict=True))}
    return rebuild([Tensor(y.array, places[y.node]) if _is_in(y, places) else y for y in outputs])


def repeatable(draw: Callable[[], T]) -> T:
    """What `draw` gives; where a checkpoint computes again, what it gave the first time, without calling it.

    For what changes from call to call: every random number generator draws through here.
    """
    journal = _journal.get()
    return draw() if journal is None else journal.next(draw)


def once(make: Callable[[], T]) -> T:
    """What `make` gives, for a function that keeps it: where a checkpoint computes again, nothing of it is repeated."""
    token = _journal.set(None)
    try:
        return make()
    finally:
        _journal.reset(token)


@contextmanager
def exchanged(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """Tensors with the arrays and places of others inside the block, also where a checkpoint computes it again.

    One block is entered at a time; other threads wait.
    """
    pairs = [(tensor, value.array, value.node) for tensor, value in zip(tensors, values, strict=True)]
    token = _exchanges.set((*_exchanges.get(), *pairs))
    try:
        with _swapped(pairs):
            yield
    finally:
        _exchanges.reset(token)


@contextmanager
def _swapped(pairs: Sequence[tuple[Tensor, Any, Place | None]]) -> Iterator[None]:
    with _turn:
        before = []
        try:
            for tensor, array, node in pairs:
                before.append((tensor, tensor.array, tensor.node))
                tensor.array, tensor.node = array, node
            yield
        finally:
            for tensor, array, node in reversed(before):
                tensor.array, tensor.node = array, node


_exchanges: ContextVar[tuple[tuple[Tensor, Any, Place | None], ...]] = ContextVar("pullback_exchanged", default=())
_turn = RLock()


class _Journal:
    """What was drawn in a call, in order; or, once it is `known`, what is to be drawn."""

    def __init__(self, around: "_Journal | None", known: Sequence[Any] | None = None) -> None:
        self.around = around
        self.values: list[Any] = []
        self.known = None if known is None else iter(known)

    def next(self, draw: Callable[[], Any]) -> Any:
        if self.known is not None:
            try:
                value = next(self.known)
            except StopIteration:
                raise _changed("draws more random numbers") from None
        else:
            value = draw() if self.around is None else self.around.next(draw)
        self.values.append(value)
        return value


_journal: ContextVar[_Journal | None] = ContextVar("pullback_checkpoint_journal", default=None)


class _Recomputation:
    """The plan of a checkpointed call: what to run again, and as what it was run."""

    __slots__ = ("args", "context", "draws", "function", "numbers", "rebuild")

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], context: Context, draws: list[Any], numbers: list[int]
    ) -> None:
        leaves, self.rebuild = flatten(list(args))
        self.function = function
        self.args = [(x.array, x.node) if isinstance(x, Tensor) else x for x in leaves]  # as they are now
        self.context = context
        self.draws = draws
        self.numbers = numbers

    def pull(
        self, node: Node, g: dict[int, Any], needed: set[Place] | None, record: bool, owner: Backend
    ) -> list[tuple[Place, Any]]:
        """The gradients of the outputs, handed on to those of another run of the function."""
        first, places = self.context.copy().run(self._run_again, node)
        pairs = [(places[number], piece) for number, piece in g.items()]
        if needed is None:
            return pairs
        grown: list[Place] = []
        for place in sorted(behind(places, first), key=lambda place: place.index):
            if place not in needed and any(parent in needed for parent in place.parents):
                needed.add(place)
                grown.append(place)
        end = Node((), _Sweep(grown), (), {}, node.owner, (), None)
        end.index = node.index  # older than all that was computed again, newer than all that comes after
        return [pair for pair in pairs if pair[0] in needed] + [(end, None)]

    def _run_again(self, node: Node) -> tuple[int, list[Place]]:
        """Where the second run begins on the tape, and the places of its outputs."""
        _journal.set(_Journal(None, self.draws))
        first = next(_clock)
        args = self.rebuild([Tensor(*x) if type(x) is tuple else x for x in self.args])
        exchanges = _exchanges.get()
        with _swapped(exchanges) if exchanges else nullcontext():  # without any, threads need not wait
            outputs = flatten(self.function(*args))[0]
        places: list[Place] = []
        for number, shape, dtype in zip(self.numbers, node.shape, node.dtype, strict=True):
            y = outputs[number] if number < len(outputs) else None
            if not isinstance(y, Tensor) or y.node is None or (y.array.shape, y.array.dtype) != (shape, dtype):
                raise _changed(f"gives {y!r} where it gave a variable of shape {tuple(shape)}")
            places.append(y.node)
        if not set(node.parents) <= set(_reached(places, first)):
            raise _changed("reaches other variables, so pass as an argument what is exchanged meanwhile")
        return first, places


class _Sweep:
    """The plan of a node that ends what was computed again: the walk forgets about it, and it is freed."""

    __slots__ = ("places",)

    def __init__(self, places: list[Place]) -> None:
        self.places = places

    def pull(self, node: Node, g: Any, needed: set[Place], record: bool, owner: Backend) -> list[Any]:
        needed.difference_update(self.places)
        return []


def _is_in(y: Any, places: dict[Place, Any]) -> bool:
    return isinstance(y, Tensor) and y.node in places


def _reached(places: Any, first: int) -> list[Place]:
    """What is older than `first` among all that some places were computed from, and was met first on the way."""
    parents = (parent for place in behind(places, first) for parent in place.parents)
    return list({parent: None for parent in parents if parent is not None and parent.index < first})


def _changed(what: str) -> RuntimeError:
    return RuntimeError(f"a checkpointed function must do the same when it is called again; this one now {what}")
