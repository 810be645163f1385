"""A program: one traced run written down as a list of calls, to be printed and replayed."""

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Instruction", "Program", "Variable"]


class Variable(NamedTuple):
    """A value of the program, by number: an input or the result of an instruction."""

    number: int
    kind: str
    """What it is, as `float32[32, 64]` or `number`."""

    def __str__(self) -> str:
        return f"v{self.number}"


class Instruction(NamedTuple):
    """One call: `results = function(*arguments, **options)`.

    Arguments hold Variables where the call saw values of the program, at any depth of tuples, lists
    and slices; everything else is a constant.
    """

    results: tuple[Variable, ...]
    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    def __str__(self) -> str:
        given = [_written(a) for a in self.arguments] + [f"{k}={_written(v)}" for k, v in self.options.items()]
        call = f"{self.name}({', '.join(given)})"
        if not self.results:
            return call
        kinds = ", ".join(v.kind for v in self.results)
        return f"{', '.join(map(str, self.results))} = {call}  # {kinds}"


class Program(NamedTuple):
    """A straight line of instructions from inputs to outputs, with no branches and nothing hidden.

    Calling it with arrays like the inputs runs the same functions in the same order, so the results
    are the same to the bit. `print(program)` shows it.
    """

    inputs: tuple[Variable, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[Variable, ...]

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        """The outputs for other inputs of the same shapes and dtypes. Raises ValueError for others."""
        given = tuple(kind_of(v) for v in values)
        expected = tuple(v.kind for v in self.inputs)
        if given != expected:
            raise ValueError(f"the program takes ({', '.join(expected)}); got ({', '.join(given)})")
        memory: dict[int, Any] = {v.number: value for v, value in zip(self.inputs, values, strict=True)}
        for results, _, function, arguments, options in self.instructions:
            y = function(
                *(_filled(a, memory) for a in arguments),
                **{k: _filled(v, memory) for k, v in options.items()},
            )
            if len(results) == 1 and not isinstance(y, (tuple, list)):
                memory[results[0].number] = y
            else:
                memory.update((v.number, part) for v, part in zip(results, y, strict=True))
        return tuple(memory[v.number] for v in self.outputs)

    def __str__(self) -> str:
        head = ", ".join(f"{v}: {v.kind}" for v in self.inputs)
        lines = [f"program({head}):", *(f"    {instruction}" for instruction in self.instructions)]
        return "\n".join([*lines, f"    return {', '.join(map(str, self.outputs))}"])


def kind_of(value: Any) -> str:
    """The kind of a value, as it is printed and checked."""
    if not hasattr(value, "shape"):
        return "number"
    return f"{str(value.dtype).rpartition('.')[2]}[{', '.join(map(str, value.shape))}]"


def _filled(argument: Any, memory: dict[int, Any]) -> Any:
    return substitute(argument, lambda x: memory[x.number] if isinstance(x, Variable) else x)


def substitute(tree: Any, function: Callable[[Any], Any]) -> Any:
    """`function` of everything in nested tuples, lists and slices."""
    if isinstance(tree, Variable):
        return function(tree)
    if isinstance(tree, (tuple, list)):
        return type(tree)(substitute(part, function) for part in tree)
    if isinstance(tree, slice):
        return slice(*(substitute(part, function) for part in (tree.start, tree.stop, tree.step)))
    return function(tree)


def _written(argument: Any) -> str:
    if isinstance(argument, Variable):
        return str(argument)
    if isinstance(argument, (tuple, list)):
        inner = ", ".join(map(_written, argument))
        return f"[{inner}]" if isinstance(argument, list) else f"({inner}{',' * (len(argument) == 1)})"
    if isinstance(argument, slice):
        parts = ["" if x is None else _written(x) for x in (argument.start, argument.stop, argument.step)]
        return ":".join(parts if argument.step is not None else parts[:2])
    if hasattr(argument, "shape") and not isinstance(argument, type):  # a data type of NumPy has one too
        return f"<constant {kind_of(argument)}>"
    return getattr(argument, "__name__", None) or repr(argument)
