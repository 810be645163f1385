"""Muon: momentum whose matrix is made orthogonal, so that every direction in it counts alike."""

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any, ClassVar

from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..backends import Array, Namespace
from ..ops.linear_algebra import matmul, matrix_transpose
from .optimizer import Hyper, Optimizer

__all__ = ["Muon", "muon", "orthogonalized"]

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_ADJUSTMENTS = (None, "original", "match_rms_adamw")
_HYPER: dict[str, Any] = {"lr": 0.1, "shrink": 0.99, "momentum": 0.9, "coefficients": _POLYNOMIAL, "eps": 1e-7}


@op(
    examples=[
        example(normal(3, 5), normal(3, 5), normal(3, 5), nesterov=True, iterations=3, **_HYPER),
        example(normal(4, 2), normal(4, 2), normal(4, 2), nesterov=False, iterations=2, adjust="original", **_HYPER),
        example(
            *(normal(2, 3), normal(2, 3), normal(2, 3)),
            **{"nesterov": True, "iterations": 1, "adjust": "match_rms_adamw", **_HYPER},
        ),
    ]
)
def muon(
    xp: Namespace,
    parameter: Array,
    gradient: Array,
    momentum_buffer: Array,
    /,
    *,
    lr: float,
    shrink: float,
    momentum: float,
    nesterov: bool,
    coefficients: tuple[float, float, float],
    eps: float,
    iterations: int,
    adjust: str | None = None,
) -> tuple[Array, Array]:
    """One step of Muon for one matrix (rows, columns).

    momentum_buffer: the running mean of the gradients, of which each step keeps the share `momentum`.
    shrink: what the parameter is multiplied by first. coefficients, eps, iterations: see `orthogonalized`.
    adjust: how the rate goes by the matrix's shape, as Muon's `adjust_lr_fn`.
    Returns the new parameter and the new mean.
    """
    momentum_buffer = momentum * momentum_buffer + (1 - momentum) * gradient
    direction = (1 - momentum) * gradient + momentum * momentum_buffer if nesterov else momentum_buffer
    direction = orthogonalized(xp, direction, coefficients, eps, iterations)
    rows, columns = parameter.shape
    ratio = 0.2 * sqrt(max(rows, columns)) if adjust == "match_rms_adamw" else sqrt(max(1.0, rows / columns))
    return shrink * parameter - lr * ratio * direction, momentum_buffer


def orthogonalized(
    xp: Namespace, matrix: Array, coefficients: tuple[float, float, float], eps: float, iterations: int
) -> Array:
    """The nearest orthogonal matrix, or near it: its singular values come out between about 0.7 and 1.2.

    A Newton-Schulz iteration: an odd polynomial of degree 5, with these coefficients, of the singular values, again
    and again. They must be at most 1, so the matrix is first divided by its norm, or by `eps` if that is smaller.
    """
    rows, columns = matrix.shape
    x = matrix_transpose(matrix) if rows > columns else matrix
    x = x / xp.clip(xp.sqrt(xp.sum(x * x)), eps)
    a, b, c = coefficients
    for _ in range(iterations):
        gram = matmul(x, matrix_transpose(x))
        x = a * x + matmul(b * gram + c * matmul(gram, gram), x)
    return matrix_transpose(x) if rows > columns else x


class Muon(Optimizer):
    """Muon (Jordan et al., 2024) for the matrices of hidden layers, with PyTorch's arguments and defaults.

    Biases, embeddings and output layers are for another optimizer, such as AdamW, beside it.

    weight_decay makes the parameter itself shrink. ns_coefficients, eps, ns_steps: the polynomial of the iteration
    that makes the momentum orthogonal, the smallest norm it divides by, and how often it is taken.
    adjust_lr_fn: `"original"` (or None) makes the rate larger by the root of rows / columns where there are more rows;
    `"match_rms_adamw"` makes the steps as large as AdamW's, so that its rate and decay can be used (Liu et al., 2025).
    Raises ValueError for parameters that are not matrices.
    """

    elementwise = False
    rule = muon
    checks: ClassVar = {
        "ns_coefficients": (lambda three: len(three) == 3, "three numbers"),
        "ns_steps": (lambda count: count == int(count) and 0 <= count < 100, "a whole number from 0 to 99"),
        "adjust_lr_fn": (lambda name: name in _ADJUSTMENTS, f"one of {_ADJUSTMENTS}"),
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = _POLYNOMIAL,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_coefficients=ns_coefficients,
            eps=eps,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn,
        )

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimize more matrices, with hyperparameters of their own."""
        super().add_param_group(group)
        wrong = [p for p in self.param_groups[-1]["params"] if p.ndim != 2]
        if wrong:
            self.param_groups.pop()
            self._entries.pop()
            raise ValueError(
                f"Muon takes matrices; got a parameter of shape {wrong[0].shape}. Give those of "
                "other shapes to another optimizer, such as AdamW"
            )

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The running mean of the gradients."""
        return {"momentum_buffer": 0.0}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """Muon's numbers, the same for every step."""
        return {
            "lr": group["lr"],
            "shrink": 1 - group["lr"] * group["weight_decay"],
            "momentum": group["momentum"],
            "nesterov": group["nesterov"],
            "coefficients": tuple(group["ns_coefficients"]),
            "eps": group["eps"],
            "iterations": group["ns_steps"],
            "adjust": group["adjust_lr_fn"],
        }
