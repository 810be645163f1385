"""The graph as an SVG picture."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from .layout import Box, Point, lay_out
from .steps import Link, Step
from .table import magnitude, size
from .writing import number, text

__all__ = ["svg"]

_MARGIN, _TITLE = 24.0, 34.0
_LETTER, _BOX, _LABEL = 8.0, 34.0, 18.0  # the width of a letter; the heights of a box and of a line beside it
_NARROWEST, _LONGEST = 48.0, 32  # of a box, and in letters of what stands in it

_XMLNS = 'xmlns="http://www.w3.org/2000/svg"'
_STYLE = """
.pullback-graph .page { fill: #ffffff }
.pullback-graph text { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328 }
.pullback-graph .box { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.2 }
.pullback-graph .arrow { fill: none; stroke: #8c959f; stroke-width: 1.4 }
.pullback-graph .head { fill: #8c959f }
.pullback-graph .value { fill: #0a58ca }
.pullback-graph .gradient { fill: #b54708 }
@media (prefers-color-scheme: dark) {
.pullback-graph .page { fill: #0d1117 }
.pullback-graph text { fill: #e6edf3 }
.pullback-graph .box { fill: #161b22; stroke: #8b949e }
.pullback-graph .arrow { stroke: #6e7681 }
.pullback-graph .head { fill: #6e7681 }
.pullback-graph .value { fill: #79b8ff }
.pullback-graph .gradient { fill: #ffab70 }
}
"""


def svg(steps: Sequence[Step]) -> str:
    """Boxes from left to right: in each an expression, above it the value, below it the gradient."""
    drawn = [step for step in steps if step.kind != "constant"]
    numbers = {step: i for i, step in enumerate(drawn)}
    labels = [_labels(step) for step in drawn]
    sizes = [(max(_LETTER * max(map(len, three)) + 20, _NARROWEST), _BOX + 2 * _LABEL) for three in labels]
    inputs = {numbers[step]: [numbers[link.input] for link in step.links] for step in drawn if step.links}
    layout = lay_out(sizes, inputs)
    links = [(step, link) for step in drawn for link in step.links]
    legend = f"gradient of {drawn[-1].name}"
    width = max(layout.width, _LETTER * len(f"value, {legend}")) + 2 * _MARGIN
    height = layout.height + 2 * _MARGIN + _TITLE
    extent, value = f'width="{width:g}" height="{height:g}"', '<tspan class="value">value</tspan>'
    parts = [
        f'<svg {_XMLNS} class="pullback-graph" {extent} viewBox="0 0 {width:g} {height:g}" role="img">',
        f"<title>{_clean(f'{drawn[-1].name}, step by step')}</title>",
        f"<style>{_STYLE}</style>",
        '<rect class="page" width="100%" height="100%" rx="8"/>',
        f'<text x="{_MARGIN:g}" y="{_MARGIN + 4:g}">{value}, <tspan class="gradient">{_clean(legend)}</tspan></text>',
        f'<g transform="translate({_MARGIN:g} {_MARGIN + _TITLE:g})">',
        *(_trunk(points) for points in layout.trunks if len(points) > 1),
        *(_arrow(*link, *layout.arrows[numbers[link[1].input], numbers[link[0]]]) for link in links),
        *(_box(step, box, three) for step, box, three in zip(drawn, layout.boxes, labels, strict=True)),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _labels(step: Step) -> tuple[str, str, str]:
    """The value, the expression and the gradient of a step."""
    expression = f"{step.name} = {step.expression}" if step.computed else step.name
    if len(expression) > _LONGEST:
        expression = expression[: _LONGEST - 1] + "…"
    return size(step.value, step.shape), expression, magnitude(step.gradient)


def _box(step: Step, box: Box, labels: tuple[str, str, str]) -> str:
    """A box with one line in it, one above and one below; a variable's has round ends."""
    middle = box.x + box.width / 2
    top = box.y + _LABEL
    kinds = ("value", "expression", "gradient")
    heights = (top - 6, top + _BOX / 2 + 4.5, top + _BOX + 15)
    lines = "".join(
        f'<text class="{kind}" x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">{_clean(label)}</text>'
        for kind, y, label in zip(kinds, heights, labels, strict=True)
    )
    round_ = 5 if step.computed else _BOX / 2
    shape = f'x="{box.x:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{_BOX:g}" rx="{round_:g}"'
    return f'<g><rect class="box" {shape}/>{lines}</g>'


def _trunk(points: Sequence[Point]) -> str:
    """What all the arrows from one step have in common."""
    return f'<path class="arrow" d="{_curve(points)}"/>'


def _arrow(user: Step, link: Link, start: Point, tip: Point) -> str:
    """A curve with its tip at a box; the derivative that it stands for is its title."""
    x, y = tip
    slope = f"∂{user.name}/∂{link.input.name}"
    if link.formula is not None:
        slope += f" = {text(link.formula)}"
    if link.derivative is not None and not slope.endswith(f" = {number(link.derivative)}"):
        slope += f" = {number(link.derivative)}"
    line = f'<path class="arrow" d="{_curve([start, (x - 7, y)])}"/>'
    head = f'<path class="head" d="M{x:.1f} {y:.1f}l-8 -4v8z"/>'
    return f"<g><title>{_clean(slope)}</title>{line}{head}</g>"


def _curve(points: Sequence[Point]) -> str:
    """A path through points, level at each."""
    (x, y), *others = points
    path = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in others:
        bend = (to_x - x) / 2
        path.append(f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return "".join(path)


def _clean(written: str) -> str:
    """Text as XML takes it: escaped, and without control characters, which it cannot hold."""
    return escape("".join(letter for letter in written if letter.isprintable()))
