"""`pullback explain`: backpropagation through a formula, one operation at a time."""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..autodiff.explain import Explanation, explain
from ..autodiff.explain.writing import ascii_text, number
from ..backends import use
from ..ops import tensor
from ..train.aside import written_aside
from .expression import Expression, check_name, shortened

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Print the steps of a formula with their values and derivatives; draw them where asked for."""
    with use("numpy"):
        expression = Expression(arguments.expression)
        values = _values(arguments.values, expression)
        variables = {name: tensor(value, dtype="float64", requires_grad=True) for name, value in values.items()}
        explanation = explain(expression.evaluate(variables), **variables)
        _check(explanation)
    if arguments.svg is not None:
        _write(explanation.svg(), arguments.svg)
    if arguments.latex or arguments.mermaid:
        shown = [explanation.latex()] * arguments.latex + [explanation.mermaid()] * arguments.mermaid
    else:
        title = f"{explanation.result.name} = {expression.text}"
        shown = [title, explanation.text(ascii=not _can_print(explanation.text()))]
        shown += [] if arguments.svg is None else [f"the graph is in {arguments.svg}"]
    written = "\n\n".join(shown)
    print(written if _can_print(written) else ascii_text(written))
    return 0


def _values(words: Sequence[str], expression: Expression) -> dict[str, float]:
    """The numbers given as NAME=NUMBER. Raises ValueError where they are not those that the expression wants."""
    found: dict[str, float] = {}
    for word in words:
        name, equals, written = word.strip().partition("=")
        if not equals:
            raise ValueError(f"a value is given as NAME=NUMBER, such as x=1; got {shortened(word.strip())!r}")
        check_name(name)
        if name in found:
            raise ValueError(f"{name} is given twice")
        if not written.strip():
            raise ValueError(f"{name} has no value; write {name}=1, say")
        found[name] = _number(name, written)
    if not expression.names:
        raise ValueError("the expression has no variable, so there is nothing to differentiate by")
    missing = [name for name in expression.names if name not in found]
    if missing:
        raise ValueError(f"{_listed(missing)} no value; give it as in {missing[0]}=1")
    unused = [name for name in found if name not in expression.names]
    if unused:
        raise ValueError(f"{_listed(unused)} a value but no place in the expression")
    return found


def _listed(names: Sequence[str]) -> str:
    return f"{shortened(', '.join(names))} {'has' if len(names) == 1 else 'have'}"


def _number(name: str, written: str) -> float:
    """A number, or arithmetic on numbers such as pi/4."""
    try:
        value = Expression(written)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if value.names:
        raise ValueError(f"the value of {name} is a number; got {shortened(written)!r}")
    return float(value.evaluate({}))


def _check(explanation: Explanation) -> None:
    """Raises ArithmeticError where a step has a value but no derivative, or a gradient grows too large."""
    for step in explanation.steps:
        for link in step.links:
            if link.derivative is not None and not math.isfinite(link.derivative):
                inputs = dict.fromkeys(other.input for other in step.links)
                where = [f"{i.name} is {number(i.value.item())}" for i in inputs if i.value is not None]
                what = [f"{i.name} = {i.expression}" for i in inputs if i.computed]
                raise ArithmeticError(
                    f"{step.name} = {step.expression} has no derivative by {link.input.name} where "
                    + " and ".join(where)
                    + (f" ({', '.join(what)})" if what else "")
                )
    for name, gradient in explanation.gradients.items():
        if not math.isfinite(gradient.item()):
            raise ArithmeticError(f"the derivative by {name} is too large for a number")


def _write(picture: str, given: str) -> None:
    path = Path(os.path.expanduser(given))
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file with --svg")
    with written_aside(path) as aside:
        aside.write_text(picture, encoding="utf-8")


def _can_print(text: str) -> bool:
    """Whether this terminal has all the letters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
