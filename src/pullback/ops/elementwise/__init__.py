"""The standard's elementwise functions, a file for each of their families."""

from . import arithmetic, bitwise, comparison, complex_numbers, exponential, logical, rounding, trigonometric
from .arithmetic import *
from .bitwise import *
from .comparison import *
from .complex_numbers import *
from .exponential import *
from .logical import *
from .rounding import *
from .trigonometric import *

__all__: list[str] = []
__all__ += arithmetic.__all__
__all__ += bitwise.__all__
__all__ += comparison.__all__
__all__ += complex_numbers.__all__
__all__ += exponential.__all__
__all__ += logical.__all__
__all__ += rounding.__all__
__all__ += trigonometric.__all__
