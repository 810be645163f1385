"""NumPy's kernels: faster versions of forwards and vjps, by name. Without them results are the same, later.

What stands for an array of no axes may be one of NumPy's scalars here, in both directions.
"""

from .. import linalg_kernels
from ..scipy_kernels import kernels_of
from . import (
    activation,
    attention,
    convolution,
    ctc,
    indexing,
    linear,
    loss,
    normalization,
    optimizer,
    perceptron,
    pooling,
    random,
    recurrent,
    standard,
)
from .optimizer import BLOCK
from .table import kernels

__all__ = [
    "BLOCK", "activation", "attention", "convolution", "ctc", "indexing", "kernels", "linear", "loss", "normalization",
    "optimizer", "perceptron", "pooling", "random", "recurrent", "standard",
]  # fmt: skip

kernels |= kernels_of("scipy.special") | linalg_kernels.kernels
