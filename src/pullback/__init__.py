"""Train neural networks on the arrays you already have.

`import pullback as pb` is a namespace in the manner of the Python array API standard, in which every
function that has a derivative is differentiable, on NumPy, CuPy and any other array API library.
"""

import sys

from . import ops
from .autodiff import (
    Op,
    Tensor,
    check_grads,
    enable_grad,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    op,
    tree_map,
    value_and_grad,
    vjp,
)
from .backends import DTYPES, BackendMismatch, BackendUnavailable, backend, backends, use
from .ops import *

__version__ = "0.1.0"

__all__ = [
    "BackendMismatch",
    "BackendUnavailable",
    "Op",
    "Tensor",
    "backend",
    "backends",
    "check_grads",
    "enable_grad",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "no_grad",
    "op",
    "tree_map",
    "use",
    "value_and_grad",
    "vjp",
]
__all__ += ops.__all__

Tensor.namespace = sys.modules[__name__]

# fmt: off
(
    bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
    float16, bfloat16, float32, float64, complex64, complex128,
) = DTYPES.values()
# fmt: on
