"""Tracing: run a function once on arrays that write down what is done with them.

Traced arrays are one more kind of array, with a backend of their own: the ops, the tape and the
optimizers run on them as they run on NumPy's. A call that has a kernel on the backend below is
written down as that call; of any other, the array API calls that its lines make. So a replay does
what eager execution does, call by call.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from functools import cache, partial
from math import prod
from types import ModuleType
from typing import Any

from ..autodiff.tape import recording
from ..autodiff.tensor import Tensor, array_of
from ..autodiff.tree import flatten
from ..backends import Array, Backend, Function, Namespace, backend_of, find_backend_of, register
from ..backends.host import host
from .program import Instruction, Program, Variable, kind_of, substitute

__all__ = ["Traced", "TracedArray", "trace"]


class _Recorder:
    """The program so far."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self.count = 0

    def variable(self, value: Any) -> Variable:
        self.count += 1
        return Variable(self.count - 1, kind_of(value))

    def call(self, below: Backend, name: str, function: Callable[..., Any], *given: Any, **options: Any) -> Any:
        """Run the function on the arrays themselves, and write the call down with what it gave."""
        arguments, named = (substitute(x, _value) for x in (given, list(options.items())))
        y = function(*arguments, **{str(k): v for k, v in named})
        parts = list(y) if isinstance(y, (tuple, list)) else [y]
        arrays = bool(parts) and all(isinstance(x, host.generic) or find_backend_of(x) is not None for x in parts)
        if not arrays and not (
            isinstance(y, (bool, int, float, complex)) and _any_traced((given, list(options.items())))
        ):
            return y  # a fact, such as whether a data type is floating: no value of the program
        results = tuple(self.variable(part) for part in parts)
        written, shown = (substitute(x, _variable) for x in (given, list(options.items())))
        self.instructions.append(Instruction(results, name, function, written, {str(k): v for k, v in shown}))
        traced = [_traced_kind(below)(part, v) for part, v in zip(parts, results, strict=True)]
        return traced[0] if len(traced) == 1 and parts[0] is y else tuple(traced)


_recorder: ContextVar[_Recorder] = ContextVar("pullback_recorder")


def _value(x: Any) -> Any:
    return x.value if isinstance(x, TracedArray) else x


def _any_traced(tree: Any) -> bool:
    found: list[bool] = []
    substitute(tree, lambda x: found.append(isinstance(x, TracedArray)))
    return any(found)


def _variable(x: Any) -> Any:
    return x.variable if isinstance(x, TracedArray) else x


def _operator(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)

    def apply(self: "TracedArray", *others: Any) -> Any:
        return _recorder.get().call(self.below, name, function, self, *others)

    return apply


def _reflected(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)

    def apply(self: "TracedArray", other: Any) -> Any:
        return _recorder.get().call(self.below, name, function, other, self)

    return apply


