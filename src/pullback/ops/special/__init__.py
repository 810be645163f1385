"""Special functions that the standard lacks, in the array API's calls alone.

Each is within a few units in the last place of its dtype, float64 or float32; nearer to one of its zeros than its
argument's own rounding the error is that of the argument.
"""

from ..elementwise.exponential import logaddexp
from . import bessel_functions, error_functions, gamma_functions, logarithms
from .bessel_functions import *
from .error_functions import *
from .gamma_functions import *
from .logarithms import *

__all__ = ["logaddexp"]
__all__ += bessel_functions.__all__
__all__ += error_functions.__all__
__all__ += gamma_functions.__all__
__all__ += logarithms.__all__
