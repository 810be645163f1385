"""Activation functions as modules, to stand in a `Sequential`.

All take any shape, floating, and give the same shape and dtype; those that say `dim` work along an axis, and GLU
halves it. `inplace` is accepted wherever PyTorch has it, and has no effect: an array is never overwritten here.
"""

from . import exponential, gates, hard, normalized, rectifiers, shrinkage, smooth
from .exponential import *
from .gates import *
from .hard import *
from .normalized import *
from .rectifiers import *
from .shrinkage import *
from .smooth import *

__all__: list[str] = []
__all__ += exponential.__all__
__all__ += gates.__all__
__all__ += hard.__all__
__all__ += normalized.__all__
__all__ += rectifiers.__all__
__all__ += shrinkage.__all__
__all__ += smooth.__all__
