"""How ops are written in mathematics: their expressions, and their derivatives as they are taught.

The numbers of an explanation come from the engine. What is here is only how a derivative is spelt; an op that is
not in the table is written as a call, and its derivative as a number alone.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

__all__ = ["NOTATION", "Formula", "derivative", "expression", "multiple", "symbol"]

Formula = ast.expr
"""A formula: Python's own tree for it."""

NOTATION: dict[str, tuple[str, dict[str, str]]] = {
    "add": ("x1 + x2", {"x1": "1", "x2": "1"}),
    "subtract": ("x1 - x2", {"x1": "1", "x2": "-1"}),
    "multiply": ("x1 * x2", {"x1": "x2", "x2": "x1"}),
    "divide": ("x1 / x2", {"x1": "1 / x2", "x2": "-x1 / x2**2"}),
    "pow": ("x1 ** x2", {"x1": "x2 * x1 ** (x2 - 1)", "x2": "y * log(x1)"}),
    "matmul": ("x1 @ x2", {}),
    "negative": ("-x", {"x": "-1"}),
    "positive": ("x", {"x": "1"}),
    "abs": ("abs(x)", {"x": "sign(x)"}),
    "square": ("x ** 2", {"x": "2 * x"}),
    "reciprocal": ("1 / x", {"x": "-1 / x**2"}),
    "sqrt": ("sqrt(x)", {"x": "1 / (2 * y)"}),
    "exp": ("exp(x)", {"x": "exp(x)"}),
    "expm1": ("expm1(x)", {"x": "exp(x)"}),
    "log": ("log(x)", {"x": "1 / x"}),
    "log1p": ("log1p(x)", {"x": "1 / (1 + x)"}),
    "log2": ("log2(x)", {"x": "1 / (x * log(2))"}),
    "log10": ("log10(x)", {"x": "1 / (x * log(10))"}),
    "sin": ("sin(x)", {"x": "cos(x)"}),
    "cos": ("cos(x)", {"x": "-sin(x)"}),
    "tan": ("tan(x)", {"x": "1 + y**2"}),
    "asin": ("asin(x)", {"x": "1 / sqrt(1 - x**2)"}),
    "acos": ("acos(x)", {"x": "-1 / sqrt(1 - x**2)"}),
    "atan": ("atan(x)", {"x": "1 / (1 + x**2)"}),
    "sinh": ("sinh(x)", {"x": "cosh(x)"}),
    "cosh": ("cosh(x)", {"x": "sinh(x)"}),
    "tanh": ("tanh(x)", {"x": "1 - y**2"}),
    "asinh": ("asinh(x)", {"x": "1 / sqrt(x**2 + 1)"}),
    "acosh": ("acosh(x)", {"x": "1 / sqrt(x**2 - 1)"}),
    "atanh": ("atanh(x)", {"x": "1 / (1 - x**2)"}),
    "sigmoid": ("sigmoid(x)", {"x": "y * (1 - y)"}),
    "softplus": ("softplus(x)", {"x": "sigmoid(x)"}),
}
"""For each op its expression and, by input, the derivative: of the inputs' names and of `y`, the result."""

_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: pow,
}  # fmt: skip


def symbol(value: Any) -> Formula:
    """The formula that is one name or one number."""
    return ast.Name(value, ast.Load()) if isinstance(value, str) else ast.Constant(value)


def expression(op: str, inputs: Sequence[str], operands: Sequence[Formula], metadata: Mapping[str, Any]) -> Formula:
    """What a call of an op computes, written with its operands.

    inputs: the op's names for its operands. metadata: what differs from the op's defaults.
    """
    if op in NOTATION and not metadata:
        return _filled(NOTATION[op][0], dict(zip(inputs, operands, strict=True)))
    keywords = [ast.keyword(name, ast.Constant(value)) for name, value in metadata.items()]
    return ast.Call(symbol(op), list(operands), keywords)


def derivative(
    op: str, by: int, result: str, inputs: Sequence[str], operands: Sequence[Formula], metadata: Mapping[str, Any]
) -> Formula | None:
    """The derivative of a call by one of its operands, simplified; None where the table has none.

    by: the operand's position. result: the name of the call's value.
    """
    formulas = NOTATION[op][1] if op in NOTATION and not metadata else {}
    if by >= len(inputs) or inputs[by] not in formulas:
        return None
    known = {**dict(zip(inputs, operands, strict=True)), "y": symbol(result)}
    return _Simplified().visit(_filled(formulas[inputs[by]], known))  # type: ignore[no-any-return]


def multiple(formulas: Sequence[Formula]) -> Formula:
    """The sum of some formulas: where they are all the same, that many times the one."""
    first, *others = formulas
    if all(ast.dump(other) == ast.dump(first) for other in others):
        first, others = ast.BinOp(symbol(len(formulas)), ast.Mult(), first), []
    for other in others:
        first = ast.BinOp(first, ast.Add(), other)
    return _Simplified().visit(first)  # type: ignore[no-any-return]


@cache
def _read(text: str) -> Formula:
    return ast.parse(text, mode="eval").body


def _filled(text: str, known: Mapping[str, Formula]) -> Formula:
    """A formula of the table with names put in."""
    return _fill(_read(text), known)


def _fill(formula: Formula, known: Mapping[str, Formula]) -> Formula:
    match formula:
        case ast.Name(id=name):
            return known[name]
        case ast.BinOp(left=left, op=op, right=right):
            return ast.BinOp(_fill(left, known), op, _fill(right, known))
        case ast.UnaryOp(op=op, operand=operand):
            return ast.UnaryOp(op, _fill(operand, known))
        case ast.Call(func=function, args=arguments):
            return ast.Call(function, [_fill(argument, known) for argument in arguments], [])
    return formula


class _Simplified(ast.NodeTransformer):
    """Takes out what nobody would write: operations on two numbers, factors of one, first and zeroth powers."""

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Formula:
        operand = self.visit(node.operand)
        number = _number(operand)
        return ast.UnaryOp(node.op, operand) if number is None else symbol(-number)

    def visit_BinOp(self, node: ast.BinOp) -> Formula:
        left, right = self.visit(node.left), self.visit(node.right)
        a, b = _number(left), _number(right)
        if a is not None and b is not None:
            try:
                return symbol(_ARITHMETIC[type(node.op)](a, b))
            except ArithmeticError:
                return ast.BinOp(left, node.op, right)
        match node.op:
            case ast.Mult() if 0 in (a, b):
                return symbol(0)
            case ast.Mult() if a == 1:
                return right  # type: ignore[no-any-return]
            case ast.Mult() if a == -1:
                return ast.UnaryOp(ast.USub(), right)
            case ast.Mult() if b is not None:
                return left if b == 1 else ast.BinOp(right, node.op, left)
            case ast.Pow() if b in (0, 1):
                return left if b else symbol(1)
        return ast.BinOp(left, node.op, right)


def _number(formula: Formula) -> float | None:
    value = formula.value if isinstance(formula, ast.Constant) else None
    return float(value) if isinstance(value, (int, float)) else None
