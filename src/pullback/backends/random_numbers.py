"""The numbers that random ones are computed with, in the ops' own lines and in every backend's kernels.

Logarithms, sines and cosines of one library differ from another's in their last bits. Box and Muller's transform takes
them from polynomials instead, with + - * / and sqrt alone, which every processor rounds in one way: so normal values
are the same everywhere.
"""

from typing import Any, Final

from .dtypes import dtype_name

__all__ = ["LOGARITHM", "ROOT_HALF", "SINE", "TWICE_LOG_2", "digits_of"]

_DIGITS: Final = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}

# Minimax fits in 60 digits, from the highest power down; the errors are relative.
LOGARITHM: Final = (
    -0.2959189896007911, -0.30628101246687367, -0.3636712864164464, -0.4444439714670376, -0.5714285748477022,
    -0.7999999999882939, -1.3333333333333468, -4.0,
)  # fmt: skip
"""-2 log(x) / s in s squared, where s = (x - 1) / (x + 1), for x from sqrt(1/2) to sqrt(2): to 1e-18."""
SINE: Final = (
    5.633720856452633e-08, -3.5986417534099325e-06, 0.00016044115029141055, -0.004681754132282397,
    0.07969262624603957, -0.6459640975062443, 1.5707963267948966,
)  # fmt: skip
"""sin(pi/2 r) / r in r squared, for r from -1/2 to 1/2: to 3e-18."""
TWICE_LOG_2: Final = 1.3862943611198906
ROOT_HALF: Final = 0.7071067811865476


def digits_of(dtype: Any) -> int:
    """How many binary digits a value of a data type holds, and is made of: with more, rounding would reach 1."""
    return _DIGITS.get(dtype_name(dtype), _DIGITS["float32"])
