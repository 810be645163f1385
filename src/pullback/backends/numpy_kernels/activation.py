"""Kernels of activation functions: compiled where that is worthwhile, else in few passes over memory."""

from collections.abc import Callable
from math import pi, sqrt
from typing import Any

from ..declining import declining
from ..dtypes import dtype_name, is_half
from ..host import host as np
from ..memory import empty
from ..numba_kernels import activation as elementwise
from ..numba_kernels import softmax as rows
from ..numba_kernels.compiling import in_parts, is_float, is_worthwhile
from .table import kernel, kernels

__all__ = ["are_worthwhile", "in_dtype", "in_rows", "takes_gelu"]


def are_worthwhile(*arrays: Any) -> bool:
    """Whether arrays are for compiled functions: large, float32 or float64, and of one shape and dtype."""
    x = arrays[0]
    if not is_worthwhile(x.size):
        return False
    return is_float(x.dtype) and all(a.shape == x.shape and a.dtype == x.dtype for a in arrays)


def in_dtype(x: Any, dtype: Any) -> Any:
    """A floating array in the dtype that an op was told to compute in; None where kernels leave that to its lines."""
    name = dtype_name(dtype)
    if name not in ("float32", "float64") or not (x.dtype.kind == "f" or is_half(x.dtype)):
        return None
    return x.astype(name, copy=False)


def in_rows(function: Callable[..., None], *arrays: Any) -> Any:
    """A compiled function of rows, of arrays whose last axis is a row; gives its result, of the last one's shape."""
    x = arrays[-1]
    y = empty(x.shape, x.dtype)
    flat = [np.ascontiguousarray(a).reshape(-1, x.shape[-1]) for a in arrays]
    in_parts(function, flat[0].shape[0], *flat, y.reshape(-1, x.shape[-1]))
    return y


@kernel("relu")
def _(x: Any) -> Any:
    return np.maximum(x, 0)


@kernel("relu.vjp(x)")
def _(g: Any, y: Any) -> Any:
    return np.where(y > 0, g, 0)


@kernel("softmax", declines=True)
def _(x: Any, *, axis: int = -1, dtype: Any = None) -> Any:
    x = x if dtype is None else in_dtype(x, dtype)
    if x is None or not x.size or x.dtype.char not in "fd":
        return NotImplemented
    if axis in (-1, x.ndim - 1) and are_worthwhile(x):
        return in_rows(rows.softmax, x)
    e = np.exp(x - np.maximum.reduce(x, axis=axis, keepdims=True))
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    return e


@kernel("softmax.vjp(x)", declines=True)
def _(g: Any, y: Any, x_dtype: Any, *, axis: int) -> Any:
    if y.dtype.char not in "fd":
        return NotImplemented
    if axis in (-1, y.ndim - 1) and are_worthwhile(g, y):
        return in_rows(rows.softmax_vjp, g, y)
    gy = g * y
    gy -= y * np.add.reduce(gy, axis=axis, keepdims=True)
    return gy


@kernel("log_softmax", declines=True)
def _(x: Any, *, axis: int = -1, dtype: Any = None) -> Any:
    x = x if dtype is None else in_dtype(x, dtype)
    if x is None or not x.size or x.dtype.char not in "fd":
        return NotImplemented
    if axis in (-1, x.ndim - 1) and are_worthwhile(x):
        return in_rows(rows.log_softmax, x)
    shifted = x - np.maximum.reduce(x, axis=axis, keepdims=True)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))
    return shifted


@kernel("log_softmax.vjp(x)", declines=True)
def _(g: Any, y: Any, x_dtype: Any, *, axis: int) -> Any:
    if y.dtype.char not in "fd":
        return NotImplemented
    if axis in (-1, y.ndim - 1) and are_worthwhile(g, y):
        return in_rows(rows.log_softmax_vjp, g, y)
    p = np.exp(y)
    p *= np.add.reduce(g, axis=axis, keepdims=True)
    return np.subtract(g, p, out=p)


def takes_gelu(x: Any, approximate: str) -> bool:
    """Whether the kernels of GELU take an array; what they do not is for the op's lines."""
    return x.ndim > 0 and x.dtype.char in _GELU_TYPES.get(approximate, ())