class TracedArray:
    """An array that writes down what is done with it; also a number that a program takes as its input."""

    __slots__ = ("value", "variable")
    __array_ufunc__ = None

    below: Backend
    """The backend of the arrays inside; each has a class of traced arrays of its own."""

    def __init__(self, value: Any, variable: Variable) -> None:
        self.value = value
        self.variable = variable

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: len(self.value.shape))
    size = property(lambda self: prod(self.value.shape))
    dtype = property(lambda self: self.value.dtype)
    device = property(lambda self: self.below.device_of(self.value))

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        return backend_of(self).namespace

    def _settle(self, python_type: Callable[[Any], Any]) -> Any:
        """The value as a Python one. What is decided by it holds for this trace only, so a replay checks it."""
        result = python_type(self.value)
        check = partial(_still, python_type)
        self_and_result = (self.variable, result)
        _recorder.get().instructions.append(
            Instruction((), f"expect_{python_type.__name__}", check, self_and_result, {})
        )
        return result

    def __bool__(self) -> bool:
        return bool(self._settle(bool))

    def __float__(self) -> float:
        return float(self._settle(float))

    def __int__(self) -> int:
        return int(self._settle(int))

    def __getitem__(self, key: Any) -> Any:
        return _recorder.get().call(self.below, "getitem", operator.getitem, self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        new = _recorder.get().call(self.below, "with_item", _with_item, self, key, value)
        self.value, self.variable = new.value, new.variable

    def __repr__(self) -> str:
        return f"<traced {self.variable}: {self.variable.kind}>"

    __hash__ = object.__hash__

    __add__, __radd__ = _operator("add"), _reflected("add")
    __sub__, __rsub__ = _operator("sub"), _reflected("sub")
    __mul__, __rmul__ = _operator("mul"), _reflected("mul")
    __truediv__, __rtruediv__ = _operator("truediv"), _reflected("truediv")
    __pow__, __rpow__ = _operator("pow"), _reflected("pow")
    __matmul__, __rmatmul__ = _operator("matmul"), _reflected("matmul")
    __and__, __or__, __xor__ = _operator("and_"), _operator("or_"), _operator("xor")
    __lt__, __le__, __gt__, __ge__ = _operator("lt"), _operator("le"), _operator("gt"), _operator("ge")
    __eq__, __ne__ = _operator("eq"), _operator("ne")
    __neg__, __pos__, __abs__, __invert__ = (
        _operator("neg"),
        _operator("pos"),
        _operator("abs"),
        _operator("invert"),
    )


def _still(python_type: Callable[[Any], Any], value: Any, expected: Any) -> tuple[()]:
    if python_type(value) != expected:
        raise ValueError(
            f"the program was traced where a decision came out as {expected!r}; here it is {python_type(value)!r}. "
            "Trace it again for these inputs"
        )
    return ()


def _with_item(x: Array, key: Any, value: Array) -> Array:
    new = backend_of(x).namespace.asarray(x, copy=True)
    new[key] = value
    return new


class _TracedNamespace:
    """An array API namespace whose functions are written down; it has what the one below has."""

    def __init__(self, below: Backend, namespace: Namespace) -> None:
        self._below = below
        self._namespace = namespace

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._namespace, name)
        if isinstance(found, ModuleType):  # linalg and fft
            return _TracedNamespace(self._below, found)
        if not callable(found) or isinstance(found, type):
            return found
        return lambda *given, **options: _recorder.get().call(self._below, name, found, *given, **options)


class _TraceBackend(Backend):
    """The backend of traced arrays: calls go to the backend below, and into the program."""

    several_devices = False  # the backend below has the last word on devices

    def __init__(self, below: Backend) -> None:
        self.below = below
        self.name = f"traced {below.name}"
        self.namespace = _TracedNamespace(below, below.namespace)
        super().__init__(below.device)

    def implementation(self, function: Function, /) -> Callable[..., Any]:
        """A kernel below is written down as one call; the function's own lines by the calls they make."""
        if function.name.startswith("random_"):
            raise TypeError(
                "random numbers are not traced yet, as every replay would draw the same; "
                "draw them outside and pass them in"
            )
        if function.name not in self.below.kernels:
            return super().implementation(function)
        kernel = self.below.implementation(function)
        return lambda *given, **options: _recorder.get().call(self.below, function.name, kernel, *given, **options)

    def absorbs(self, other: Backend) -> bool:
        """Arrays of the backend below are constants of the program."""
        return other is self.below

    def find_device(self, device: Any, /) -> Any:
        """As the backend below has it."""
        return device

    def device_name(self, device: Any, /) -> str:
        """As the backend below has it."""
        return self.below.device_name(device)

    def to_host(self, array: Array, /) -> Any:
        """Refused: what left the program here would be a constant of this trace."""
        raise TypeError("a value was asked for while tracing; return it from the traced function instead")


@cache
def _traced_kind(below: Backend) -> type[TracedArray]:
    kind = type("TracedArray", (TracedArray,), {"below": below, "__slots__": ()})
    register(kind, _TraceBackend(below))
    return kind


