"""Clipping: gradients held within bounds before a step, against the one batch that throws training off."""

from collections.abc import Iterable, Sequence
from math import inf, isfinite

from ..autodiff.tape import no_grad
from ..autodiff.tensor import Tensor
from ..backends import Array, backend_of
from ..backends.host import host
from ..nn.containers import ParameterList
from ..nn.module import Module
from ..ops.creation import zeros
from ..ops.data_types import astype, to_device
from ..ops.elementwise import abs, clip, minimum, pow, sqrt
from ..ops.manipulation import stack
from ..ops.precision import wide
from ..ops.statistical import max, sum
from .several import scale_all, sum_of_squares

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "joint_norm", "like"]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by one factor, so that their norm taken together is at most `max_norm`.

    parameters: those without a gradient are passed over.
    norm_type: p of the p-norm; `inf` is the largest absolute value.
    error_if_nonfinite: when the norm is infinite or NaN, raise RuntimeError and leave the gradients alone.
    Returns the norm before clipping, 0-d, of float16 and bfloat16 in float32 (Pascanu, Mikolov and Bengio, 2013).

    >>> import pullback as pb
    >>> w = pb.tensor([0.0, 0.0], requires_grad=True)
    >>> w.grad = pb.tensor([3.0, 4.0])
    >>> clip_grad_norm_([w], max_norm=1.0).item()
    5.0
    >>> [round(g, 4) for g in w.grad.tolist()]
    [0.6, 0.8]
    """
    every = list(_parameters(parameters))
    total = get_total_norm([p.grad for p in every if p.grad is not None], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(every, max_norm, total)
    return total


def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm of several Tensors, such as gradients, taken together.

    Arguments, result and what is raised: as for `clip_grad_norm_`. Of no Tensors the norm is 0.

    >>> import pullback as pb
    >>> get_total_norm([pb.tensor([3.0]), pb.tensor([0.0, 4.0])]).item()
    5.0
    """
    if not norm_type > 0:
        raise ValueError(f"norm_type is positive, or inf; got {norm_type!r}")
    found = [x.detach() for x in ([tensors] if isinstance(tensors, Tensor) else tensors)]
    if not found:
        return zeros(())
    with no_grad(), host.errstate(over="ignore", invalid="ignore"):  # what is not finite is the caller's to judge
        total: Tensor = joint_norm(found, norm_type)
    if error_if_nonfinite and not isfinite(total.item()):
        raise RuntimeError(
            f"the gradients' norm of order {norm_type} is {total.item()}, so they cannot be clipped; "
            "lower the learning rate, or pass error_if_nonfinite=False to go on with them as they are"
        )
    return total


def clip_grads_with_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor) -> None:
    """Scale all gradients by one factor, for which their norm is known already, as `clip_grad_norm_` does.

    parameters: those without a gradient are passed over. total_norm: 0-d, of `get_total_norm` or of
    `GradScaler.unscale_`.

    >>> import pullback as pb
    >>> w = pb.tensor([0.0, 0.0], requires_grad=True)
    >>> w.grad = pb.tensor([3.0, 4.0])
    >>> clip_grads_with_norm_([w], max_norm=1.0, total_norm=get_total_norm([w.grad]))
    >>> [round(g, 4) for g in w.grad.tolist()]
    [0.6, 0.8]
    """
    found = _with_gradients(parameters)
    if not found:
        return
    with no_grad(), host.errstate(over="ignore", invalid="ignore"):
        factor = minimum(max_norm / (total_norm + 1e-6), 1.0)
        for (p, _), scaled in zip(found, _scaled_by(factor, [g for _, g in found]), strict=True):
            p.grad = scaled


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Hold every element of the gradients in [-clip_value, clip_value].

    >>> import pullback as pb
    >>> w = pb.tensor([0.0, 0.0], requires_grad=True)
    >>> w.grad = pb.tensor([3.0, -0.5])
    >>> clip_grad_value_(w, 1.0)
    >>> w.grad
    Tensor([ 1. , -0.5], dtype=float32)
    """
    with no_grad():
        for p, g in _with_gradients(parameters):
            p.grad = clip(g, -clip_value, clip_value)


def _parameters(parameters: Tensor | Iterable[Tensor]) -> Iterable[Tensor]:
    if isinstance(parameters, Module) and not isinstance(parameters, ParameterList):
        raise TypeError(f"clipping takes parameters; for a {type(parameters).__name__}, pass its parameters()")
    return [parameters] if isinstance(parameters, Tensor) else parameters


def _with_gradients(parameters: Tensor | Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return [(p, p.grad.detach()) for p in _parameters(parameters) if p.grad is not None]


def joint_norm(gradients: list[Tensor], p: float = 2.0) -> Tensor:
    """The p-norm of all gradients taken together, where the first one lives."""
    if p == 2 and _are_alike(gradients):
        return sqrt(sum_of_squares(*gradients))  # type: ignore[no-any-return]
    every = stack([like(_norm_power(g, p), gradients[0]) for g in gradients])
    if p == inf:
        return max(every)  # type: ignore[no-any-return]
    return sqrt(sum(every)) if p == 2 else pow(sum(every), 1 / p)  # type: ignore[no-any-return]


def _scaled_by(factor: Tensor, gradients: list[Tensor]) -> Sequence[Tensor]:
    """Every gradient times one number, in its own dtype and place."""
    if _are_alike(gradients):
        return scale_all(like(factor, gradients[0]), *gradients)
    return [g * like(factor, g) for g in gradients]


def _are_alike(gradients: list[Tensor]) -> bool:
    """Whether all are of one dtype, in one place."""
    return len({(g.dtype, g.device) for g in gradients}) == 1


def _norm_power(g: Tensor, p: float) -> Array:
    """The p-norm of one gradient, to the power p; of float16 and bfloat16 in float32."""
    g = wide(Tensor.namespace, g)
    if p == inf:
        return max(abs(g)) if g.size else sum(g)
    return sum(g * g) if p == 2 else sum(pow(abs(g), p))


def like(x: Tensor, other: Tensor) -> Tensor:
    """One number in the dtype and the place of another Tensor; itself where that is so already."""
    owner, there = backend_of(x.array), backend_of(other.array)
    if owner is not there or owner.device_of(x.array) != there.device_of(other.array):
        x = to_device(x, other.device, backend=there.name)
    return x if x.array.dtype == other.array.dtype else astype(x, other.dtype)
