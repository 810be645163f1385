"""The standard's data types, named once for every backend."""

from functools import cache
from typing import Any, Final

__all__ = ["DTYPES", "HALVES", "KINDS", "DType", "dtype_in", "dtype_name", "is_complex", "is_floating", "is_half"]


def dtype_name(dtype: Any, /) -> str:
    """The array API standard's name of a data type of any library.

    dtype: a `DType`, a string, a Python type, or an array library's own data type object.

    >>> import numpy
    >>> dtype_name(numpy.float32), dtype_name(numpy.dtype("int64")), dtype_name(bool)
    ('float32', 'int64', 'bool')
    """
    return dtype if isinstance(dtype, str) else _name(id(type(dtype)), dtype)


@cache
def _name(_: int, dtype: Any) -> str:  # by type too: some object to being compared with others
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    name = str(name).rpartition(".")[2].rstrip("_")
    return _PYTHON.get(name, name)


# A Python scalar type asks for pullback's default of that kind.
_PYTHON: Final = {"float": "float32", "int": "int64", "complex": "complex64"}


class DType:
    """A data type of the standard, the same for every backend.

    Equal to any library's data type of the same name.

    >>> import numpy
    >>> DType("float32") == numpy.dtype("float32")
    True
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        try:
            return dtype_name(other) == self.name
        except TypeError:
            return False  # what has no hash is no data type

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"pullback.{self.name}"


HALVES: Final = ("float16", "bfloat16")
"""Half precision."""

DTYPES: Final = {
    name: DType(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *(*HALVES, "float32", "float64", "complex64", "complex128"),
    )
}

KINDS: Final = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "integral": ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    "real floating": (*HALVES, "float32", "float64"),
    "complex floating": ("complex64", "complex128"),
    "numeric": tuple(name for name in DTYPES if name != "bool"),
}
"""The standard's kinds of data types, and the names of those that are of each."""


_FLOATING: Final = frozenset(KINDS["real floating"] + KINDS["complex floating"])


def is_floating(dtype: Any) -> bool:
    """Whether values of a data type have derivatives: the real and the complex floating ones."""
    return dtype_name(dtype) in _FLOATING


def is_complex(dtype: Any) -> bool:
    """Whether a data type is complex64 or complex128."""
    return dtype_name(dtype) in KINDS["complex floating"]


def is_half(dtype: Any) -> bool:
    """Whether a data type is float16 or bfloat16."""
    return dtype_name(dtype) in HALVES


def dtype_in(xp: Any, dtype: Any, /, owner: str = "this") -> Any:
    """A namespace's own data type of that name; None stays None. Raises TypeError where it has none.

    owner: the name of the backend whose namespace it is, for the message.
    """
    if dtype is None:
        return None
    found = getattr(xp, dtype_name(dtype), None)
    if found is None or dtype_name(dtype) not in DTYPES:
        there = "name one of " + ", ".join(name for name in DTYPES if hasattr(xp, name))
        mend = getattr(xp, "mend", there) if dtype_name(dtype) == "bfloat16" else there
        raise TypeError(f"{owner} backend has no data type {dtype_name(dtype)!r}; {mend}")
    return found
