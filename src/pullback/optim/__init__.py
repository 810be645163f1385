"""Optimizers, learning-rate schedules, and clipping."""

from . import lr_scheduler
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .clip import clip_grad_norm_, clip_grad_value_
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop",
    "clip_grad_norm_", "clip_grad_value_", "lr_scheduler",
]  # fmt: skip
