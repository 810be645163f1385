"""Formulas as text and as LaTeX."""

import ast
import math
import re
from typing import Any

from .notation import Formula

__all__ = ["ascii_text", "latex", "latex_factor", "latex_name", "latex_number", "number", "text"]

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)  # how tightly what is written holds together
_RANK = {ast.Add: _SUM, ast.Sub: _SUM, ast.Mult: _PRODUCT, ast.Div: _PRODUCT, ast.MatMult: _PRODUCT, ast.Pow: _POWER}
_SIGNS = {ast.Add: " + ", ast.Sub: " - ", ast.Mult: "·", ast.Div: "/", ast.MatMult: " @ ", ast.Pow: "**"}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PLAIN = str.maketrans({"∂": "d", "·": "*", "─": "-", "—": "-", "…": "...", "‖": "|", "π": "pi"})

_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
}  # fmt: skip
_FUNCTIONS = {
    "log": r"\ln", "log2": r"\log_{2}", "log10": r"\log_{10}", "asin": r"\arcsin", "acos": r"\arccos",
    "atan": r"\arctan", "sin": r"\sin", "cos": r"\cos", "tan": r"\tan", "sinh": r"\sinh", "cosh": r"\cosh",
    "tanh": r"\tanh", "sigmoid": r"\sigma",
}  # fmt: skip
_SPECIAL = {"\\": r"\backslash{}", "~": r"\sim{}", "^": r"\hat{}", **{c: "\\" + c for c in "_#$%&{}"}}


def number(value: Any) -> str:
    """A number in at most six digits; anything else as Python shows it, shortened."""
    if isinstance(value, complex):
        return f"{value:.4g}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value + 0.0:.6g}"  # + 0.0 makes -0 a plain 0
    written = repr(value)
    return written if len(written) <= 24 else written[:23] + "…"


def text(formula: Formula) -> str:
    """A formula in one line: `-1/v5²`."""
    return _text(formula)[0]


def ascii_text(written: str) -> str:
    """The same in ASCII, for a terminal that knows nothing else: `∂v5/∂v4 = v4²` as `dv5/dv4 = v4**2`."""
    written = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: "**" + found.group().translate(_LOWERED), written)
    return written.translate(_PLAIN).encode("ascii", "replace").decode("ascii")


_LOWERED = {raised: chr(plain) for plain, raised in _RAISED.items()}


def _text(formula: Formula) -> tuple[str, int]:
    """What is written, and how tightly it holds together."""
    match formula:
        case ast.Name(id=name):
            return name, _ATOM
        case ast.Constant(value=value):
            written = "π" if value == math.pi else "e" if value == math.e else number(value)
            return written, _SIGN if written.startswith("-") else _ATOM
        case ast.UnaryOp(operand=operand):
            return "-" + _in_brackets(*_text(operand), _PRODUCT, follows=True), _SIGN
        case ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=power)) if _whole(power):
            return _in_brackets(*_text(base), _ATOM) + number(power).translate(_RAISED), _POWER
        case ast.BinOp(left=left, op=op, right=right):
            rank = _RANK[type(op)]
            first = _in_brackets(*_text(left), rank + (rank == _POWER))
            second = _in_brackets(*_text(right), rank + (not isinstance(op, (ast.Add, ast.Mult))), follows=True)
            return first + _SIGNS[type(op)] + second, rank
        case ast.Call(func=ast.Name(id="abs"), args=[only]):
            return f"|{text(only)}|", _ATOM
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            given = [*map(text, arguments), *(f"{k.arg}={text(k.value)}" for k in keywords)]
            return f"{name}({', '.join(given)})", _ATOM
        case ast.Subscript(value=several, slice=ast.Constant(value=int() as which)):
            return f"{text(several)}[{which}]", _ATOM
    raise TypeError(f"{ast.dump(formula)} is no formula")


def _whole(power: Any) -> bool:
    return isinstance(power, (int, float)) and float(power).is_integer() and abs(power) < 100


def _in_brackets(written: str, rank: int, needed: int, follows: bool = False) -> str:
    """In brackets, where it holds together less than is needed, or would put a sign after another."""
    return f"({written})" if rank < needed or (follows and written.startswith("-")) else written


