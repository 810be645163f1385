"""Differentiation: ops and their vjps, the tape, and the transforms built on it."""

from .check import check_grads
from .jacobian import hessian, jacobian
from .op import Op, op, registry
from .tape import enable_grad, no_grad
from .tensor import Tensor
from .transforms import grad, hvp, jvp, value_and_grad, vjp
from .tree import tree_map
from .vmap import vmap

__all__ = [
    "Op", "Tensor", "check_grads", "enable_grad", "grad", "hessian", "hvp", "jacobian", "jvp", "no_grad", "op",
    "registry", "tree_map", "value_and_grad", "vjp", "vmap",
]  # fmt: skip
