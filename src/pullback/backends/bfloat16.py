"""bfloat16 for libraries whose arrays take it from ml_dtypes, which is imported when the data type is first named.

It is no requirement: everything else goes without. ml_dtypes computes what is elementwise, each result rounded; its
sums and products round after every term, so that 256 ones and another are 256. Those are computed in float32 here and
rounded once, as tensor cores do it.
"""

from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from .dtypes import dtype_name, is_half
from .host import host as np

__all__ = ["NumpyNamespace", "WithBfloat16", "is_bfloat16", "keeping_bfloat16", "matmul", "rounded_once"]

_add: Any = np.add.reduce
_SUMS: Final = ("cumulative_prod", "cumulative_sum", "mean", "prod", "std", "var")


@cache
def _bfloat16() -> Any:
    try:
        return import_module("ml_dtypes").bfloat16
    except ImportError:
        raise AttributeError("bfloat16 is computed through ml_dtypes, which is not installed") from None


class WithBfloat16(ModuleType):
    """A library's namespace, and the data type bfloat16 in it."""

    mend = "bfloat16 takes the package ml_dtypes: pip install ml-dtypes"

    def __init__(self, below: ModuleType) -> None:
        super().__init__(below.__name__, below.__doc__)
        own = {name for name in dir(type(self)) if name[0] != "_"}
        vars(self).update({name: thing for name, thing in vars(below).items() if name not in own}, _below=below)

    @property
    def bfloat16(self) -> Any:
        """The type of its scalars, as NumPy has float32. Raises AttributeError where ml_dtypes is not installed."""
        return _bfloat16()

    def finfo(self, kind: Any, /) -> Any:
        """The library's own, or ml_dtypes's."""
        return import_module("ml_dtypes").finfo(kind) if dtype_name(kind) == "bfloat16" else self._below.finfo(kind)

    def isdtype(self, dtype: Any, kind: Any) -> bool:
        """Whether a data type is of a kind: the library's own would take bfloat16 for no data type at all."""
        if dtype_name(dtype) != "bfloat16":
            return bool(self._below.isdtype(dtype, kind))
        kinds = kind if isinstance(kind, tuple) else (kind,)
        return any(k in ("real floating", "numeric") or dtype_name(k) == "bfloat16" for k in kinds)


class NumpyNamespace(WithBfloat16):
    """NumPy's namespace, in which sums and products of half precision are float32's, rounded once."""

    def __init__(self, below: ModuleType) -> None:
        super().__init__(below)
        vars(self).update({name: _wide(getattr(below, name)) for name in _SUMS}, sum=_sum, matmul=matmul)

    def clip(self, x: Any, /, min: Any = None, max: Any = None) -> Any:
        """NumPy's own, of bfloat16 that of float32."""
        if not is_bfloat16(x.dtype):
            return self._below.clip(x, min, max)
        bounds = (np.astype(b, np.float32) if hasattr(b, "dtype") else b for b in (min, max))
        return self._below.clip(x.astype(np.float32), *bounds).astype(x.dtype)


def is_bfloat16(dtype: Any) -> bool:
    """Whether one of NumPy's data types is bfloat16: to NumPy itself it is two bytes of unknown meaning."""
    return bool(dtype.kind == "V" and dtype.itemsize == 2)


def rounded_once(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel of products that computes arrays of half precision in float32, and rounds what it gives.

    BLAS has no half precision: NumPy's own loops are many times slower than the casts, and ml_dtypes' round every sum.
    """

    @wraps(kernel)
    def run(x: Any, *others: Any, **metadata: Any) -> Any:
        kind = x.dtype
        if kind.itemsize != 2 or not is_half(kind) or any(a is not None and a.dtype != kind for a in others):
            return kernel(x, *others, **metadata)
        y = kernel(*(a if a is None else a.astype(np.float32) for a in (x, *others)), **metadata)
        with np.errstate(over="ignore"):  # beyond float16 is infinity, as on a GPU, and GradScaler finds it
            return y.astype(kind)

    return run


_product = rounded_once(np.matmul)


def matmul(x1: Any, x2: Any) -> Any:
    """The matrix product; of half precision that of float32, rounded once."""
    return np.matmul(x1, x2) if x1.dtype.itemsize != 2 else _product(x1, x2)


def _sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    if dtype is not None and x.dtype.char == "e":
        x = x.astype(dtype)  # NumPy itself would add up what it casts piece by piece, which is less exact
    if x.dtype.kind == "V":
        y = _add(x.astype(np.float32), axis=axis, keepdims=keepdims)
        return y.astype(x.dtype if dtype is None else dtype)
    return _add(x, axis=axis, dtype=dtype, keepdims=keepdims)


def _wide(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def run(x: Any, /, *, dtype: Any = None, **options: Any) -> Any:
        kind = x.dtype
        if kind.kind != "V":
            return function(x, **options) if dtype is None else function(x, dtype=dtype, **options)
        y = function(x.astype(np.float32), **options)
        return y.astype(kind if dtype is None else dtype)

    return run


def keeping_bfloat16(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays and Python numbers, whose result is bfloat16 where the arrays are: NumPy makes it wider."""

    def run(*inputs: Any, **metadata: Any) -> Any:
        y = function(*inputs, **metadata) if metadata else function(*inputs)
        for x in inputs:
            if type(x) is np.ndarray and (letter := x.dtype.kind) != "b":
                return y if letter != "V" or any(map(_is_wide, inputs)) else _narrowed(y, x.dtype)
        return y

    return run


def _narrowed(y: Any, kind: Any) -> Any:
    if type(y) is tuple:
        return tuple(_narrowed(part, kind) for part in y)
    return y.astype(kind) if y.dtype.kind == "f" else y


def _is_wide(x: Any) -> bool:
    return type(x) is np.ndarray and x.dtype.kind in "fc"
