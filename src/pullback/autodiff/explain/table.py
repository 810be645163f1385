"""The steps as a table, the chain rule under it, and the gradients: what is printed."""

from collections.abc import Callable, Iterator, Sequence
from textwrap import wrap

from ...backends.host import host
from ..tensor import Tensor
from .steps import Link, Step
from .writing import number, text

__all__ = ["chain_rule", "gradients", "size", "table"]

_WIDEST_EXPRESSION, _MOST_TERMS = 36, 12
_TITLES = ("step", "value", "local derivative", "gradient")


def size(value: Tensor | None, shape: tuple[int, ...] | None = None) -> str:
    """What fits in a cell: one number, or a shape."""
    if value is not None and value.size == 1:
        return number(value.item())
    shape = shape if value is None else value.shape
    return "—" if shape is None or shape == () else str(shape)


def magnitude(gradient: Tensor | None) -> str:
    """A gradient in a cell: one number, or its norm."""
    if gradient is None:
        return ""
    if gradient.size == 1:
        return number(gradient.item())
    entries = host.abs(gradient.numpy()).astype(host.float64)
    return f"‖{number(float(host.linalg.norm(entries)))}‖"


def table(steps: Sequence[Step], letters: Callable[[str], str]) -> str:
    """One line for each step, and one more for each of its inputs after the first.

    A number stands for itself; of an array the shape is shown, and the norm of its gradient between bars.
    letters: what each cell is written through, to have it in ASCII, say.
    """
    widest = max((len(step.name) for step in steps if step.computed), default=0)
    links = [(step, link) for step in steps for link in step.links]
    slopes = _aligned([[letters(part) for part in (_partial(step, link), *_slope(link))] for step, link in links])
    rows: list[tuple[str, ...]] = []
    for step in steps:
        own = [next(slopes) for _ in step.links] or ["constant" if step.kind == "constant" else ""]
        cells = _titled(step, widest), size(step.value, step.shape), own[0], magnitude(step.gradient)
        rows.append((*map(letters, cells),))
        rows.extend(("", "", slope, "") for slope in own[1:])
    widths = [max(map(len, column)) for column in zip(_TITLES, *rows, strict=True)]
    lines = [_line(row, widths) for row in (_TITLES, *rows)]
    return "\n".join([lines[0], letters("─") * (sum(widths) + 9), *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    step, value, local, gradient = cells
    line = f"{step:<{widths[0]}}   {value:>{widths[1]}}   {local:<{widths[2]}}   {gradient:>{widths[3]}}"
    return line.rstrip()


def _titled(step: Step, widest: int) -> str:
    name = f"{step.name:<{widest}} = {step.expression}" if step.computed else step.name
    return name if len(name) <= _WIDEST_EXPRESSION else name[: _WIDEST_EXPRESSION - 1] + "…"


def _aligned(slopes: Sequence[Sequence[str]]) -> Iterator[str]:
    """`∂v5/∂v4 = v4² = 9` for each local derivative, their equals signs in line."""
    widest = max((len(name) for name, _, _ in slopes), default=0)
    middle = max((len(formula) for _, formula, found in slopes if formula and found), default=0)
    for name, formula, found in slopes:
        if formula and found:
            found = f"{formula:<{middle}} = {found}"
        yield f"{name:<{widest}} = {found or formula}"


def _partial(step: Step, link: Link) -> str:
    return f"∂{step.name}/∂{link.input.name}"


def _slope(link: Link) -> tuple[str, str]:
    """A derivative as a formula (or, without one, by its rule's name) and as a number, as far as they say more."""
    found = "" if link.derivative is None else number(link.derivative)
    formula = text(link.formula) if link.formula is not None else "" if found else link.rule
    return ("" if formula == found else formula), found


def chain_rule(step: Step, uses: Sequence[tuple[Step, Link]], result: str, width: int = 80) -> str:
    """How the gradient of one step comes from those of the steps that use it: `df/dw = df/dv1·∂v1/∂w = 0.25·1`."""
    gradient = f"d{result}/d{step.name}"
    terms, numbers = [], []
    for user, link in uses:
        further = user.name != result  # df/df is 1 and goes without saying
        terms.append(f"d{result}/d{user.name}·{_partial(user, link)}" if further else _partial(user, link))
        if link.derivative is not None and user.gradient is not None:
            slope = _factor(link.derivative)
            numbers.append(f"{_factor(user.gradient.item())}·{slope}" if further else slope)
    sums = [_sum(terms)] + [_sum(numbers)] * (len(numbers) == len(uses))
    if len(f"{gradient} = {' = '.join(sums)}") <= width:
        sums = [" = ".join(sums)]
    indent = " " * (len(gradient) + 1)
    lines = [wrap(f"= {line}", width - len(indent), subsequent_indent="  ", break_long_words=False) for line in sums]
    return gradient + " " + f"\n{indent}".join(line for part in lines for line in part)


def _sum(terms: Sequence[str]) -> str:
    """A sum; of a long one the first terms and the last."""
    few = terms if len(terms) <= _MOST_TERMS else [*terms[: _MOST_TERMS - 2], "…", terms[-1]]
    return " + ".join(few)


def _factor(value: float) -> str:
    written = number(value)
    return f"({written})" if written.startswith("-") else written


def gradients(steps: Sequence[Step]) -> str:
    """The result, and its derivative by each variable: `df/dw = 0.25`; of an array its shape and norm."""
    result = steps[-1]
    lines = [f"{result.name} = {size(result.value, result.shape)}"]
    for step in steps:
        if step.kind == "variable" and step.gradient is not None:
            shape = "" if step.gradient.size == 1 else f"{step.gradient.shape} "
            lines.append(f"d{result.name}/d{step.name} = {shape}{magnitude(step.gradient)}")
    return "\n".join(lines)
