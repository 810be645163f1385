"""Arithmetic as it is typed: read by a grammar that has nothing else in it, computed one operation at a time.

    sum      =  product  { ("+" | "-") product }
    product  =  sign  { ("*" | "/") sign }
    sign     =  ("-" | "+") sign  |  power
    power    =  atom  [ "**" sign ]
    atom     =  number  |  name  |  function "(" sum ")"  |  "(" sum ")"

It binds as Python does. What is read becomes a list of instructions for a stack, so nothing is ever evaluated as
Python, and no input is too deep.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..autodiff import Tensor, registry
from ..backends.host import host
from ..ops import tensor

__all__ = ["CONSTANTS", "FUNCTIONS", "Expression", "check_name", "shortened"]

FUNCTIONS = {
    name: registry["log" if name == "ln" else name]
    for name in (
        "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "expm1", "ln", "log", "log10",
        "log1p", "log2", "relu", "sigmoid", "sin", "sinh", "softplus", "sqrt", "square", "tan", "tanh",
    )
}  # fmt: skip
"""What can be called, each with one argument."""

CONSTANTS = {"pi": math.pi, "e": math.e}

_MOST_LETTERS, _DEEPEST, _LONGEST_NAME = 1000, 50, 24
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9_]*)|(?P<sign>\*\*|[-+*/()])|(?P<end>$)|(?P<strange>.))",
    re.ASCII | re.DOTALL,
)
_INSTEAD = {
    "^": "; a power is written **", "×": "; a product is written *", "·": "; a product is written *",  # noqa: RUF001
    "÷": "; a quotient is written /", "−": "; a minus is written -", "²": "; a square is written **2",  # noqa: RUF001
    "³": "; a cube is written **3", "π": "; it is written pi", ",": "; a decimal point is written .",
    "[": "; brackets are written ( and )", "{": "; brackets are written ( and )",
    "_": "; names begin with a letter, and numbers have no _ in them",
}  # fmt: skip
_BINARY = {
    "+": registry["add"],
    "-": registry["subtract"],
    "*": registry["multiply"],
    "/": registry["divide"],
    "**": registry["pow"],
}
_POLES = ("divide", "pow", "log", "log2", "log10", "log1p", "atanh")
"""What grows without limit where it has no value; all else that is too large overflowed."""


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Instruction(NamedTuple):
    """Put a number or a variable on the stack, or call an op on what lies on top of it."""

    what: Any
    """A number, a variable's name, or an op."""
    inputs: int
    source: str
    """The part of the expression that it is the value of."""


def check_name(name: str) -> None:
    """Raises ValueError for what cannot be a variable's name."""
    if name in FUNCTIONS:
        raise ValueError(f"{name} is a function; choose another name for the variable")
    if name in CONSTANTS:
        raise ValueError(f"{name} is a constant, {CONSTANTS[name]:.6g}; choose another name for the variable")
    if name.lower() in ("nan", "inf", "infinity"):
        raise ValueError(f"{name} is no number to compute with, and no name for a variable")
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(f"a variable's name is letters and digits, as x or w1; not {shortened(name)!r}")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"a variable's name has at most {_LONGEST_NAME} letters; not {shortened(name)}")


