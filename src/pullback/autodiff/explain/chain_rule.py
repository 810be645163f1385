r"""The chain rule as LaTeX: products of derivatives along each path, summed over the paths."""

from collections.abc import Mapping, Sequence

from .steps import Link, Step
from .writing import latex, latex_factor, latex_name, latex_number

__all__ = ["chain_rule_latex"]

Uses = Mapping[Step, Sequence[tuple[Step, Link]]]

_MOST_FACTORS = 12
"""In all the paths of one variable together, before they are written as the recursion instead."""
_TERMS_A_LINE = 3


def chain_rule_latex(steps: Sequence[Step], uses: Uses) -> str:
    r"""The steps, then the derivative of the result by each variable, as one `align*`."""
    result = steps[-1]
    forward = [rf"{latex_name(s.name)} &= {latex(s.formula)}{_value(s)}" for s in steps if s.computed]
    variables = [step for step in steps if step.kind == "variable"]
    factors = _factors(steps, uses)
    if all(factors[step] <= _MOST_FACTORS for step in variables):
        backward = [_along_paths(step, result, uses) for step in variables]
    else:
        backward = [_recursion(s, result, uses) for s in reversed(steps) if s.kind != "constant" and s is not result]
    body = " \\\\\n".join([*forward, *backward])
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"


def _value(step: Step) -> str:
    return f" = {latex_number(step.value.item())}" if step.value is not None and step.value.size == 1 else ""


def _factors(steps: Sequence[Step], uses: Uses) -> dict[Step, int]:
    """How many derivatives stand in all the paths from each step to the result."""
    paths = {steps[-1]: (1, 0)}  # their number, and that of the factors in them
    for step in reversed(steps[:-1]):
        further = [paths[user] for user, _ in uses[step]]
        paths[step] = sum(count for count, _ in further), sum(count + factors for count, factors in further)
    return {step: factors for step, (_, factors) in paths.items()}


def _paths(step: Step, result: Step, uses: Uses) -> list[list[tuple[Step, Link]]]:
    """The ways from a step to the result, each written from the result on."""
    if step is result:
        return [[]]
    return [[*path, (user, link)] for user, link in uses[step] for path in _paths(user, result, uses)]


def _along_paths(step: Step, result: Step, uses: Uses) -> str:
    paths = _paths(step, result, uses)
    lines = [[_product([_partial(user, link) for user, link in path]) for path in paths]]
    if all(link.formula is not None for path in paths for _, link in path):
        lines.append([_product([latex_factor(link.formula) for _, link in path if link.formula]) for path in paths])
    if all(link.derivative is not None for path in paths for _, link in path):
        numbers = [[link.derivative for _, link in path if link.derivative is not None] for path in paths]
        lines.append([_product([*map(_bracketed, path)]) for path in numbers])
    return _equations(step, result, lines)


def _recursion(step: Step, result: Step, uses: Uses) -> str:
    terms = [
        _product([*([_total(result, user)] if user is not result else []), _partial(user, link)])
        for user, link in uses[step]
    ]
    return _equations(step, result, [terms])


def _equations(step: Step, result: Step, lines: Sequence[Sequence[str]]) -> str:
    r"""`df/dw = ... = ... = 0.25`, one line of sums under the other."""
    sums = [_sum(line) for line in lines]
    if step.gradient is not None and step.gradient.size == 1:
        final = latex_number(step.gradient.item())
        if sums[-1] != final:
            sums[-1] += f" = {final}"
    return f"{_total(result, step)} &= " + " \\\\\n&= ".join(sums)


def _sum(terms: Sequence[str]) -> str:
    rows = [" + ".join(terms[i : i + _TERMS_A_LINE]) for i in range(0, len(terms), _TERMS_A_LINE)]
    return " \\\\\n&\\quad + ".join(rows or ["0"])


def _product(factors: Sequence[str]) -> str:
    return r" \cdot ".join(factors) or "1"


def _partial(step: Step, link: Link) -> str:
    return rf"\frac{{\partial {latex_name(step.name)}}}{{\partial {latex_name(link.input.name)}}}"


def _total(result: Step, step: Step) -> str:
    return rf"\frac{{d {latex_name(result.name)}}}{{d {latex_name(step.name)}}}"


def _bracketed(value: float) -> str:
    """A number as a factor of a product."""
    written = latex_number(value)
    return rf"\left({written}\right)" if written.startswith("-") or r"\times" in written else written
