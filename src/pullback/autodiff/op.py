"""What an op is: a forward, its vjps beside it, and the one way both are called.

The parameters of a vjp say what is saved for it: `g` is the gradient of the output, `y` the output (`y0`, `y1`, ...
one of several), any other name an input; `x_shape`, `x_dtype` and `x_place` (backend and device) are those facts of
the input `x`, without keeping `x` itself alive. Arrays are positional-only; all other parameters are metadata,
keyword-only in a vjp.
"""

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from ..backends import Backend, Namespace, backend_of, common_backend, find_backend_of, is_floating, raise_clearly
from ..backends.dispatch import plain_number, plain_numbers
from .autocast import call_cast, casting
from .batching import level, lift
from .examples import Example
from .parameters import ShownSignature, inputs_and_metadata
from .rule import Plan, Rule, make_plan
from .tape import Node, Output, Place, recording
from .tensor import Tensor

__all__ = ["Op", "op", "registry"]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

registry: "dict[str, Op[..., Any]]" = {}
"""Every op there is, by name. What is in here is tested."""


class Op(Generic[P, R]):
    """A differentiable function: arrays in, arrays out; Tensors in, Tensors out.

    A call on Tensors that need gradients is written on the tape. An op without any vjp is a
    composite: its forward runs on Tensors and is differentiated through.
    """

    lasting = True
    __signature__ = ShownSignature()
    precision = None  # what autocast takes it to, see `autocasts_to`

    def __init__(
        self, forward: Callable[Concatenate[Namespace, P], R], differentiable: bool, examples: Sequence[Example]
    ) -> None:
        update_wrapper(self, forward)
        vars(self).pop("__signature__", None)  # the forward's own, with `xp`
        self.name = forward.__name__.lstrip("_")
        self.function: Callable[..., Any] = forward
        self.inputs, self._required, self.variadic, self.defaults = inputs_and_metadata(forward)
        self.differentiable = differentiable
        self.examples = tuple(examples)
        self.rules: list[Rule] = []
        self._plans: dict[int, Plan] = {}
        self._runs: dict[tuple[type, ...], tuple[Callable[..., Any], Backend]] = {}  # by the inputs' types
        if {"g", "y"} & set(self.inputs):
            raise TypeError(f"{self.name}: a vjp knows the output as 'y', its gradient as 'g'; name inputs otherwise")

    def vjp(self, *arguments: str, zeros: bool = True) -> Callable[[F], F]:
        """Register the vector-Jacobian product for one input, or for several whose gradients share work.

        One for several that have theirs already is called in place of those where all of them need gradients.
        zeros: of an op with several outputs, what `g` holds for those that nothing depended on: zeros, or None.
        """
        if not arguments or not set(arguments) <= set(self.inputs):
            raise TypeError(f"{self.name} has the inputs {', '.join(self.inputs)}; got {', '.join(arguments) or None}")
        others = [rule.arguments for rule in self.rules if not set(rule.arguments).isdisjoint(arguments)]
        if others and not 1 < len(arguments) == len(others) == sum(map(len, others)):
            raise ValueError(
                f"{self.name} has a vjp for {', '.join(sorted({*arguments} & {*sum(others, ())}))} already"
            )

        def register(function: F) -> F:
            self.rules.append(Rule(self, arguments, function, zeros))
            self._plans.clear()
            return function

        return register

    def __call__(self, *inputs: P.args, **metadata: P.kwargs) -> R:
        """The op of arrays or Tensors."""
        if len(inputs) != len(self.inputs) and not self.variadic:
            inputs, metadata = self._bind(inputs, metadata)  # type: ignore[assignment]
        for x in inputs:
            if isinstance(x, Tensor):
                return self.on_tensors(inputs, metadata)  # type: ignore[no-any-return]
        if self.precision and casting.get():
            return call_cast(self, inputs, metadata)
        return self._on_arrays(inputs, metadata)[0]  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<op {self.name}{self.__signature__}>"

    def __reduce__(self) -> str:
        return str(vars(self)["__qualname__"])  # copied and pickled as the name that it has in its module

    def _bind(self, given: tuple[Any, ...], metadata: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """All inputs, those given by name too, None for those left out; metadata given by position by their names."""
        count = len(self.inputs)
        named = {**dict(zip(self.defaults, given[count:], strict=False)), **metadata}
        inputs = given[:count] + tuple(named.pop(name, None) for name in self.inputs[len(given) :])
        if any(x is None for x in inputs[: self._required]) or len(given) > count + len(self.defaults):
            raise TypeError(f"{self.name}{self.__signature__} was called with {len(given)} positional arguments")
        return inputs, named

    def _on_arrays(self, inputs: Sequence[Any], metadata: dict[str, Any]) -> tuple[Any, Backend]:
        """The forward, by the kernel of the arrays' backend where there is one; and the result's backend."""
        kinds = (*map(type, inputs),)
        found = self._runs.get(kinds)
        if found is None:
            owner = common_backend(self.name, inputs)
            if owner is None:
                return self._on_arrays(plain_numbers(self.name, inputs), metadata)
            found = owner.implementation_for(self, kinds), owner
            if inputs and not owner.several_devices:
                self._runs[kinds] = found
        run, owner = found
        try:
            y = run(*inputs, **metadata) if metadata else run(*inputs)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            raise_clearly(error, self.name, inputs, {**self.defaults, **metadata})
            raise
        if type(y) in kinds:
            return y, owner
        if isinstance(y, (tuple, list)):
            return tuple(map(owner.from_scalar, y)), owner
        return (y := owner.from_scalar(y)), backend_of(y)

    def on_tensors(self, inputs: Sequence[Any], metadata: dict[str, Any]) -> Any:
        """A call in which at least one input is a Tensor."""
        if self.precision and casting.get():
            return call_cast(self, inputs, metadata)
        inputs = lift(inputs) if level.get() else inputs
        arrays: list[Any] = []
        parents: list[Place | None] = []
        tracked, bit = 0, 1  # a bit for each input that needs a gradient; `bit` ends as 1 << len(inputs)
        for x in inputs:
            if isinstance(x, Tensor):
                arrays.append(x.array)
                node = x.node
                parents.append(node)
                if node is not None:
                    tracked |= bit
            else:
                arrays.append(x if type(x) is float else plain_number(self.name, x))
                parents.append(None)
            bit += bit
        plan: Plan | None = None
        if tracked and recording.get():
            plan = self._plans.get(tracked | bit)
            if plan is None and self.differentiable:
                if not self.rules:
                    inputs = [Tensor(x) if find_backend_of(x) else x for x in inputs]
                    return self.function(Tensor.namespace, *inputs, **metadata)
                plan = self._plans[tracked | bit] = make_plan(self, tracked, len(inputs))
        y, owner = self._on_arrays(arrays, metadata)
        several = type(y) is tuple
        if plan is None:
            return tuple(map(Tensor, y)) if several else Tensor(y)
        arrays += (y, *y) if several else (y,)
        values = plan.collect(arrays) if plan.facts else plan.pick(arrays)
        if self.defaults:
            metadata = {**self.defaults, **metadata}
            if metadata.get("dtype") is not None and not is_floating(metadata["dtype"]):
                return Tensor(y)  # what is counted in integers has no derivative
        if several:
            node = Node(parents, plan, values, metadata, owner, tuple(a.shape for a in y), tuple(a.dtype for a in y))
            places = (Output(node, i, a) if is_floating(a.dtype) else None for i, a in enumerate(y))
            return tuple(map(Tensor, y, places))
        return Tensor(y, Node(parents, plan, values, metadata, owner, y.shape, y.dtype))


@overload
def op(forward: Callable[Concatenate[Namespace, P], R], /) -> Op[P, R]: ...
@overload
def op(
    *, differentiable: bool = True, examples: Sequence[Example] = ()
) -> Callable[[Callable[Concatenate[Namespace, P], R]], Op[P, R]]: ...
def op(forward: Any = None, /, *, differentiable: bool = True, examples: Sequence[Example] = ()) -> Any:
    """Make an op of a pure function of arrays: `forward(xp, *arrays, *, metadata)`.

    differentiable: False for what has no derivative anywhere; its result is a constant.
    examples: inputs to verify it with, see `pullback.autodiff.examples`.
    Raises ValueError when there is an op of that name.

    >>> import pullback as pb
    >>> @pb.op
    ... def cube(xp, x, /):
    ...     return x * x * x
    >>> @cube.vjp("x")
    ... def _(xp, g, x):
    ...     return 3 * g * x * x
    >>> float(pb.grad(cube)(pb.tensor(2.0)))
    12.0
    """

    def make(function: Callable[..., Any]) -> Op[..., Any]:
        made: Op[..., Any] = Op(function, differentiable, examples)
        if registry.setdefault(made.name, made) is not made:
            raise ValueError(f"there is an op named {made.name!r} already")
        return made

    return make if forward is None else make(forward)
