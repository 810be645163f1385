"""CuPy's kernels: CUDA sources, each beside the Python that launches it. Without them results are the same, later."""

from . import (
    activation,
    attention,
    convolution,
    dropout,
    indexing,
    layer_norm,
    linear,
    loss,
    normalization,
    optimizer,
    perceptron,
    pooling,
    random,
    scatter,
    several,
    softmax,
)
from .table import kernels

__all__ = [
    "activation",
    "attention",
    "convolution",
    "dropout",
    "indexing",
    "kernels",
    "layer_norm",
    "linear",
    "loss",
    "normalization",
    "optimizer",
    "perceptron",
    "pooling",
    "random",
    "scatter",
    "several",
    "softmax",
]
