"""Activation functions as modules, to stand in a `Sequential`.

All take any shape, floating, and give the same shape and dtype; those that say `dim` work along an axis, and GLU
halves it. `inplace` is accepted wherever PyTorch has it, and has no effect: an array is never overwritten here.
"""

from .exponential import CELU, ELU, SELU
from .gates import GLU
from .hard import Hardsigmoid, Hardswish, Hardtanh, ReLU6
from .normalized import LogSoftmax, Softmax, Softmax2d, Softmin
from .rectifiers import LeakyReLU, PReLU, ReLU, RReLU, Threshold
from .shrinkage import Hardshrink, Softshrink, Tanhshrink
from .smooth import GELU, LogSigmoid, Mish, Sigmoid, SiLU, Softplus, Softsign, Tanh

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
    "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax",
    "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip
