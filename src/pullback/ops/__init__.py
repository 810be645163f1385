"""Every op of the package: the standard's, one file for each of its sections, and those of training."""

from . import random
from .activation import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, softplus
from .creation import (
    arange, asarray, empty, eye, full, full_like, linspace, ones, ones_like, zeros, zeros_like,
)  # fmt: skip
from .data_types import astype, isdtype, to_device
from .elementwise import (
    abs, add, ceil, clip, cos, divide, equal, exp, expm1, floor, greater, greater_equal, isfinite, isinf, isnan, less,
    less_equal, log, log1p, logical_and, logical_not, logical_or, logical_xor, maximum, minimum, multiply, negative,
    not_equal, positive, pow, reciprocal, round, sign, sin, sqrt, square, subtract, tan, tanh,
)  # fmt: skip
from .indexing import embed, getitem, one_hot, scatter_add, take
from .linear_algebra import linear, matmul, matrix_transpose
from .loss import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, huber_loss, l1_loss, mse_loss, nll_loss,
)  # fmt: skip
from .manipulation import broadcast_to, concat, expand_dims, permute_dims, reshape, squeeze, stack, unstack
from .random import Generator, default_generator, dropout, manual_seed
from .searching import argmax, argmin, where
from .special import erf
from .statistical import max, mean, min, std, sum, var
from .utility import all, any
