"""Train neural networks on the arrays you already have.

`import pullback as pb` is a namespace in the manner of the Python array API standard, in which every
function that has a derivative is differentiable, on NumPy, CuPy and any other array API library.
"""

import sys

from .autodiff import Tensor
from .autodiff import (
    Op, check_grads, enable_grad, grad, hessian, hvp, jacobian, jvp, no_grad, op, tensor, tree_map, value_and_grad, vjp,
)  # fmt: skip
from .backends import DTYPES, BackendMismatch, BackendUnavailable, backend, backends, use
from .ops import *

__version__ = "0.1.0"

Tensor.namespace = sys.modules[__name__]
globals().update(DTYPES)
