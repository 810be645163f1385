"""Batched arrays: many arrays of one shape, computed with as if there were one."""

from .array import Batched
from .backend import batch, inside, level, lift

__all__ = ["Batched", "batch", "inside", "level", "lift"]
