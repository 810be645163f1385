"""Gradients held against finite differences, for ops of one's own too."""

from collections.abc import Callable, Sequence
from typing import Any

from ..backends import array_beside, backend, backend_of, find_backend_of, is_complex, is_floating
from ..backends.host import host
from .tensor import Tensor
from .transforms import vjp
from .tree import flatten, tree_map

__all__ = ["check_grads"]

_STEP = 1e-3
"""Of a central difference of fourth order: its own error is near 1e-12, that of rounding near 1e-13 / 1e-3."""


def check_grads(
    function: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    *,
    rtol: float = 1e-6,
    atol: float = 1e-7,
    seed: int = 0,
) -> None:
    """Check the derivatives of a function, up to an order, against finite differences in double precision.

    function: of arrays (or dicts, lists and tuples of them), giving one or several.
    args: where to check; real and complex arrays are taken to double precision where they are, others are held
        constant.
    order: 1 checks the gradient; 2 also the gradient of the gradient; and so on.
    rtol, atol: how far the two may differ, relative to the larger and at least.
    Raises AssertionError, naming the argument, the order and both numbers.

    For each argument a random direction is drawn, and a random weight for the value: the derivative of
    the weighted value in that direction must be what the pullback of the weight says.

    >>> import pullback as pb
    >>> check_grads(lambda x: pb.exp(x) * x, [pb.tensor([0.5, -1.0])])
    """
    leaves, rebuild = flatten(list(args))
    points = [_in_double(x) for x in leaves]
    chosen = [i for i, x in enumerate(points) if isinstance(x, Tensor) and is_floating(x.dtype)]
    if not chosen:
        raise ValueError("check_grads needs at least one real or complex floating argument")
    _check(
        lambda *xs: function(*rebuild(_put(points, chosen, xs))),
        [points[i] for i in chosen],
        order,
        1,
        rtol,
        atol,
        seed,
    )


def _in_double(x: Any) -> Any:
    if isinstance(x, float):
        return Tensor(backend().asarray(x, dtype="float64"))
    if not isinstance(x, Tensor) and find_backend_of(x) is None:
        return x
    x = x.detach() if isinstance(x, Tensor) else Tensor(x)
    if not is_floating(x.array.dtype):
        return x
    return x.astype("complex128" if is_complex(x.array.dtype) else "float64")


def _put(values: Sequence[Any], places: Sequence[int], new: Sequence[Any]) -> list[Any]:
    result = list(values)
    for place, value in zip(places, new, strict=True):
        result[place] = value
    return result


def _check(
    function: Callable[..., Any],
    points: list[Tensor],
    order: int,
    level: int,
    rtol: float,
    atol: float,
    seed: int,
) -> None:
    generator = host.random.default_rng(seed + level)
    value, pullback = vjp(function, *points)
    weights = tree_map(lambda y: _random_like(y, generator), value)
    gradients = pullback(weights)

    def weighted(number: int, shift: float, direction: Tensor) -> float:
        moved = _put(points, [number], [points[number] + direction * shift])
        return _inner(weights, function(*moved))

    for number, (point, gradient) in enumerate(zip(points, gradients, strict=True)):
        direction = _random_like(point, generator)
        near = weighted(number, _STEP, direction) - weighted(number, -_STEP, direction)
        far = weighted(number, 2 * _STEP, direction) - weighted(number, -2 * _STEP, direction)
        measured = (8 * near - far) / (12 * _STEP)
        claimed = _inner(gradient, direction)
        if not abs(measured - claimed) <= atol + rtol * max(abs(measured), abs(claimed)):
            raise AssertionError(
                f"derivative of order {level}, argument {number}: finite differences give {measured!r}, "
                f"the vjp {claimed!r} (ratio {claimed / measured if measured else float('nan'):.6g})"
            )
    if level < order:

        def slope(*xs: Any) -> Any:
            return vjp(function, *xs)[1](weights)

        _check(slope, points, order, level + 1, rtol, atol, seed)


def _random_like(x: Tensor, generator: Any) -> Tensor:
    drawn = generator.standard_normal(x.shape)
    if is_complex(x.dtype):
        drawn = drawn + 1j * generator.standard_normal(x.shape)
    return Tensor(array_beside(x.array, host.asarray(drawn)))


def _inner(a: Any, b: Any) -> float:
    """The real inner product, in which a complex number is the pair of its parts."""
    pairs = zip(flatten(a)[0], flatten(b)[0], strict=True)
    return float(sum(float(host.sum(host.real(host.conj(_host(x)) * _host(y)))) for x, y in pairs))


def _host(x: Any) -> Any:
    return x.numpy() if isinstance(x, Tensor) else backend_of(x).to_host(x)