_GELU_TYPES = {"none": ("f",), "tanh": ("f", "d")}


@kernel("gelu", declines=True)
def _(x: Any, *, approximate: str = "none") -> Any:
    if not takes_gelu(x, approximate):
        return NotImplemented
    if approximate == "tanh":
        return elementwise.gelu_tanh(x) if are_worthwhile(x) else _gelu_tanh(x)
    if are_worthwhile(x):
        return elementwise.kernels["gelu"](x)
    return x * _normal_below(x)


@kernel("gelu.vjp(x)", declines=True)
def _(g: Any, x: Any, *, approximate: str) -> Any:
    if not takes_gelu(x, approximate):
        return NotImplemented
    if approximate == "tanh":
        return elementwise.gelu_tanh_vjp(g, x) if are_worthwhile(g, x) else _gelu_tanh_vjp(g, x)
    if are_worthwhile(g, x):
        return elementwise.kernels["gelu.vjp(x)"](g, x)
    d = x * np.float32(-0.5)
    d *= x
    np.exp(d, out=d)
    d *= x
    d *= np.float32(1 / sqrt(2 * pi))
    d += _normal_below(x)
    d *= g
    return d


_SLOPE, _CUBE = sqrt(2 / pi), 0.044715


def _tanh_in_gelu(x: Any) -> Any:
    t = x * x
    t *= _SLOPE * _CUBE
    t += _SLOPE
    t *= x
    return np.tanh(t, out=t)


def _gelu_tanh(x: Any) -> Any:
    y = _tanh_in_gelu(x)
    y += 1
    y *= x
    y *= 0.5
    return y


def _gelu_tanh_vjp(g: Any, x: Any) -> Any:
    """g times (1 + t) / 2 + x (1 - t t) s / 2, with the slope s of t's argument."""
    t = _tanh_in_gelu(x)
    d = x * x
    d *= 3 * _CUBE * _SLOPE
    d += _SLOPE
    d *= x
    d *= 1 - t * t
    d += t
    d += 1
    d *= 0.5
    d *= g
    return d


# erf(x) is x times a quotient of polynomials in x**2 up to 3.92, to 2e-8, and 1 from there on, in float32.
_ABOVE = (
    2.050061845302545e-06, 0.00028486486480066756, 0.003765158851350308, 0.05274727638968752, 0.1903968720332893,
    1.1283791463037545,
)  # fmt: skip
_BELOW = (
    3.809051668243948e-05, 0.001162410460760608, 0.014968302070735283, 0.11410498592303042, 0.5020675779897541, 1.0,
)  # fmt: skip
_BLOCK = 1 << 14
"""So many numbers, and what is made of them, stay in the cache."""


def _normal_below(x: Any) -> Any:
    """The normal distribution's probability below x, of float32."""
    result = empty(x.shape, x.dtype)
    flat, out = x.reshape(-1), result.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        z = flat[part] * np.float32(sqrt(0.5))
        square = z * z
        above, below = _polynomial(_ABOVE, square), _polynomial(_BELOW, square)
        np.divide(above, below, out=above)
        above *= z
        z /= np.float32(3.92)
        np.copyto(above, np.sign(z), where=np.abs(z) >= 1)
        above += 1
        np.multiply(above, np.float32(0.5), out=out[part])
    return result


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    y = x * np.float32(coefficients[0])
    for c in coefficients[1:-1]:
        y += np.float32(c)
        y *= x
    y += np.float32(coefficients[-1])
    return y


def _or_compiled(fast: Callable[..., Any], slow: Callable[..., Any] | None) -> Callable[..., Any]:
    """The compiled kernel where it is worthwhile, else the other one, or the op's own lines."""
    if slow is None:
        return declining(
            lambda *arrays, **metadata: fast(*arrays, **metadata) if are_worthwhile(*arrays) else NotImplemented
        )

    def run(*arrays: Any, **metadata: Any) -> Any:
        return fast(*arrays, **metadata) if are_worthwhile(*arrays) else slow(*arrays, **metadata)

    return run


for _name, _function in elementwise.kernels.items():
    if not _name.startswith("gelu"):
        kernels[_name] = _or_compiled(_function, kernels.get(_name))
