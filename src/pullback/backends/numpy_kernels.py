"""NumPy's kernels: faster versions of forwards and vjps, by name. Without them results are the same, later.

What stands for an array of no axes may be one of NumPy's scalars here, in both directions.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from . import linalg_kernels, numba_kernels
from .declining import declining
from .dtypes import dtype_name
from .host import host as np
from .scipy_kernels import kernels_of

__all__ = ["BLOCK", "kernels"]

F = TypeVar("F", bound=Callable[..., Any])

# With `out=...` a ufunc gives an array also where it would give a scalar; NumPy has it since 2.3.
_AN_ARRAY: dict[str, Any] = {"out": ...} if np.lib.NumpyVersion(np.__version__) >= "2.3.0" else {}

kernels: dict[str, Callable[..., Any]] = {
    name: partial(getattr(np, name), **_AN_ARRAY)
    for name in (
        *("add", "subtract", "multiply", "divide", "negative", "exp", "log", "sqrt", "tanh", "square", "abs"),
        *("maximum", "minimum", "sign", "sin", "cos", "floor", "equal", "less", "greater"),
    )
} | {
    "matmul": np.matmul,
    "unique_values": np.unique_values,
    "divide.vjp(x1)": np.divide,
    **kernels_of("scipy.special"),
    **linalg_kernels.kernels,
}


def kernel(name: str, declines: bool = False) -> Callable[[F], F]:
    """Enter a function in the table under the name of an op, or of one of its vjps.

    declines: it returns NotImplemented for calls that it leaves to the op's own lines.
    """

    def enter(function: F) -> F:
        kernels[name] = declining(function) if declines else function
        return function

    return enter


@kernel("multiply.vjp(x1)")
@kernel("multiply.vjp(x2)")
def _(g: Any, other: Any) -> Any:
    # An array of no axes gives its scalar, and two scalars multiply many times faster.
    return g * (other[()] if isinstance(other, np.ndarray) else other)


@kernel("relu")
def _(x: Any) -> Any:
    return np.maximum(x, 0)


@kernel("relu.vjp(x)")
def _(g: Any, y: Any) -> Any:
    return g * (y > 0)


def _like(make: Callable[..., Any]) -> Callable[..., Any]:
    def make_like(x: Any, *, dtype: Any = None, device: Any = None) -> Any:
        return make(x, dtype=dtype if dtype is None else dtype_name(dtype), device=device)

    return make_like


kernels |= {f"{name}_like": _like(getattr(np, f"{name}_like")) for name in ("empty", "ones", "zeros")}


@kernel("reshape")
def _(x: Any, *, shape: Any, copy: bool | None = None) -> Any:
    return x.reshape(shape) if copy is None else np.reshape(x, shape, copy=copy)


@kernel("permute_dims")
def _(x: Any, *, axes: Any) -> Any:
    return x.transpose(axes)


@kernel("squeeze", declines=True)
def _(x: Any, *, axis: Any) -> Any:
    return x.squeeze(axis) if isinstance(axis, int) else NotImplemented


@kernel("slice")
def _(x: Any, *, key: Any) -> Any:
    return x[key]


@kernel("clip", declines=True)
def _(x: Any, least: Any = None, most: Any = None) -> Any:
    if x.dtype.kind != "f" or type(least) is not float or type(most) is not float:
        return NotImplemented  # what the standard says of other bounds is the namespace's to know
    return np.minimum(np.maximum(x, least, **_AN_ARRAY), most, **_AN_ARRAY)


@kernel("repeat")
def _(x: Any, repeats: Any, *, axis: int) -> Any:
    return x.repeat(repeats, axis)


@kernel("count_nonzero")
def _(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return np.asarray(np.count_nonzero(x, axis=axis, keepdims=keepdims))


@kernel("matrix_transpose")
def _(x: Any) -> Any:
    return x.mT


@kernel("linear")
def _(x: Any, weight: Any, bias: Any = None) -> Any:
    flat = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    y = np.matmul(flat, weight.T)
    if bias is not None:
        y += bias
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], weight.shape[0])


@kernel("linear.vjp(weight)")
def _(g: Any, x: Any) -> Any:
    if g.ndim != 2:
        g, x = g.reshape(-1, g.shape[-1]), x.reshape(-1, x.shape[-1])
    return np.matmul(g.T, x)


@kernel("linear.vjp(bias)")
def _(g: Any) -> Any:
    return np.add.reduce(g, axis=tuple(range(g.ndim - 1)))


@kernel("softmax")
def _(x: Any, *, axis: int = -1) -> Any:
    e = np.exp(x - np.maximum.reduce(x, axis=axis, keepdims=True))
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    return e


@kernel("softmax.vjp(x)")
def _(g: Any, y: Any, *, axis: int) -> Any:
    gy = g * y
    gy -= y * np.add.reduce(gy, axis=axis, keepdims=True)
    return gy


@kernel("log_softmax")
def _(x: Any, *, axis: int = -1) -> Any:
    shifted = x - np.maximum.reduce(x, axis=axis, keepdims=True)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))
    return shifted


@kernel("log_softmax.vjp(x)")
def _(g: Any, y: Any, *, axis: int) -> Any:
    p = np.exp(y)
    p *= np.add.reduce(g, axis=axis, keepdims=True)
    return np.subtract(g, p, out=p)


@kernel("random_bits")
def _(like: Any, *, seed: int, offset: int, size: int) -> Any:
    return np.random.Philox(key=seed, counter=offset).random_raw(size).view(np.int64)


@kernel("gather")
def _(x: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    given = iter(arrays)
    return x[tuple([next(given) if isinstance(k, str) else k for k in key])]


@kernel("pick")
def _(x: Any, *indices: Any) -> Any:
    return x[indices]


@kernel("scatter_add")
def _(updates: Any, indices: Any, *, size: int, axis: int = 0) -> Any:
    shape = list(updates.shape)
    shape[axis] = size
    whole = np.zeros(shape, dtype=updates.dtype)
    np.add.at(np.moveaxis(whole, axis, 0), indices, np.moveaxis(updates, axis, 0))
    return whole


@kernel("cross_entropy", declines=True)
def _(
    logits: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Any:
    if not _plain_classes(logits, target, weight, ignore_index, label_smoothing):
        return NotImplemented
    shifted, rows = _rows(logits)
    losses = np.log(np.add.reduce(np.exp(shifted), axis=-1))
    losses -= shifted[rows, target.reshape(-1)]
    if reduction == "none":
        return losses.reshape(target.shape)
    total = np.add.reduce(losses)
    return total / losses.dtype.type(losses.size) if reduction == "mean" else total


@kernel("cross_entropy.vjp(logits)", declines=True)
def _(
    g: Any,
    logits: Any,
    target: Any,
    weight: Any,
    *,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
) -> Any:
    if not _plain_classes(logits, target, weight, ignore_index, label_smoothing):
        return NotImplemented
    e, rows = _rows(logits)
    np.exp(e, out=e)
    e /= np.add.reduce(e, axis=-1, keepdims=True)
    e[rows, target.reshape(-1)] -= 1
    e *= g / g.dtype.type(target.size) if reduction == "mean" else g.reshape(-1, 1) if reduction == "none" else g
    return e.reshape(logits.shape)


def _plain_classes(logits: Any, target: Any, weight: Any, ignore_index: int, label_smoothing: float) -> bool:
    """Whether the targets are classes, all of them valid, and nothing is weighted, smoothed or ignored."""
    classes = logits.shape[-1]
    return bool(
        weight is None
        and label_smoothing == 0
        and not 0 <= ignore_index < classes
        and target.shape == logits.shape[:-1]
        and target.size > 0
        and target.dtype.kind in "iu"
        and np.minimum.reduce(target, axis=None) >= 0
        and np.maximum.reduce(target, axis=None) < classes
    )


def _rows(logits: Any) -> tuple[Any, Any]:
    """The logits as rows less their maxima, and the rows' numbers."""
    flat = logits.reshape(-1, logits.shape[-1])
    return flat - np.maximum.reduce(flat, axis=-1, keepdims=True), np.arange(flat.shape[0])


