"""The standard's inspection functions, and its constants."""

from typing import Any

from ..backends import DTYPES, KINDS, DType, backend

__all__ = ["API_VERSIONS", "__array_api_version__", "__array_namespace_info__", "e", "inf", "nan", "newaxis", "pi"]

API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")
"""The versions of the array API standard that the namespace follows: each contains the one before."""
__array_api_version__ = API_VERSIONS[-1]

e = 2.718281828459045
inf = float("inf")
nan = float("nan")
newaxis = None
pi = 3.141592653589793


class NamespaceInfo:
    """What there is in the namespace, on the current backend; see the standard's inspection API."""

    def capabilities(self) -> dict[str, Any]:
        """Whether masks index and shapes may depend on values, and how many axes an array may have."""
        return dict(self._library().capabilities())

    def default_device(self) -> Any:
        """Where new arrays are made."""
        return backend().device

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The data types of arrays made of Python numbers."""
        names = {"real floating": "float32", "complex floating": "complex64", "integral": "int64", "indexing": "int64"}
        return {kind: DTYPES[name] for kind, name in names.items()}

    def dtypes(self, *, device: Any = None, kind: str | tuple[str, ...] | None = None) -> dict[str, DType]:
        """The standard's data types of a kind, or of several, that the device has; of all kinds with None."""
        there = self._library().dtypes(device=backend().device if device is None else device)
        kinds = (kind,) if isinstance(kind, str) else tuple(KINDS) if kind is None else kind
        unknown = [k for k in kinds if k not in KINDS]
        if unknown:
            raise ValueError(f"there is no kind of data types {unknown[0]!r}; there are {', '.join(KINDS)}")
        return {name: DTYPES[name] for name in there if any(name in KINDS[k] for k in kinds)}

    def devices(self) -> tuple[Any, ...]:
        """The devices of the current backend."""
        return tuple(self._library().devices())

    def _library(self) -> Any:
        return backend().namespace.__array_namespace_info__()


def __array_namespace_info__() -> NamespaceInfo:
    """The standard's inspection of a namespace: default data types, devices, capabilities.

    >>> __array_namespace_info__().default_dtypes()["real floating"]
    pullback.float32
    """
    return NamespaceInfo()
