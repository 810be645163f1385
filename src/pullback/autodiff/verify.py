"""What is true of every op, checked for one call of it: the registry's tests and `custom_op(...).check` ask the same.

op: the op. inputs: its arrays, all of one backend, and numbers. metadata: the rest. chosen: the positions of the
inputs that its gradients are checked for. Each check raises AssertionError, saying what is not so.
"""

from collections.abc import Collection, Iterator, Sequence
from importlib.util import find_spec
from itertools import product
from typing import Any

from ..backends import Backend, backend_of, find_backend_of, is_floating, open_backend
from ..backends.host import host
from .check import check_grads
from .tensor import Tensor, array_of
from .transforms import vjp
from .tree import flatten, tree_map
from .vmap import vmap

__all__ = [
    "check_derivatives", "check_each_gradient_alone", "check_gradients_stay", "check_tensors", "check_vmap",
    "inputs_with_gradients", "mapped", "place", "verify",
]  # fmt: skip


def verify(op: Any, inputs: Sequence[Any], metadata: dict[str, Any], *, derivatives: bool) -> None:
    """All checks: on the inputs' own backend and, where it is installed, on array_api_strict's second device.

    derivatives: whether the gradients are to be those of the forward.
    """
    owner = backend_of(next(array_of(x) for x in inputs if _is_array(x)))
    given = [_host(x) if _is_array(x) else x for x in inputs]
    chosen = inputs_with_gradients(op, given)
    expected = flatten(op(*place(given, owner), **metadata))[0]
    owners = [owner]
    if find_spec("array_api_strict") is not None:
        owners.append(open_backend("array_api_strict", "device1"))
    doubles = [place(given, backend) for backend in owners]
    for backend, double in zip(owners, doubles, strict=True):
        try:
            got = flatten(op(*double, **metadata))[0]
        except Exception as error:
            raise AssertionError(f"{op.name} does not run on {backend.name}: {error}") from error
        for a, b in zip(got, expected, strict=True):
            _equal(a, b, f"{op.name} on {backend.name} and on {owner.name}", 1e-12)
    for backend, double in zip(owners, doubles, strict=True):
        check_tensors(op, double, metadata)
        if derivatives and chosen:
            check_derivatives(op, double, metadata, chosen)
        check_gradients_stay(op, place(given, backend, "float32"), metadata, chosen)
        check_each_gradient_alone(op, double, metadata, chosen)
        check_vmap(op, [[_scaled(x, factor) for x in double] for factor in (1.0, 0.9, 1.1)], metadata, chosen)


def place(inputs: Sequence[Any], owner: Backend, dtype: str = "float64") -> list[Any]:
    """Host arrays as arrays of a backend, the real and complex ones in that precision; others as they are."""
    kinds = {"f": dtype, "c": {"float64": "complex128", "float32": "complex64"}[dtype]}

    def put(x: Any) -> Any:
        if not isinstance(x, host.ndarray):
            return x
        return owner.from_host(x.astype(kinds[x.dtype.kind]) if x.dtype.kind in kinds else x)

    return [put(x) for x in inputs]


def inputs_with_gradients(op: Any, inputs: Sequence[Any]) -> list[int]:
    """The inputs that the op has a gradient for."""
    covered = {name for rule in op.rules for name in rule.arguments} or set(op.inputs)
    pairs = zip(inputs, _names(op, inputs), strict=True)
    return [i for i, (x, name) in enumerate(pairs) if name in covered and _is_array(x) and is_floating(x.dtype)]


def check_tensors(op: Any, inputs: Sequence[Any], metadata: dict[str, Any]) -> None:
    """Tensors in give Tensors out, with the values that arrays give; of constants they are constants."""
    wrapped = [Tensor(x) if _is_array(x) else x for x in inputs]
    pairs = zip(flatten(op(*wrapped, **metadata))[0], flatten(op(*inputs, **metadata))[0], strict=True)
    for got, expected in pairs:
        if not isinstance(got, Tensor) or got.requires_grad:
            raise AssertionError(f"{op.name} of constant Tensors gave {got!r}, which is no constant Tensor")
        _equal(got, expected, f"{op.name} of Tensors and of arrays", 0.0)


def check_derivatives(
    op: Any, inputs: Sequence[Any], metadata: dict[str, Any], chosen: Sequence[int], order: int = 2
) -> None:
    """The gradients, up to an order, are those of finite differences."""
    check_grads(_of_chosen(op, inputs, metadata, chosen), [inputs[i] for i in chosen], order=order)


def check_gradients_stay(op: Any, inputs: Sequence[Any], metadata: dict[str, Any], chosen: Sequence[int]) -> None:
    """Each gradient has the data type, the shape, the device and the backend of its input."""
    variables = _pulled(op, inputs, metadata, chosen)
    for i in chosen:
        x, grad = variables[i], variables[i].grad
        if grad is None:
            raise AssertionError(f"{op.name} gave no gradient for input {i}")
        got, expected = ((a.dtype, a.shape, a.device, backend_of(a.array)) for a in (grad, x))
        if got != expected:
            raise AssertionError(f"{op.name}: the gradient of input {i} is {got}, the input {expected}")


