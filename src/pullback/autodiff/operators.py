"""Python's operators and the methods of arrays, as calls of the namespace that a Tensor belongs to."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from ..backends import Namespace, backend_of, find_backend_of, is_complex, is_floating
from .tape import Leaf, Place, recording

__all__ = ["Operators"]

T = TypeVar("T")

_NUMBERS = (bool, int, float, complex)


def _operator(name: str) -> Callable[[Any, Any], Any]:
    """`self + other` and its like."""
    op: Any = None

    def apply(self: Any, other: Any) -> Any:
        nonlocal op
        if op is None:  # found once: an operator of small arrays costs little more than finding it
            op = getattr(self.namespace, name)
        try:
            return op.on_tensors((self, other), {})
        except TypeError:
            if isinstance(other, (Operators, *_NUMBERS)) or find_backend_of(other) is not None:
                raise
            return NotImplemented  # of another library: it may know what to do with a Tensor

    return apply


def _reflected(name: str) -> Callable[[Any, Any], Any]:
    """`other + self`, where the other is no Tensor."""
    return lambda self, other: getattr(self.namespace, name)(other, self)


def _in_place(name: str) -> Callable[[Any, Any], Any]:
    """`self += other`: a variable takes the new values, and stays the variable it is; of others, a new Tensor."""

    def apply(self: Any, other: Any) -> Any:
        if isinstance(self.node, Leaf) and recording.get():
            raise RuntimeError("a variable is changed in place only inside `with pb.no_grad():`")
        result = getattr(self.namespace, name)(self, other)
        if result.shape != self.shape:
            raise ValueError(f"a Tensor of shape {self.shape} cannot take values of shape {result.shape}")
        mine, its = self.array.dtype, result.array.dtype
        if mine != its:
            if is_floating(its) > is_floating(mine) or is_complex(its) > is_complex(mine) or self.dtype.name == "bool":
                raise TypeError(f"a {self.dtype.name} Tensor cannot take {result.dtype.name} values; use astype first")
            result = result.astype(self.dtype)
        if not isinstance(self.node, Leaf):
            return result
        self.node.refuse_batch(result.array)
        self.array = result.array
        return self

    return apply


def _method(name: str) -> Callable[..., Any]:
    """`self.name(...)` for a function of the namespace."""

    def apply(self: Any, *arguments: Any, **options: Any) -> Any:
        return getattr(self.namespace, name)(self, *arguments, **options)

    apply.__name__ = name
    apply.__doc__ = f"The same as `pb.{name}(self, ...)`."
    return apply


def _number(kind: Callable[[Any], T]) -> Callable[[Any], T]:
    """`float(self)` and its like, of a Tensor of one element."""

    def apply(self: Any) -> T:
        if self.size != 1:
            raise ValueError(f"a Tensor of shape {self.shape} is no single {kind.__name__}; use pb.any, pb.all or [i]")
        return kind(backend_of(self.array).read(self.namespace.reshape(self, ()).array if self.shape else self.array))

    return apply


def _transpose(self: Any) -> Any:
    if len(self.shape) != 2:
        raise ValueError(f".T is of a matrix, this has the shape {self.shape}; use .mT, or pb.permute_dims")
    return self.namespace.matrix_transpose(self)


class Operators:
    """What the standard asks of an array object by way of operators, with their reflected and in-place forms."""

    __slots__ = ()

    namespace: ClassVar[Namespace]
    node: Place | None

    __hash__ = object.__hash__

    __bool__, __int__, __float__, __complex__ = _number(bool), _number(int), _number(float), _number(complex)
    __add__, __radd__, __iadd__ = _operator("add"), _reflected("add"), _in_place("add")
    __sub__, __rsub__, __isub__ = _operator("subtract"), _reflected("subtract"), _in_place("subtract")
    __mul__, __rmul__, __imul__ = _operator("multiply"), _reflected("multiply"), _in_place("multiply")
    __truediv__, __rtruediv__, __itruediv__ = _operator("divide"), _reflected("divide"), _in_place("divide")
    __floordiv__, __rfloordiv__ = _operator("floor_divide"), _reflected("floor_divide")
    __mod__, __rmod__, __imod__ = _operator("remainder"), _reflected("remainder"), _in_place("remainder")
    __pow__, __rpow__, __ipow__ = _operator("pow"), _reflected("pow"), _in_place("pow")
    __matmul__, __rmatmul__, __imatmul__ = _operator("matmul"), _reflected("matmul"), _in_place("matmul")
    __and__, __rand__, __iand__ = _operator("bitwise_and"), _reflected("bitwise_and"), _in_place("bitwise_and")
    __or__, __ror__, __ior__ = _operator("bitwise_or"), _reflected("bitwise_or"), _in_place("bitwise_or")
    __xor__, __rxor__, __ixor__ = _operator("bitwise_xor"), _reflected("bitwise_xor"), _in_place("bitwise_xor")
    __lshift__, __rlshift__ = _operator("bitwise_left_shift"), _reflected("bitwise_left_shift")
    __rshift__, __rrshift__ = _operator("bitwise_right_shift"), _reflected("bitwise_right_shift")
    __ifloordiv__ = _in_place("floor_divide")
    __ilshift__, __irshift__ = _in_place("bitwise_left_shift"), _in_place("bitwise_right_shift")
    __eq__, __ne__ = _operator("equal"), _operator("not_equal")
    __lt__, __le__ = _operator("less"), _operator("less_equal")
    __gt__, __ge__ = _operator("greater"), _operator("greater_equal")
    __neg__, __pos__, __abs__ = _method("negative"), _method("positive"), _method("abs")
    __invert__ = _method("bitwise_invert")
    mT = property(_method("matrix_transpose"), doc="The last two axes exchanged.")
    T = property(_transpose, doc="The axes of a matrix exchanged.")
    real = property(_method("real"), doc="The real part.")
    imag = property(_method("imag"), doc="The imaginary part.")

    sum, mean, max, min, reshape, astype = map(_method, ("sum", "mean", "max", "min", "reshape", "astype"))
