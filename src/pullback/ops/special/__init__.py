"""Special functions that the standard lacks, in the array API's calls alone.

Each is within a few units in the last place of its dtype, float64 or float32; nearer to one of its zeros than its
argument's own rounding the error is that of the argument.
"""

from . import bessel, error, gamma, logarithmic
from .bessel import *
from .error import *
from .gamma import *
from .logarithmic import *

__all__: list[str] = []
__all__ += bessel.__all__
__all__ += error.__all__
__all__ += gamma.__all__
__all__ += logarithmic.__all__