def check_each_gradient_alone(op: Any, inputs: Sequence[Any], metadata: dict[str, Any], chosen: Sequence[int]) -> None:
    """What needs no gradient gets none."""
    for only in chosen:
        variables = _pulled(op, inputs, metadata, [only])
        got = [i for i, x in enumerate(variables) if isinstance(x, Tensor) and x.grad is not None]
        if got != [only]:
            raise AssertionError(f"{op.name}: of input {only} alone the gradient was asked for; got those of {got}")


def check_vmap(
    op: Any,
    samples: Sequence[Sequence[Any]],
    metadata: dict[str, Any],
    chosen: Sequence[int],
    tolerance: float = 1e-9,
    shared: Collection[str] = (),
) -> None:
    """Under vmap values and gradients are those of a loop, whichever of the inputs are mapped over.

    shared: the names of inputs that are never mapped over.
    """

    def value(*inputs: Any) -> Any:
        return op(*inputs, **metadata)

    def slopes(*inputs: Any) -> Any:
        y, pullback = vjp(_of_chosen(op, inputs, metadata, chosen), *(inputs[i] for i in chosen))
        return pullback(tree_map(Tensor.namespace.ones_like, y))

    for axes, whole in mapped(op, samples, shared):
        each = [[x if axis == 0 else samples[0][i] for i, (x, axis) in _placed(one, axes)] for one in samples]
        for function, name in ((value, ""), *([(slopes, "the gradient of ")] if chosen else [])):
            got = flatten(vmap(function, in_axes=axes)(*whole))[0]
            loop = [flatten(function(*one))[0] for one in each]
            for number, y in enumerate(got):
                one_by_one = host.stack([_host(parts[number]) for parts in loop])
                _equal(y, one_by_one, f"{name}{op.name} under vmap and in a loop, in_axes={axes},", tolerance)


def mapped(
    op: Any, samples: Sequence[Sequence[Any]], shared: Collection[str] = ()
) -> Iterator[tuple[tuple[int | None, ...], list[Any]]]:
    """Each way to map over some of the arrays and share the others: in_axes, and the inputs that go with them."""
    first = samples[0]
    names = _names(op, first)
    ways = [(0, None) if _is_array(x) and n not in shared else (None,) for x, n in zip(first, names, strict=True)]
    for axes in product(*ways):
        if 0 in axes:
            yield axes, [_stacked([one[i] for one in samples]) if a == 0 else first[i] for i, a in enumerate(axes)]


def _is_array(x: Any) -> bool:
    return isinstance(x, Tensor) or find_backend_of(x) is not None


def _host(x: Any) -> Any:
    return x.numpy() if isinstance(x, Tensor) else host.asarray(backend_of(x).to_host(x))


def _equal(got: Any, expected: Any, what: str, tolerance: float) -> None:
    a, b = _host(got), _host(expected)
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        raise AssertionError(f"{what} differ: {a.dtype} of shape {a.shape}, {b.dtype} of shape {b.shape}")
    if is_floating(a.dtype):
        same = host.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
    else:
        same = host.equal(a, b)
    if not same.all():
        where = tuple(map(int, host.argwhere(~same)[0]))
        raise AssertionError(f"{what} differ at {where}: {a[where]!r} and {b[where]!r}")


def _of_chosen(op: Any, inputs: Sequence[Any], metadata: dict[str, Any], chosen: Sequence[int]) -> Any:
    def function(*values: Any) -> Any:
        full = list(inputs)
        for i, value in zip(chosen, values, strict=True):
            full[i] = value
        return op(*full, **metadata)

    return function


def _pulled(op: Any, inputs: Sequence[Any], metadata: dict[str, Any], chosen: Sequence[int]) -> list[Any]:
    """The inputs as Tensors, the chosen ones variables, after a walk back from all outputs."""
    variables = [Tensor(x).requires_grad_(i in chosen) if _is_array(x) else x for i, x in enumerate(inputs)]
    for y in flatten(op(*variables, **metadata))[0]:
        if y.requires_grad:
            y.backward(Tensor.namespace.ones_like(y.detach()), retain_graph=True)
    return variables


def _scaled(x: Any, factor: float) -> Any:
    return x * factor if _is_array(x) and is_floating(x.dtype) else x


def _names(op: Any, inputs: Sequence[Any]) -> list[str]:
    return [op.inputs[min(i, len(op.inputs) - 1)] for i in range(len(inputs))]


def _placed(inputs: Sequence[Any], axes: Sequence[int | None]) -> Any:
    return enumerate(zip(inputs, axes, strict=True))


def _stacked(arrays: Sequence[Any]) -> Any:
    return backend_of(arrays[0]).namespace.stack(list(arrays))
