"""Train neural networks on the arrays you already have.

`import pullback as pb` is a namespace in the manner of the Python array API standard, in which every
function that has a derivative is differentiable, on NumPy, CuPy and any other array API library.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import ops
from .autodiff import (
    CustomOp,
    Op,
    Tensor,
    autocast,
    autocasts_to,
    check_grads,
    checkpoint,
    custom_op,
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
    vmap,
)
from .backends import (
    DTYPES,
    BackendMismatch,
    BackendUnavailable,
    OutOfMemory,
    backend,
    backends,
    memory_stats,
    release_memory,
    synchronize,
    use,
    watch_transfers,
)
from .ops import *

if TYPE_CHECKING:
    from . import compile, data, interop, nn, optim, train
    from .autodiff.explain import explain

__version__ = "0.1.0"

__all__ = [
    "BackendMismatch",
    "BackendUnavailable",
    "CustomOp",
    "Op",
    "OutOfMemory",
    "Tensor",
    "autocast",
    "autocasts_to",
    "backend",
    "backends",
    "check_grads",
    "checkpoint",
    "compile",
    "custom_op",
    "data",
    "enable_grad",
    "explain",
    "grad",
    "hessian",
    "hvp",
    "interop",
    "jacobian",
    "jvp",
    "memory_stats",
    "nn",
    "no_grad",
    "op",
    "optim",
    "release_memory",
    "synchronize",
    "train",
    "tree_map",
    "use",
    "value_and_grad",
    "vjp",
    "vmap",
    "watch_transfers",
]
__all__ += ops.__all__

Tensor.namespace = sys.modules[__name__]

_ROOMS = ("compile", "data", "interop", "nn", "optim", "train")


def __getattr__(name: str) -> Any:
    """The other rooms of the package, imported when first asked for, so that `import pullback` stays light."""
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name == "explain":
        return import_module(f"{__name__}.autodiff.explain").explain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *DTYPES, *_ROOMS})


# fmt: off
(
    bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
    float16, bfloat16, float32, float64, complex64, complex128,
) = DTYPES.values()
# fmt: on
