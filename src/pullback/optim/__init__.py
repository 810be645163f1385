"""Optimizers, learning-rate schedules, clipping, and gradient descent as it is taught."""

from . import lr_scheduler
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .clip import clip_grad_norm_, clip_grad_value_
from .divergence import Diverged
from .gradient_descent import gradient_descent
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "SGD", "Adagrad", "Adam", "AdamW", "Diverged", "Optimizer", "RMSprop",
    "clip_grad_norm_", "clip_grad_value_", "gradient_descent", "lr_scheduler",
]  # fmt: skip