def latex(formula: Formula) -> str:
    r"""A formula as LaTeX for math mode: `-\frac{1}{v_{5}^{2}}`."""
    return _latex(formula)[0]


def latex_factor(formula: Formula) -> str:
    """A formula as LaTeX, in brackets where it would not stand in a product as it is."""
    return _in_tall_brackets(*_latex(formula), _PRODUCT, follows=True)


def latex_number(value: Any) -> str:
    r"""A number as LaTeX: `2.5 \times 10^{-7}`."""
    written = number(value).replace("inf", r"\infty").replace("nan", r"\text{undefined}")
    if isinstance(value, complex) or "e" not in written.replace("undefined", ""):
        return written
    digits, _, power = written.partition("e")
    digits = {"1": "", "-1": "-"}.get(digits, rf"{digits} \times ")
    return rf"{digits}10^{{{int(power)}}}"


def latex_name(name: str) -> str:
    r"""A name as LaTeX: `w1` as `w_{1}`, `theta` as `\theta`, `bias` as `\mathit{bias}`."""
    base, digits, below = re.fullmatch(r"(.*?)(?:(\d+)|_(\w+))?", name, re.DOTALL).groups()  # type: ignore[union-attr]
    index = digits or below
    if not base or not base.isalpha():
        base, index = name, None
    if base in _GREEK:
        base = "\\" + base
    elif len(base) > 1 or not base.isalpha():
        base = _word(base)
    return base if index is None else rf"{base}_{{{index if len(index) == 1 or index.isdigit() else _word(index)}}}"


def _word(written: str) -> str:
    return rf"\mathit{{{_escaped(written)}}}"


def _escaped(written: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in written)


def _latex(formula: Formula) -> tuple[str, int]:
    match formula:
        case ast.Name(id=name):
            return latex_name(name), _ATOM
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            written = r"\pi" if value == math.pi else "e" if value == math.e else latex_number(value)
            return written, _SIGN if written.startswith("-") else _PRODUCT if "10^" in written else _ATOM
        case ast.Constant(value=value):
            return rf"\texttt{{{_escaped(number(value))}}}", _ATOM
        case ast.UnaryOp(operand=operand):
            return "-" + _in_tall_brackets(*_latex(operand), _PRODUCT, follows=True), _SIGN
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            sign, left = ("-", left.operand) if isinstance(left, ast.UnaryOp) else ("", left)
            above = latex(left)
            if above.startswith("-") and isinstance(left, ast.Constant):
                sign, above = "-", above[1:]
            return rf"{sign}\frac{{{above}}}{{{latex(right)}}}", _SIGN if sign else _PRODUCT
        case ast.BinOp(left=base, op=ast.Pow(), right=power):
            return f"{_in_tall_brackets(*_latex(base), _ATOM)}^{{{latex(power)}}}", _POWER
        case ast.BinOp(left=left, op=op, right=right):
            rank = _RANK[type(op)]
            sign = {ast.Add: " + ", ast.Sub: " - ", ast.MatMult: r" \, "}.get(type(op), r" \cdot ")
            second = _in_tall_brackets(*_latex(right), rank + isinstance(op, ast.Sub), follows=True)
            return _in_tall_brackets(*_latex(left), rank) + sign + second, rank
        case ast.Call(func=ast.Name(id="exp"), args=[power]):
            return f"e^{{{latex(power)}}}", _POWER
        case ast.Call(func=ast.Name(id="sqrt"), args=[only]):
            return rf"\sqrt{{{latex(only)}}}", _ATOM
        case ast.Call(func=ast.Name(id="abs"), args=[only]):
            return rf"\left|{latex(only)}\right|", _ATOM
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            given = [*map(latex, arguments), *(rf"{_word(str(k.arg))}={latex(k.value)}" for k in keywords)]
            function = _FUNCTIONS.get(name, rf"\operatorname{{{_escaped(name)}}}")
            return rf"{function}\left({', '.join(given)}\right)", _ATOM
        case ast.Subscript(value=several, slice=ast.Constant(value=int() as which)):
            return f"{latex(several)}_{{{which}}}", _ATOM
    raise TypeError(f"{ast.dump(formula)} is no formula")


def _in_tall_brackets(written: str, rank: int, needed: int, follows: bool = False) -> str:
    return rf"\left({written}\right)" if rank < needed or (follows and written.startswith("-")) else written
