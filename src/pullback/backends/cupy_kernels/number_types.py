"""The types of numbers as cuBLAS and cuBLASLt name them."""

from typing import Any, Final, NamedTuple

from ..host import host

__all__ = ["ONE", "ZERO", "NumberType", "number_type"]


class NumberType(NamedTuple):
    """What numbers are, what their products are summed in, and what the factors 1 and 0 are, as CUDA counts types."""

    data: int
    compute: int
    tf32: int
    """What to compute in where factors may be rounded to TF32."""
    scale: int
    wide: bool
    """Whether that is double."""
    is_complex: bool


_TYPES: Final = {
    "float16": NumberType(2, compute=68, tf32=68, scale=0, wide=False, is_complex=False),
    "bfloat16": NumberType(14, compute=68, tf32=68, scale=0, wide=False, is_complex=False),
    "float32": NumberType(0, compute=68, tf32=77, scale=0, wide=False, is_complex=False),
    "float64": NumberType(1, compute=70, tf32=70, scale=1, wide=True, is_complex=False),
    "complex64": NumberType(4, compute=68, tf32=77, scale=4, wide=False, is_complex=True),
    "complex128": NumberType(5, compute=70, tf32=70, scale=5, wide=True, is_complex=True),
}
_known: dict[Any, NumberType | None] = {}

# 1 and 0 for each width, real and complex, at addresses that stay.
_factors = {wide: host.asarray([[1, 0], [0, 0]], dtype="float64" if wide else "float32") for wide in (False, True)}
ONE: Final = {wide: pair[0].ctypes.data for wide, pair in _factors.items()}
ZERO: Final = {wide: pair[1].ctypes.data for wide, pair in _factors.items()}


def number_type(dtype: Any) -> NumberType | None:
    """A data type as cuBLAS knows it; None where it has no products of it."""
    try:
        return _known[dtype]
    except KeyError:
        found = _known[dtype] = _TYPES.get(dtype.name)
        return found