class Traced:
    """A traced function: its program, and a call that replays it in the function's own terms."""

    def __init__(
        self,
        program: Program,
        below: Backend,
        state: Sequence[Tensor],
        constants: list[Any],
        rebuild: Callable[[list[Any]], Any],
    ) -> None:
        self.program = program
        self._below = below
        self._state = state
        self._constants = constants
        self._rebuild = rebuild

    def __call__(self, *arguments: Any) -> Any:
        """What the function would give and do, by replay: its result, and the state's new values.

        Raises ValueError when the arguments differ from the traced ones in more than values.
        """
        leaves = flatten(list(arguments))[0]
        constants = [None if _is_input(x) else x for x in leaves]
        if constants != self._constants:
            raise ValueError(f"traced with the constants {self._constants}, called with {constants}; trace again")
        inputs = [x for x in leaves if _is_input(x)]
        if recording.get() and any(isinstance(x, Tensor) and x.requires_grad for x in inputs):
            raise TypeError("a replay is not recorded: trace the gradient itself, or pass x.detach()")
        results = self.program(*map(array_of, [*self._state, *inputs]))
        results = tuple(map(self._below.from_scalar, results))
        count = len(results) - len(self._state)
        for tensor, new in zip(self._state, results[count:], strict=True):
            tensor.array = new
        return self._rebuild([Tensor(y) for y in results[:count]])

    def __str__(self) -> str:
        return str(self.program)


def _is_input(x: Any) -> bool:
    return isinstance(x, (Tensor, float)) or find_backend_of(x) is not None


def trace(function: Callable[..., Any], *arguments: Any, state: Iterable[Tensor] = ()) -> Traced:
    """Run a function once and write down what it does, as a program that can be printed and replayed.

    arguments: arrays, Tensors and floats, in dicts, lists and tuples, become the program's inputs; anything
        else is a constant.
    state: the Tensors that the function reads and replaces: parameters, buffers, an optimizer's state.
        They are inputs too, and their new values outputs. The trace itself leaves them as they were.
    Raises ValueError on replay where a decision that was made by a value comes out otherwise.

    >>> import pullback as pb
    >>> step = trace(lambda x, lr: pb.exp(x) * lr, pb.tensor([0.0, 1.0]), 0.5)
    >>> print(step)
    program(v0: float32[2], v1: number):
        v2 = exp(v0)  # float32[2]
        v3 = multiply(v2, v1)  # float32[2]
        return v3
    >>> step(pb.tensor([0.0, 0.0]), 2.0)
    Tensor([2., 2.], dtype=float32)
    """
    held = list(state)
    leaves, rebuild_arguments = flatten(list(arguments))
    arrays = [t.array for t in held]
    gradients = [t.grad for t in held]
    recorder = _Recorder()
    token = _recorder.set(recorder)
    below = backend_of(next(x for x in [*arrays, *map(array_of, leaves)] if find_backend_of(x) is not None))
    kind = _traced_kind(below)

    def lift(x: Any) -> Any:
        return kind(x, recorder.variable(x))

    try:
        for t in held:
            t.array = lift(t.array)
            if t.requires_grad:
                t.grad = None
        lifted = [
            x if not _is_input(x) else Tensor(lift(x.array)) if isinstance(x, Tensor) else lift(x) for x in leaves
        ]
        inputs = tuple(x.variable for x in [*(t.array for t in held), *map(array_of, lifted)] if isinstance(x, kind))
        results, rebuild = flatten(function(*rebuild_arguments(lifted)))
        outputs = tuple(_output(y) for y in [*results, *held])
    finally:
        _recorder.reset(token)
        for t, array, gradient in zip(held, arrays, gradients, strict=True):
            t.array = array
            if t.requires_grad:
                t.grad = gradient
    program = Program(inputs, tuple(recorder.instructions), outputs)
    return Traced(program, below, held, [None if _is_input(x) else x for x in leaves], rebuild)


def _output(y: Any) -> Variable:
    array = array_of(y)
    if not isinstance(array, TracedArray):
        raise TypeError(f"the traced function gave {type(array).__name__}, which does not depend on its inputs")
    return array.variable
