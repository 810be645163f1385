"""vmap: a function of one sample made a function of many."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from ..backends import backend_of, find_backend_of
from .batching import Batched, batch, level
from .tape import recording
from .tensor import Tensor, array_of
from .transforms import depth
from .tree import flatten

__all__ = ["vmap"]


def vmap(function: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """The function that applies `function` to many inputs in one pass, as if each were alone.

    in_axes: the axis of each argument along which the inputs lie, or None for an argument that all share; an
        integer for all arguments, or a tuple of one for each, in which a dict, list or tuple says it for its parts.
    out_axes: where that axis goes in the result, in the same way.
    The arguments are arrays, Tensors, or dicts, lists and tuples of them; keyword arguments are shared by all.
    Raises ValueError where the lengths along the axes differ, and TypeError inside `function` where one decides
    by a value, or draws random numbers.

    Gradients of each sample, in one line:

    >>> import numpy
    >>> import pullback as pb
    >>> w, xs = numpy.asarray([1.0, 2.0]), numpy.asarray([[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    >>> pb.vmap(pb.grad(lambda w, x: (w * x).sum() ** 2), in_axes=(None, 0))(w, xs)
    array([[ 2.,  0.],
           [ 0., 36.],
           [ 6.,  6.]])
    """

    @wraps(function)
    def batched(*args: Any, **options: Any) -> Any:
        leaves, rebuild = flatten(list(args))
        axes = _axes_of(in_axes, list(args), "in_axes")
        tensors = any(isinstance(x, Tensor) for x in [*leaves, *flatten(options)[0]])
        count = _length(leaves, axes)
        inside = level.set(level.get() + 1)
        outer = depth.set(0)  # the transforms around this one record below, not in here
        try:
            given = [_given(x, axis) for x, axis in zip(leaves, axes, strict=True)]
            result = function(*rebuild(given), **options)
            parts, nest = flatten(result)
            values = [_open(y, count) for y in parts]
        finally:
            depth.reset(outer)
            level.reset(inside)
        places = _axes_of(out_axes, result, "out_axes")
        taken = {id(array_of(x)) for x in leaves}
        return nest([_back(y, axis, tensors, taken) for y, axis in zip(values, places, strict=True)])

    return batched


def _axes_of(axes: Any, tree: Any, name: str) -> list[int | None]:
    """An axis for each leaf of a tree, from one for all, or from a tree of them that stops early where it likes."""
    if axes is None or isinstance(axes, int):
        return [axes] * len(flatten(tree)[0])
    if isinstance(tree, (list, tuple)) and isinstance(axes, (list, tuple)) and len(axes) == len(tree):
        return [axis for part, inner in zip(tree, axes, strict=True) for axis in _axes_of(inner, part, name)]
    if isinstance(tree, dict) and isinstance(axes, dict) and axes.keys() == tree.keys():
        return [axis for key, part in tree.items() for axis in _axes_of(axes[key], part, name)]
    raise ValueError(f"vmap: {name} is an integer, None, or nested as its values are; got {axes!r}")


def _length(leaves: list[Any], axes: list[int | None]) -> int:
    lengths = set()
    for x, axis in zip(leaves, axes, strict=True):
        if axis is None:
            continue
        if not isinstance(x, Tensor) and find_backend_of(x) is None:
            raise TypeError(f"vmap maps over arrays, got {type(x).__name__}; give it the axis None")
        if not -len(x.shape) <= axis < len(x.shape):
            raise ValueError(f"vmap: an argument of shape {tuple(x.shape)} has no axis {axis}")
        lengths.add(int(x.shape[axis]))
    if len(lengths) != 1:
        found = ", ".join(map(str, sorted(lengths))) or "none"
        raise ValueError(f"vmap: the axes that are mapped over must have one length; got {found}")
    length = lengths.pop()
    if not length:
        raise ValueError("vmap: there is nothing to map over: the axes have length 0")
    return length


def _given(x: Any, axis: int | None) -> Any:
    """What the function gets for an argument: one of the batch, or what all share; arrays as Tensors."""
    if axis is not None:
        return Tensor(batch(_front(x, axis)))
    return x if find_backend_of(x) is None else Tensor(x)


def _front(x: Any, axis: int) -> Any:
    """The batch axis first; a Tensor only where it is being recorded, else its array."""
    value = x.array if isinstance(x, Tensor) and not x.requires_grad else x
    return Tensor.namespace.moveaxis(value, axis, 0) if axis else value


def _open(y: Any, count: int) -> Any:
    """A result without its batch: all of them along a first axis."""
    here = level.get()
    value, mapped = y, False
    array = array_of(y)
    if isinstance(array, Batched) and array.level == here:
        value, mapped = array.value, array.mapped
    if not isinstance(value, Tensor) and find_backend_of(value) is None:
        value = Tensor.namespace.asarray(value)
    return value if mapped else Tensor.namespace.broadcast_to(value, (count, *value.shape))


def _back(value: Any, axis: int | None, tensors: bool, taken: set[int]) -> Any:
    """A result with the batch where it goes; an array of its own, so that writing to it changes nothing else.

    taken: the ids of the arrays that were given, and of the results so far.
    """
    if axis is None:
        raise ValueError("vmap: a result has an axis for the batch; out_axes cannot be None")
    y = Tensor.namespace.moveaxis(value, 0, axis) if axis else value
    if isinstance(y, Tensor) and y.requires_grad and recording.get():
        return y
    array = array_of(y)
    array = backend_of(array).own(array, shared=id(array) in taken)
    taken.add(id(array))
    return Tensor(array) if tensors else array
