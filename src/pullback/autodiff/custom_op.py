"""custom_op: a forward and a backward of one's own, made one differentiable function."""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar, overload

from .op import Op
from .rule import make_plan
from .verify import verify

__all__ = ["CustomOp", "custom_op"]

P = ParamSpec("P")
R = TypeVar("R")


class CustomOp(Op[P, R]):
    """An op of a user's own: in no registry, so that a name may be used again, and out of the way of kernels."""

    lasting = False

    def __init__(self, forward: Callable[..., Any], surrogate: bool) -> None:
        name = getattr(forward, "__name__", type(forward).__name__)
        super().__init__(_shown(forward, f"custom_op {name}"), True, ())
        self.function = forward
        self.__name__ = name
        self.surrogate = surrogate
        if not self.inputs:
            raise TypeError(f"{self.name} takes no arrays; a forward is written (xp, x, ..., *, metadata)")

    def check(self, *inputs: Any, **metadata: Any) -> None:
        """Verify the pair at these inputs, as the package's own ops are verified.

        inputs, metadata: those of a call; arrays or Tensors away from kinks, some 20 elements or fewer.
        Raises AssertionError, saying what is not so, unless: arrays and Tensors give the same; the gradients of
        first and second order are those of finite differences, in double precision (not for a `surrogate`); each
        has its input's data type, shape and device, and is computed only where it is needed; array_api_strict,
        where it is installed, gives the same, so nothing but the standard is used; and under `vmap` it is a loop.
        """
        verify(self, inputs, metadata, derivatives=not self.surrogate)

    def _take_backward(self, backward: Callable[..., Any], arguments: Sequence[str] | None) -> None:
        names = self.inputs if arguments is None else tuple(arguments)
        self.vjp(*names)(_checked(backward, self, names))
        tracked = sum(1 << i for i, name in enumerate(self.inputs) if name in names)
        make_plan(self, tracked, len(self.inputs))  # raises where backward names what there is not


@overload
def custom_op(
    forward: Callable[..., Any],
    /,
    backward: Callable[..., Any] | None = None,
    *,
    inputs: Sequence[str] | None = None,
    surrogate: bool = False,
) -> CustomOp[..., Any]: ...
@overload
def custom_op(
    *,
    backward: Callable[..., Any] | None = None,
    inputs: Sequence[str] | None = None,
    surrogate: bool = False,
) -> Callable[[Callable[..., Any]], CustomOp[..., Any]]: ...
def custom_op(
    forward: Callable[..., Any] | None = None,
    /,
    backward: Callable[..., Any] | None = None,
    *,
    inputs: Sequence[str] | None = None,
    surrogate: bool = False,
) -> Any:
    """A differentiable function of arrays or Tensors, from a forward and its backward.

    forward: `forward(xp, *arrays, **metadata)`, pure, in calls of the array API namespace `xp`. Its arrays are the
        positional-only parameters; where it has no `/`, those without a default. It gives an array, or several.
    backward: `backward(xp, g, ...)` gives the gradient for each of `inputs`, a tuple where they are several. g is the
        gradient of the output (a tuple where there are several); its other parameters say what it wants to see: the
        name of an input, `y` for the output, `x_shape` or `x_dtype` of an input x, and after `*` metadata.
        Without one the forward is differentiated through, or rules are added with `@f.vjp("x")`, as for `pb.op`.
    inputs: the names of those that backward is for; by default all. Others have no gradient.
    surrogate: backward is deliberately not the derivative, as that of a straight-through estimator; `check` then
        leaves out the finite differences.
    Raises TypeError where backward names what there is not; in the backward pass, where it gives another number of
    gradients, something that is no array, or (ValueError) a shape that does not fit.

    Where backward itself is written in ops, or in `xp`, it is differentiable in turn. Verify the pair with `check`.

    >>> import pullback as pb
    >>> cube = custom_op(lambda xp, x: x * x * x, lambda xp, g, x: 3 * g * x * x)
    >>> float(pb.grad(cube)(pb.tensor(2.0)))
    12.0
    >>> cube.check(pb.tensor([0.5, -1.0]))
    >>> @custom_op(backward=lambda xp, g: g, surrogate=True)
    ... def round_straight_through(xp, x):
    ...     return xp.round(x)
    >>> float(pb.grad(round_straight_through)(pb.tensor(0.7)))
    1.0
    """
    if forward is None:
        return lambda function: custom_op(function, backward, inputs=inputs, surrogate=surrogate)
    made: CustomOp[..., Any] = CustomOp(forward, surrogate)
    if backward is not None:
        made._take_backward(backward, inputs)
    elif inputs is not None:
        raise TypeError(f"{made.name}: inputs= says what the backward is for; give one")
    return made


def _shown(forward: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The forward under a name of its own, its arrays positional-only."""

    @wraps(forward)
    def shown(*given: Any, **metadata: Any) -> Any:
        return forward(*given, **metadata)

    signature = inspect.signature(forward)
    parameters = list(signature.parameters.values())
    if len(parameters) < 2 or parameters[0].kind is parameters[0].KEYWORD_ONLY:
        raise TypeError(f"a forward is written (xp, x, ..., *, metadata); got {name.split()[-1]}{signature}")
    if all(p.kind is not p.POSITIONAL_ONLY for p in parameters):
        plain = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
        only = [p.replace(kind=p.POSITIONAL_ONLY) for p in plain]
        rest = [p for p in parameters if p not in plain]
        signature = signature.replace(parameters=only + rest)
    shown.__name__ = name
    shown.__signature__ = signature  # type: ignore[attr-defined]
    return shown


def _checked(backward: Callable[..., Any], op: CustomOp[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """The backward, with a look at what it gives."""

    @wraps(backward)
    def run(xp: Any, g: Any, *saved: Any, **metadata: Any) -> Any:
        given = backward(xp, g, *saved, **metadata)
        pieces = tuple(given) if isinstance(given, (tuple, list)) else (given,)
        if len(pieces) != len(names) and not op.variadic:
            raise TypeError(f"{op.name}: backward gave {len(pieces)} gradients; it is for {', '.join(names)}")
        for number, piece in enumerate(pieces):
            if not hasattr(piece, "shape"):
                name = names[min(number, len(names) - 1)]
                raise TypeError(
                    f"{op.name}: backward gave {type(piece).__name__} as the gradient of {name!r}; it gives an array. "
                    "What has no gradient is left out of inputs="
                )
        return pieces if len(pieces) > 1 or op.variadic else pieces[0]

    return run
