"""Functions of functions: gradients, and products with Jacobians and Hessians.

All of them are walks over the tape. Arguments may be arrays, Tensors, or dicts, lists and tuples of them. Arrays in,
arrays out; Tensors in, Tensors out. Inside another transform, and for arguments that require a gradient, the results
can be differentiated again, so transforms nest to any order.
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from typing import Any

from ..backends import dtype_name, find_backend_of, is_complex
from .tape import Leaf, behind, enable_grad, recording, walk
from .tensor import Tensor
from .tree import flatten, tree_map
from .variable import as_tensor, variable

__all__ = ["depth", "grad", "hvp", "jvp", "linearize", "value_and_grad", "vjp"]

depth: ContextVar[int] = ContextVar("pullback_transform_depth", default=0)
"""How many transforms are under way, one in another, inside the innermost `vmap`."""


def linearize(
    function: Callable[..., Any], args: Sequence[Any], argnums: Any, options: Any, retain: bool, has_aux: bool = False
) -> tuple[Any, Callable[[Any], Any]]:
    """The value of `function`, and the map from its cotangent to those of the chosen arguments."""
    chosen = [argnums] if isinstance(argnums, int) else list(argnums)
    if not set(chosen) <= set(range(-len(args), len(args))) or len({i % len(args) for i in chosen}) < len(chosen):
        raise ValueError(f"argnums says which of the positional arguments, each once; got {argnums} of {len(args)}")
    leaves, rebuild = flatten([args[i] for i in chosen])
    everything = flatten(list(args))[0]
    nested = depth.get() > 0
    tensors = nested or any(isinstance(x, Tensor) for x in everything)
    recorded = nested or any(isinstance(x, Tensor) and x.requires_grad for x in everything)
    level = depth.set(depth.get() + 1)
    try:
        with enable_grad():
            variables = [variable(x) for x in leaves]
            every = list(tree_map(lambda x: Tensor(x) if find_backend_of(x) is not None else x, list(args)))
            for position, value in zip(chosen, rebuild(variables), strict=True):
                every[position] = value
            value = function(*every, **options)
            value, aux = value if has_aux else (value, None)
            outputs, rebuild_value = flatten(value)
            outputs = list(map(as_tensor, outputs))
    finally:
        depth.reset(level)
    places = [x.node for x in variables if isinstance(x, Tensor) and x.node is not None]
    if tensors and not recorded and recording.get():  # variables that the function reaches besides its arguments
        reached = behind([y.node for y in outputs if y.node is not None])
        recorded = any(isinstance(place, Leaf) and not place.inner for place in reached)

    def pullback(cotangent: Any) -> Any:
        cotangents = list(map(as_tensor, flatten(cotangent)[0]))
        shapes = [g.shape for g in cotangents], [y.shape for y in outputs]
        if shapes[0] != shapes[1]:
            raise ValueError(f"the cotangent has the shapes {shapes[0]}, the value has {shapes[1]}")
        cotangents = [
            g if g.array.dtype == y.array.dtype else g.astype(y.dtype) for g, y in zip(cotangents, outputs, strict=True)
        ]
        record = recorded or depth.get() > 0 or any(g.requires_grad for g in cotangents)
        pairs = zip(outputs, cotangents, strict=True)
        seeds = [(y.node, g if record else g.array) for y, g in pairs if y.node is not None]
        found: dict[Any, Any] = walk(seeds, wanted=places, record=record, retain=retain or record)
        gradients = rebuild([deliver(found.get(x.node), x) if isinstance(x, Tensor) else None for x in variables])
        return gradients[0] if isinstance(argnums, int) else tuple(gradients)

    def deliver(g: Any, like: Tensor) -> Any:
        g = Tensor.namespace.zeros_like(like.detach()) if g is None else as_tensor(g)
        return g if tensors or g.requires_grad else g.array

    def shown(y: Any) -> Any:
        return y if recorded or not isinstance(y, Tensor) else y.detach() if tensors else y.array

    value = rebuild_value(list(map(shown, outputs)))
    return (value, tree_map(shown, aux)) if has_aux else value, pullback


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """The function that gives the value of `function` and its gradient.

    function: gives one number (a 0-d Tensor), or with `has_aux` a pair of it and anything else.
    argnums: which arguments to differentiate; with a sequence the gradient is a tuple.
    Raises ValueError when the value is not one number.

    >>> import numpy
    >>> value, slope = value_and_grad(lambda x: (x * x).sum())(numpy.asarray([1.0, 2.0]))
    >>> float(value), slope
    (5.0, array([2., 4.]))
    """

    @wraps(function)
    def differentiated(*args: Any, **options: Any) -> tuple[Any, Any]:
        value, pullback = linearize(function, args, argnums, options, False, has_aux)
        y = value[0] if has_aux else value
        if (shape := getattr(y, "shape", None)) not in ((), (1,)) or is_complex(y.dtype):
            what = f"of shape {shape}" if shape not in ((), (1,)) else dtype_name(y.dtype)
            raise ValueError(f"a gradient is that of one real number, not {what}; use pb.jacobian or pb.vjp")
        return value, pullback(Tensor.namespace.ones_like(as_tensor(y).detach()))

    return differentiated


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of `function`; see `value_and_grad`.

    >>> import pullback as pb
    >>> third = pb.grad(pb.grad(pb.grad(lambda x: x**4)))
    >>> float(third(pb.tensor(2.0)))
    48.0
    """

    @wraps(function)
    def differentiated(*args: Any, **options: Any) -> Any:
        value, gradient = value_and_grad(function, argnums, has_aux)(*args, **options)
        return (gradient, value[1]) if has_aux else gradient

    return differentiated


def vjp(function: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value of `function` and its pullback: the map from a cotangent of the value to those of the arguments.

    The pullback may be called more than once. Its argument has the structure and shapes of the value.

    >>> import numpy
    >>> y, pullback = vjp(lambda x, w: x * w, numpy.asarray([1.0, 2.0]), numpy.asarray([3.0, 4.0]))
    >>> pullback(numpy.ones(2))
    (array([3., 4.]), array([1., 2.]))
    """
    return linearize(function, args, range(len(args)), {}, retain=True)


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of `function` at `primals`, and its derivative in the direction of `tangents`.

    primals, tangents: sequences of the same shapes and dtypes.
    The vjp is linear in the cotangent, and the transpose of that linear map is the jvp: two walks
    backward make one forward (Townsend, "A new trick for calculating Jacobian vector products", 2017).

    >>> import numpy
    >>> jvp(lambda x: x * x, [numpy.asarray([1.0, 2.0])], [numpy.asarray([1.0, 0.5])])[1]
    array([2., 2.])
    """
    y, pullback = vjp(function, *primals)
    probe = tree_map(lambda v: Tensor.namespace.zeros_like(v.detach()).array, tree_map(as_tensor, y))
    _, pushforward = vjp(pullback, tree_map(Tensor, probe) if isinstance(flatten(y)[0][0], Tensor) else probe)
    return y, pushforward(tuple(tangents))[0]


def hvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The gradient of `function` at `primals`, and the product of its Hessian with `tangents`, as tuples.

    Costs about two gradients; the Hessian itself is never formed (Pearlmutter, 1994).

    >>> import numpy
    >>> hvp(lambda x: (x * x * x).sum(), [numpy.asarray([1.0, 2.0])], [numpy.asarray([1.0, 1.0])])[1]
    (array([ 6., 12.]),)
    """
    slopes, pullback = vjp(grad(function, range(len(primals))), *primals)
    return slopes, pullback(tuple(tangents))
