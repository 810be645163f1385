"""autocast: products in low precision, sums in float32, and the parameters as they are.

An op says beside its definition what it is cast to, `@autocasts_to("low")` or `@autocasts_to("float32")`; one that says
nothing runs in what it is given. The casts are ops on the tape, so a gradient comes back in its variable's own type.
An op that can be told what to compute in, by a `dtype` among its metadata, is told: it reads half precision as it lies.
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from types import TracebackType
from typing import Any, Final, Literal, ParamSpec, TypeVar

from ..backends import HALVES, Backend, backend_of, dtype_name, is_half
from ..backends.precision import casting, in_tf32
from .rule import Plan
from .tape import Node, Output, Place
from .tensor import Tensor, array_of

__all__ = ["autocast", "autocasts_to", "call_cast", "casting"]

P = ParamSpec("P")
R = TypeVar("R")
Operation = TypeVar("Operation")

_KINDS: Final = ("bfloat16", "float16", "tf32")
_CAST: Final = frozenset(("float32", *HALVES))
_LEFT_ALONE: Final = frozenset(("float64", "complex64", "complex128"))

_outer: ContextVar[tuple[str | None, ...]] = ContextVar("pullback_outer_autocasts", default=())


class autocast:
    """Compute in mixed precision inside a `with` block, or in a function that it decorates.

    dtype: `"bfloat16"` or `"float16"`, in which products are taken: matrix products, convolutions, attention, recurrent
        layers. Powers and exponentials, sums, norms, softmax and losses are computed in float32; what is neither runs
        in what it is given, and arrays of float32 and of low precision make float32 together. Or `"tf32"`: all is
        float32, and the factors of products may be rounded to TF32 on GPUs that have it.
    enabled: False computes as usual, also inside another block.
    Raises ValueError for another dtype. A call raises TypeError on a backend that does not have the dtype: NumPy has
    bfloat16 with the package ml_dtypes.

    Parameters stay float32, and their gradients are. float64 is left alone, and so is what meets it. Gradients are
    computed in the types of the forward pass, whether `backward()` is called in the block or behind it. float16 has few
    exponents: scale its loss, see `pullback.optim.GradScaler` (Micikevicius et al., "Mixed precision training", 2018).

    >>> import pullback as pb
    >>> x, w = pb.ones((2, 3)), pb.ones((4, 3)).requires_grad_()
    >>> with autocast("float16"):
    ...     y = pb.linear(x, w)
    ...     loss = y.sum()
    >>> loss.backward()
    >>> y.dtype, loss.dtype, w.grad.dtype
    (pullback.float16, pullback.float32, pullback.float32)
    """

    def __init__(self, dtype: Any = "bfloat16", enabled: bool = True) -> None:
        try:
            name = dtype_name(dtype) if dtype is not None else None
        except TypeError:  # what has no hash is no data type
            name = None
        if name not in _KINDS:
            raise ValueError(f"autocast is to one of {', '.join(map(repr, _KINDS))}; got {dtype!r}")
        self.dtype: str = name
        self.enabled = enabled

    def __enter__(self) -> "autocast":
        _outer.set((*_outer.get(), casting.get()))
        casting.set(self.dtype if self.enabled else None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        *outer, former = _outer.get()
        _outer.set(tuple(outer))
        casting.set(former)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, called inside the block."""

        @wraps(function)
        def run(*inputs: P.args, **options: P.kwargs) -> R:
            with self:
                return function(*inputs, **options)

        return run

    def __repr__(self) -> str:
        return f"autocast({self.dtype!r}{'' if self.enabled else ', enabled=False'})"