class Expression:
    """Arithmetic on numbers and named variables.

    text: numbers, names, + - * / ** and brackets, the functions in FUNCTIONS and the constants in CONSTANTS.
    Raises ValueError, with one line that says where and why, for anything else.

    >>> Expression("1/(1+exp(-(w*x+b)))").names
    ('w', 'x', 'b')
    """

    def __init__(self, text: str) -> None:
        self.text = text = text.strip()
        if len(text) > _MOST_LETTERS:
            raise ValueError(f"an expression has at most {_MOST_LETTERS:,} characters; this one has {len(text):,}")
        self._tokens = _tokens(self.text)
        self._next = next(self._tokens)
        self._depth = 0
        self._program: list[_Instruction] = []
        if self._next.kind == "end":
            raise ValueError('the expression is empty; write one such as "w*x + b"')
        self._sum()
        if self._next.kind != "end":
            raise self._unexpected()
        names = (step.what for step in self._program if isinstance(step.what, str))
        self.names = tuple(dict.fromkeys(names))
        """The variables, in the order of their first appearance."""

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value for those of the variables, in float64: a Tensor, or a number where there is no variable.

        values: a Tensor of no axes for each name. What has no variable in it is computed as a constant.
        Raises ArithmeticError that names the part which has no value, or one too large.
        """
        stack: list[tuple[Any, str]] = []
        for what, count, source in self._program:
            if isinstance(what, (str, float)):
                stack.append((values[what] if isinstance(what, str) else what, source))
                continue
            given = stack[-count:]
            stack[-count:] = [(_call(what, given, source), source)]
        return stack[0][0]

    def _take(self) -> _Token:
        taken = self._next
        if taken.kind != "end":
            self._next = next(self._tokens)
        return taken

    def _emit(self, what: Any, inputs: int, start: int, end: int) -> int:
        self._program.append(_Instruction(what, inputs, self.text[start:end]))
        return end

    def _sum(self) -> int:
        """Read a sum; as for the other rules, the result is where in the text it ends."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"the expression is more than {_DEEPEST} levels deep; write it with fewer brackets")
        start = self._next.start
        end = self._product()
        while self._next.text in ("+", "-"):
            operation = _BINARY[self._take().text]
            end = self._emit(operation, 2, start, self._product())
        self._depth -= 1
        return end

    def _product(self) -> int:
        start = self._next.start
        end = self._sign()
        while self._next.text in ("*", "/"):
            operation = _BINARY[self._take().text]
            end = self._emit(operation, 2, start, self._sign())
        return end

    def _sign(self) -> int:
        if self._next.text not in ("+", "-"):
            return self._power()
        sign = self._take()
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"the expression is more than {_DEEPEST} levels deep; write it with fewer signs")
        end = self._sign()
        self._depth -= 1
        return self._emit(registry["negative"], 1, sign.start, end) if sign.text == "-" else end

    def _power(self) -> int:
        start = self._next.start
        end = self._atom()
        if self._next.text == "**":
            self._take()
            self._depth += 1
            if self._depth > _DEEPEST:
                raise ValueError(f"the expression is more than {_DEEPEST} levels deep; write it with fewer powers")
            end = self._emit(registry["pow"], 2, start, self._sign())
            self._depth -= 1
        return end

    def _atom(self) -> int:
        token = self._take()
        if token.kind == "number":
            end = self._emit(_number(token.text), 0, token.start, token.end)
        elif token.kind == "name":
            end = self._named(token)
        elif token.text == "(":
            end = self._bracketed(token)
        else:
            raise self._unexpected(token)
        after = self._next
        if after.kind in ("number", "name") or after.text == "(":
            left = shortened(self.text[token.start : end])
            right = "(...)" if after.text == "(" else shortened(after.text)
            raise ValueError(f"a sign is missing before column {after.start + 1}; a product is written {left}*{right}")
        return end

    def _named(self, token: _Token) -> int:
        name = token.text
        if name in FUNCTIONS:
            if self._next.text != "(":
                raise ValueError(f"{name} is a function: write {name}(...), with its argument in brackets")
            end = self._bracketed(self._take())
            return self._emit(FUNCTIONS[name], 1, token.start, end)
        if self._next.text == "(":
            known = ", ".join(FUNCTIONS)
            raise ValueError(
                f"{shortened(name)} is no function (a product is written {shortened(name)}*(...)); those are {known}"
            )
        if name in CONSTANTS:
            return self._emit(CONSTANTS[name], 0, token.start, token.end)
        check_name(name)
        return self._emit(name, 0, token.start, token.end)

    def _bracketed(self, opening: _Token) -> int:
        """Read what stands between brackets, the first of which is taken already."""
        self._sum()
        if self._next.text != ")":
            if self._next.kind == "end":
                raise ValueError(f"the bracket at column {opening.start + 1} is never closed")
            raise self._unexpected()
        return self._take().end

    def _unexpected(self, token: _Token | None = None) -> ValueError:
        token = token or self._next
        where = f"at column {token.start + 1}" if len(self.text) else ""
        if token.kind == "end":
            return ValueError("the expression ends where a number or a name is expected")
        return ValueError(f"{token.text!r} {where} is not expected there")


def _tokens(text: str) -> Iterator[_Token]:
    """The words and signs of an expression. Raises ValueError for a character that none of them has."""
    place = 0
    while True:
        found = _TOKEN.match(text, place)
        assert found is not None
        assert found.lastgroup is not None
        kind, place = found.lastgroup, found.end()
        token = _Token(kind, found[kind], found.start(kind), place)
        if kind == "strange":
            hint = _INSTEAD.get(token.text, "")
            raise ValueError(f"{token.text!r} at column {token.start + 1} is no arithmetic{hint}")
        yield token
        if kind == "end":
            return


def _number(written: str) -> float:
    value = float(written)
    if math.isinf(value):
        raise ValueError(f"{shortened(written)} is too large for a number")
    return value


def _call(function: Any, given: list[tuple[Any, str]], source: str) -> Any:
    """The value of one operation, of numbers a number. Raises ArithmeticError where there is none."""
    constant = not any(isinstance(value, Tensor) for value, _ in given)
    inputs = [tensor(value, dtype="float64") if constant else value for value, _ in given]
    with host.errstate(all="ignore"):
        result = function(*inputs)
    value = result.item()
    if not math.isfinite(value):
        pole = math.isnan(value) or (function.name in _POLES and (len(given) == 1 or 0.0 in map(float, inputs)))
        where = {part: f"{part} is {float(x):.6g}" for x, part in given if part.strip("()") != f"{float(x):g}"}
        known = " where " + " and ".join(map(shortened, where.values())) if where else ""
        raise ArithmeticError(f"{shortened(source)} {'has no value' if pole else 'is too large for a number'}{known}")
    return value if constant else result


def shortened(text: str) -> str:
    """A text that may be long, as it is shown in a message."""
    return text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}"
