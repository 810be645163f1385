"""The graph as Mermaid text (https://mermaid.js.org), which Markdown pages and notebooks draw."""

from collections.abc import Sequence

from .steps import Step
from .table import magnitude, size
from .writing import number

__all__ = ["mermaid"]

_ESCAPED = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;", "&": "#amp;", "`": "#96;"}


def mermaid(steps: Sequence[Step]) -> str:
    """A flowchart from left to right: each step with its value and gradient, each arrow with its derivative."""
    drawn = [step for step in steps if step.kind != "constant"]
    ids = {step: f"n{i}" for i, step in enumerate(drawn)}
    result = drawn[-1]
    lines = ["flowchart LR"]
    for step in drawn:
        what = f"{step.name} = {step.expression}" if step.computed else step.name
        label = "<br/>".join(
            map(
                _escaped,
                (what, size(step.value, step.shape), f"d{result.name}/d{step.name} = {magnitude(step.gradient)}"),
            )
        )
        lines.append(f'    {ids[step]}["{label}"]' if step.computed else f'    {ids[step]}(["{label}"])')
    for step in drawn:
        for link in step.links:
            slope = "" if link.derivative is None else f'|"{number(link.derivative)}"|'
            lines.append(f"    {ids[link.input]} -->{slope} {ids[step]}")
    return "\n".join(lines)


def _escaped(written: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in written)
