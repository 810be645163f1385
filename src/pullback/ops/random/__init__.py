"""Random numbers from a counter: one seed gives the same bits on every backend.

The generator is Philox4x64-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3", 2011), which NumPy has too. It has no hidden state: bits are a function of the seed and
of how many were drawn before, so a run can be resumed, and split among processes, exactly.

What is made of the bits is the same on every backend too, to the bit: uniform and normal values, integers, and what
dropout drops. It takes whole numbers and float64's + - * / and sqrt, which are rounded in one way everywhere.
"""

from .bits import random_bits
from .distributions import (
    integers,
    normal,
    permutation,
    random_integers,
    random_normal,
    random_uniform,
    uniform,
)
from .dropout import alpha_dropout, drop_path, dropout
from .generator import Generator, default_generator, manual_seed, use_generator

__all__ = [
    "Generator", "alpha_dropout", "default_generator", "drop_path", "dropout", "integers", "manual_seed", "normal",
    "permutation", "random_bits", "random_integers", "random_normal", "random_uniform", "uniform", "use_generator",
]  # fmt: skip
