"""CuPy's namespace with bfloat16, which CuPy 14 computes with and in places leaves out."""

from typing import Any

from .bfloat16 import WithBfloat16, is_bfloat16
from .transfers import lies_on_host

__all__ = ["CupyNamespace", "keep_bfloat16"]


class CupyNamespace(WithBfloat16):
    """CuPy's namespace, in which what lacks bfloat16 is computed in float32 and rounded once."""

    mend = "CuPy has bfloat16 with ml_dtypes and NumPy 2.1.2 or later: pip install -U ml-dtypes numpy"

    def from_dlpack(self, x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
        """CuPy's own, which knows no devices. Raises BufferError for what lies in the host's memory."""
        if lies_on_host(x):
            raise BufferError("the array lies in the host's memory, which a GPU does not share; copy it: pb.asarray(x)")
        y = self._below.from_dlpack(x, copy=copy)
        return y if device is None or y.device == device else self._below.asarray(y, device=device)

    def where(self, condition: Any, x1: Any, x2: Any, /) -> Any:
        """CuPy's own, which makes float32 of bfloat16."""
        y = self._below.where(condition, x1, x2)
        kinds = {x.dtype for x in (x1, x2) if hasattr(x, "dtype")}
        return y.astype(next(iter(kinds))) if len(kinds) == 1 and is_bfloat16(*kinds) else y

    def matmul(self, x1: Any, x2: Any, /) -> Any:
        """CuPy's own, which has no batches of matrices of bfloat16."""
        if max(x1.ndim, x2.ndim) < 3 or not (is_bfloat16(x1.dtype) and is_bfloat16(x2.dtype)):
            return self._below.matmul(x1, x2)
        return self._below.matmul(x1.astype("float32"), x2.astype("float32")).astype(x1.dtype)

    def sort(self, x: Any, /, **options: Any) -> Any:
        """CuPy's own, which sorts no bfloat16."""
        kind = x.dtype
        return self._below.sort(_sortable(x), **options).astype(kind, copy=False)

    def argsort(self, x: Any, /, **options: Any) -> Any:
        """CuPy's own, which sorts no bfloat16."""
        return self._below.argsort(_sortable(x), **options)


def _sortable(x: Any) -> Any:
    return x.astype("float32") if is_bfloat16(x.dtype) else x


def keep_bfloat16(y: Any, inputs: tuple[Any, ...]) -> Any:
    """A result in bfloat16 where that is what all floating inputs are: a Python float beside them makes float32."""
    kinds = [x.dtype for x in inputs if hasattr(x, "dtype")]
    half = next(filter(is_bfloat16, kinds), None)
    if half is None or getattr(y, "dtype", None) != "float32" or any(kind.kind in "fc" for kind in kinds):
        return y
    return y.astype(half)
