"""Differentiation: ops and their vjps, the tape, and the transforms built on it."""

from .check import check_grads
from .op import Op, op, registry
from .tape import enable_grad, no_grad
from .tensor import Tensor
from .transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .tree import tree_map

__all__ = [
    "Op", "Tensor", "check_grads", "enable_grad", "grad", "hessian", "hvp", "jacobian", "jvp", "no_grad", "op",
    "registry", "tree_map", "value_and_grad", "vjp",
]  # fmt: skip
