"""Programs: a training step traced, to be printed and replayed."""

from .program import Instruction, Program, Variable
from .trace import Traced, trace

__all__ = ["Instruction", "Program", "Traced", "Variable", "trace"]
