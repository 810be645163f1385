"""Losses of regression: how far numbers are from the numbers they should be."""

from math import log, pi, prod
from numbers import Real
from typing import Any

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, integers, normal, uniform
from ...backends import Array, Namespace
from ..creation import full_like
from ..data_types import astype
from ..elementwise import less
from ..floating import check_floating, floating_op
from ..manipulation import reshape
from ..utility import readable, somewhere
from .reduction import PAIR, Reduction, beside, check_arrays, check_same_shape, reduced, share

__all__ = ["gaussian_nll_loss", "huber_loss", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss"]


@autocasts_to("float32")
@floating_op(examples=PAIR)
def mse_loss(xp: Namespace, input: Array, target: Array, /, *, reduction: Reduction = "mean") -> Array:
    """Squared error, reduced.

    input, target: arrays of one shape, the input floating. Returns a 0-d array, or with "none" one of that shape, in
        the dtype of `input`.
    """
    check_same_shape("mse_loss", input, target)
    return reduced(xp, xp.square(input - beside(xp, target, input)), reduction)


@mse_loss.vjp("input")
def _(xp: Namespace, g: Array, input: Array, target: Array, *, reduction: Reduction) -> Array:
    return share(g, input.shape, reduction) * (2 * (input - beside(xp, target, input)))


@mse_loss.vjp("target")
def _(xp: Namespace, g: Array, input: Array, target: Array, *, reduction: Reduction) -> Array:
    return share(g, input.shape, reduction) * (2 * (beside(xp, target, input) - input))


@autocasts_to("float32")
@floating_op(examples=PAIR)
def l1_loss(xp: Namespace, input: Array, target: Array, /, *, reduction: Reduction = "mean") -> Array:
    """Absolute error, reduced. Its derivative where the error is 0 is taken as 0.

    input, target: arrays of one shape, the input floating. Returns a 0-d array, or with "none" one of that shape, in
        the dtype of `input`.
    """
    check_same_shape("l1_loss", input, target)
    return reduced(xp, xp.abs(input - beside(xp, target, input)), reduction)


@autocasts_to("float32")
@floating_op(examples=[*PAIR, example(normal(5, 3), normal(5, 3), delta=0.3)])
def huber_loss(
    xp: Namespace, input: Array, target: Array, /, *, reduction: Reduction = "mean", delta: float = 1.0
) -> Array:
    """Half the squared error up to `delta`, linear beyond it; reduced (Huber, 1964).

    input, target: arrays of one shape, the input floating. Returns a 0-d array, or with "none" one of that shape, in
        the dtype of `input`.
    """
    check_same_shape("huber_loss", input, target)
    error = xp.abs(input - beside(xp, target, input))
    inner = xp.minimum(error, delta)
    return reduced(xp, inner * (error - 0.5 * inner), reduction)


@huber_loss.vjp("input")
def _(xp: Namespace, g: Array, input: Array, target: Array, *, reduction: Reduction, delta: float) -> Array:
    return share(g, input.shape, reduction) * xp.clip(input - beside(xp, target, input), -delta, delta)


@huber_loss.vjp("target")
def _(xp: Namespace, g: Array, input: Array, target: Array, *, reduction: Reduction, delta: float) -> Array:
    return share(g, input.shape, reduction) * xp.clip(beside(xp, target, input) - input, -delta, delta)


@autocasts_to("float32")
@floating_op(examples=[*PAIR, *(example(normal(5, 3), normal(5, 3), beta=beta) for beta in (0.3, 0))])
def smooth_l1_loss(
    xp: Namespace, input: Array, target: Array, /, *, reduction: Reduction = "mean", beta: float = 1.0
) -> Array:
    """Squared error over 2 * beta up to `beta`, absolute error less beta / 2 beyond it; reduced (Girshick, 2015).

    input, target: arrays of one shape, the input floating. Returns a 0-d array, or with "none" one of that shape, in
        the dtype of `input`.
    beta: 0 or more; 0 gives the absolute error.
    """
    if not beta >= 0:
        raise ValueError(f"beta, where the loss turns linear, is 0 or more; got {beta!r}")
    check_same_shape("smooth_l1_loss", input, target)
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return huber_loss(input, target, reduction=reduction, delta=beta) / beta


@autocasts_to("float32")
@floating_op(
    examples=[
        *(example(normal(5, 3), uniform(5, 3, low=0.1, high=4), reduction=r) for r in ("mean", "sum", "none")),
        example(normal(5, 3), uniform(5, 3, low=0.1, high=4), full=True),
        example(uniform(5, 3, low=0.5, high=3), integers(5, 3, high=5), log_input=False, full=True, eps=1e-3),
    ]
)
def poisson_nll_loss(
    xp: Namespace,
    input: Array,
    target: Array,
    /,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: Reduction = "mean",
) -> Array:
    """Negative log-likelihood of counts under Poisson distributions of given rates, reduced.

    input: the rates, or with `log_input` their logarithms. target: counts, of the same shape.
    full: add what does not depend on the input: log(target!) by Stirling's formula, for targets above 1.
    eps: added to rates before their logarithm is taken.
    Returns a 0-d array, or with "none" one of that shape.
    """
    check_same_shape("poisson_nll_loss", input, target)
    target = beside(xp, target, input)
    losses = xp.exp(input) - target * input if log_input else input - target * xp.log(input + eps)
    if full:
        many = target > 1
        count = xp.where(many, target, xp.ones_like(target))
        stirling = count * xp.log(count) - count + 0.5 * xp.log(2 * pi * count)
        losses = losses + xp.where(many, stirling, 0.0)
    return reduced(xp, losses, reduction)


def gaussian_nll_loss(
    input: Array,
    target: Array,
    var: Any,
    /,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
) -> Any:
    """Negative log-likelihood of numbers under normal distributions of given means and variances, reduced.

    input: the means, any shape. target: of the input's shape, or with axes of length 1 instead.
    var: the variances: of the input's shape, with one axis of length 1 instead or with the last one left out; or a
        number.
    full: add log(2 * pi) / 2, which does not depend on any of them.
    eps: the least variance; smaller ones count as this, and get the gradient that this would get.
    Returns a 0-d array, or with "none" one of the input's shape, in the dtype of `input`.
    Raises ValueError for shapes that do not go together, and for a variance below 0.
    """
    if isinstance(var, Real):
        var = full_like(input, float(var))
    check_arrays("gaussian_nll_loss", input, target, var)
    check_floating("gaussian_nll_loss", input)
    target, var = (astype(x, input.dtype, copy=False) for x in (target, var))
    shape = tuple(input.shape)
    if tuple(var.shape) == shape[:-1] and tuple(var.shape) != shape:
        var = reshape(var, (*shape[:-1], 1))
    unequal = [(m, n) for m, n in zip(shape, var.shape, strict=False) if m != n]
    if len(var.shape) != len(shape) or len(unequal) > 1 or any(n != 1 for _, n in unequal):
        raise ValueError(
            f"var has the input's shape {shape}, with one axis of length 1 at most, or without the last; "
            f"got {tuple(var.shape)}"
        )
    if len(target.shape) != len(shape) or any(n not in (1, m) for m, n in zip(shape, target.shape, strict=True)):
        raise ValueError(
            f"gaussian_nll_loss expects a target of the input's shape {shape} or with axes of length 1; "
            f"got {tuple(target.shape)}"
        )
    if readable(var) and somewhere(less(var, 0)):
        raise ValueError("gaussian_nll_loss takes variances of 0 or more, and found one below: give it log_var.exp()")
    losses = _gaussian_nll_loss(input, target, _raised(var, least=eps), reduction=reduction)
    if not full:
        return losses
    constant = 0.5 * log(2 * pi)
    return losses + (constant * prod(shape) if reduction == "sum" else constant)


@floating_op(examples=[example(uniform(3, low=0.5, high=2), least=0.1)])
def _raised(xp: Namespace, x: Array, /, *, least: float) -> Array:
    """x, and a bound where it is below; the gradient is x's there too, so that it learns to rise."""
    return xp.maximum(x, least)


_raised.vjp("x")(lambda xp, g: g)


@autocasts_to("float32")
@floating_op(
    examples=[
        *(
            example(normal(5, 3), normal(5, 3), uniform(5, 3, low=0.5, high=2), reduction=r)
            for r in ("mean", "sum", "none")
        ),
        example(normal(5, 3), normal(5, 1), uniform(5, 1, low=0.5, high=2), reduction="none"),
    ]
)
def _gaussian_nll_loss(
    xp: Namespace, input: Array, target: Array, var: Array, /, *, reduction: Reduction = "mean"
) -> Array:
    return reduced(xp, 0.5 * (xp.log(var) + xp.square(input - target) / var), reduction)
