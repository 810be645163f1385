"""Activation functions. At a kink their derivatives are PyTorch's, mostly those of the flat side: relu'(0) = 0."""

from . import exponential, gates, hard, noisy, normalized, rectifiers, shrinkage, smooth
from .exponential import *
from .gates import *
from .hard import *
from .noisy import *
from .normalized import *
from .rectifiers import *
from .shrinkage import *
from .smooth import *

__all__: list[str] = []
__all__ += exponential.__all__
__all__ += gates.__all__
__all__ += hard.__all__
__all__ += noisy.__all__
__all__ += normalized.__all__
__all__ += rectifiers.__all__
__all__ += shrinkage.__all__
__all__ += smooth.__all__
