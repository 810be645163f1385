"""Differentiation: ops and their vjps, the tape, and the transforms built on it."""

from .autocast import autocast, autocasts_to
from .check import check_grads
from .checkpoint import checkpoint
from .custom_op import CustomOp, custom_op
from .jacobian import hessian, jacobian
from .op import Op, op, registry
from .tape import enable_grad, no_grad
from .tensor import Tensor
from .transforms import grad, hvp, jvp, value_and_grad, vjp
from .tree import tree_map
from .vmap import vmap

__all__ = [
    "CustomOp", "Op", "Tensor", "autocast", "autocasts_to", "check_grads", "checkpoint", "custom_op", "enable_grad",
    "grad", "hessian", "hvp", "jacobian", "jvp", "no_grad", "op", "registry", "tree_map", "value_and_grad", "vjp",
    "vmap",
]  # fmt: skip