BLOCK = 32768
"""How many elements an update passes over at once, so that they stay in the processor's cache."""


@kernel("adam.in_place")
def _(
    parameter: Any,
    gradient: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    max_exp_avg_sq: Any = None,
    *,
    decay: float = 0.0,
    shrink: float = 1.0,
    **numbers: float,
) -> None:
    compiled = numba_kernels.adam() if parameter.size >= numba_kernels.WORTHWHILE else None
    if compiled is not None:
        compiled(parameter, gradient, exp_avg, exp_avg_sq, max_exp_avg_sq, decay=decay, shrink=shrink, **numbers)
        return
    for start in range(0, parameter.size, BLOCK):
        part = slice(start, start + BLOCK)
        top = None if max_exp_avg_sq is None else max_exp_avg_sq[part]
        block = parameter[part], gradient[part], exp_avg[part], exp_avg_sq[part], top
        _adam_block(*block, decay=decay, shrink=shrink, **numbers)


def _adam_block(
    parameter: Any,
    gradient: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    max_exp_avg_sq: Any,
    *,
    beta1: float,
    beta2: float,
    step_size: float,
    eps: float,
    decay: float,
    shrink: float,
) -> None:
    """The operations of the rule in the same order, so the results are the same to the bit."""
    scratch = np.multiply(parameter, decay) if decay else np.empty_like(parameter)
    if decay:
        gradient += scratch
    np.multiply(gradient, 1 - beta1, out=scratch)
    exp_avg *= beta1
    exp_avg += scratch
    np.multiply(gradient, 1 - beta2, out=scratch)
    scratch *= gradient
    exp_avg_sq *= beta2
    exp_avg_sq += scratch
    largest = exp_avg_sq
    if max_exp_avg_sq is not None:
        largest = np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
    np.sqrt(largest, out=scratch)
    scratch += eps
    np.divide(exp_avg, scratch, out=scratch)
    if shrink != 1.0:
        parameter *= shrink
    scratch *= step_size
    parameter -= scratch