def autocasts_to(precision: Literal["low", "float32"]) -> Callable[[Operation], Operation]:
    """Declare of an op what its inputs are cast to inside `autocast`: its low precision, or float32.

    An op for float32 with `dtype` among its metadata, as `pb.sum` has it, is one that computes in that type and gives
    it: where its first input is of half precision, and none was given, it gets `dtype="float32"` in place of the casts.
    Raises ValueError for what is neither.

    >>> import pullback as pb
    >>> @autocasts_to("float32")
    ... @pb.op
    ... def fourth_power(xp, x, /):
    ...     return x * x * x * x
    >>> with pb.autocast("float16"):
    ...     fourth_power(pb.asarray([20.0], dtype="float16"))
    Tensor([160000.], dtype=float32)
    """

    if precision not in ("low", "float32"):
        raise ValueError(f"autocasts_to is 'low' or 'float32'; got {precision!r}")

    def declare(op: Operation) -> Operation:
        op.precision = precision  # type: ignore[attr-defined]
        return op

    return declare


def call_cast(op: Any, inputs: Sequence[Any], metadata: dict[str, Any]) -> Any:
    """A call inside `autocast` of an op that says what it is cast to. What it calls in turn is cast no more."""
    kind = casting.get()
    tf32 = kind == "tf32" and op.precision == "low"
    tokens = casting.set(None), in_tf32.set(tf32)
    try:
        if kind == "tf32":
            y = op(*inputs, **metadata)
            return _remembering(y) if tf32 else y
        if op.precision == "float32" and "dtype" in op.defaults:
            return _computing_in_float32(op, inputs, metadata)
        return op(*_cast(inputs, kind if op.precision == "low" else "float32"), **metadata)
    finally:
        casting.reset(tokens[0])
        in_tf32.reset(tokens[1])


def _computing_in_float32(op: Any, inputs: Sequence[Any], metadata: dict[str, Any]) -> Any:
    """A call of an op that computes in a `dtype`: the one that it was given, or else float32."""
    if metadata.get("dtype") is not None:
        return op(*inputs, **metadata)
    names = _names(inputs)
    if names[0] is None or not is_half(names[0]) or not _LEFT_ALONE.isdisjoint(names):
        return op(*_cast(inputs, "float32"), **metadata)
    return op(*inputs, **{**metadata, "dtype": "float32"})


def _names(inputs: Sequence[Any]) -> list[str | None]:
    """The data types of the inputs that are arrays."""
    return [dtype_name(x.dtype) if hasattr(x, "dtype") else None for x in map(array_of, inputs)]


def _cast(inputs: Sequence[Any], dtype: Any) -> Sequence[Any]:
    """The inputs, those of float32 and of low precision in the dtype; all as they are beside one of float64."""
    names = _names(inputs)
    if not _LEFT_ALONE.isdisjoint(names):
        return inputs
    return [
        _cast_one(x, dtype) if name in _CAST and name != dtype else x for x, name in zip(inputs, names, strict=True)
    ]


def _cast_one(x: Any, dtype: str) -> Any:
    owner = backend_of(array_of(x))
    try:
        owner.dtype(dtype)
    except TypeError as error:
        raise TypeError(f'autocast("{dtype}"): {error}') from None
    return Tensor.namespace.astype(x, dtype)


class _InTf32(Plan):
    """The plan of a call whose gradients may be taken in TF32, as it was."""

    __slots__ = ()

    def pull(
        self, node: Node, g: Any, needed: set[Place] | None, record: bool, owner: Backend
    ) -> list[tuple[Place, Any]]:
        tokens = casting.set("tf32"), in_tf32.set(True)
        try:
            return super().pull(node, g, needed, record, owner)
        finally:
            casting.reset(tokens[0])
            in_tf32.reset(tokens[1])


def _remembering(y: Any) -> Any:
    """A result whose way back is in TF32 too, wherever it is walked."""
    for part in y if isinstance(y, tuple) else (y,):
        place = part.node if isinstance(part, Tensor) else None
        node = place.parents[0] if isinstance(place, Output) else place
        if isinstance(node, Node) and type(node.plan) is Plan:
            plan = node.plan
            node.plan = _InTf32.__new__(_InTf32)
            for name in Plan.__slots__:
                setattr(node.plan, name, getattr(plan, name))
    return y
