"""An explanation as LaTeX, as Mermaid text and as a picture: well-formed, balanced, legible."""

import math
import random
import re
import xml.etree.ElementTree as ElementTree

import pytest

import pullback as pb
from pullback.autodiff.explain import explain
from pullback.autodiff.explain.layout import lay_out
from pullback.autodiff.explain.writing import ascii_text, latex, latex_name, latex_number, text


def variable(value):
    return pb.tensor(value, dtype="float64", requires_grad=True)


def sigmoid_of_a_line():
    w, x, b = variable(0.0), variable(1.0), variable(0.0)
    return explain(1 / (1 + pb.exp(-(w * x + b))), x=x, w=w, b=b)


def assert_tex(written):
    """Braces, left and right brackets and alignments are balanced, and nothing is but ASCII."""
    assert written.isascii()
    plain = re.sub(r"\\[{}]", "", written)
    depth = 0
    for letter in plain:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    assert written.count(r"\left") == written.count(r"\right")
    lines = written.split(" \\\\\n")
    assert lines[0].startswith("\\begin{align*}\n")
    assert lines[-1].endswith("\n\\end{align*}")
    assert all(line.count("&") == 1 for line in lines)


def test_latex_writes_the_chain_rule_along_the_paths():
    written = sigmoid_of_a_line().latex()
    assert_tex(written)
    partials = [("f", "v_{5}"), ("v_{5}", "v_{4}"), ("v_{4}", "v_{3}"), ("v_{3}", "v_{2}"), ("v_{2}", "v_{1}")]
    product = r" \cdot ".join(rf"\frac{{\partial {a}}}{{\partial {b}}}" for a, b in [*partials, ("v_{1}", "w")])
    assert rf"\frac{{d f}}{{d w}} &= {product} \\" in written
    assert (
        r"&= \left(-\frac{1}{v_{5}^{2}}\right) \cdot 1 \cdot e^{v_{3}} \cdot \left(-1\right) \cdot 1 \cdot x" in written
    )
    assert r"&= \left(-0.25\right) \cdot 1 \cdot 1 \cdot \left(-1\right) \cdot 1 \cdot 1 = 0.25" in written
    x = variable(2.0)
    assert r"\partial x} + \frac" in explain(pb.sin(x) * pb.exp(x), x=x).latex()


def test_latex_of_a_graph_with_very_many_paths_stays_short():
    x = y = variable(0.5)
    for _ in range(60):
        y = y + pb.sin(y)  # 2**60 paths
    written = explain(y * 1e-30, x=x).latex()
    assert_tex(written)
    assert len(written) < 40_000


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("w", "w"), ("w1", "w_{1}"), ("v12", "v_{12}"), ("theta", r"\theta"), ("theta_1", r"\theta_{1}"),
        ("bias", r"\mathit{bias}"), ("a_b", "a_{b}"), ("0.weight", r"\mathit{0.weight}"),
        ("x_in_put", r"x_{\mathit{in\_put}}"), ("_", r"\mathit{\_}"),
    ],
)  # fmt: skip
def test_names_are_set_as_in_a_textbook(name, written):
    assert latex_name(name) == written


def test_numbers_and_formulas_are_set_as_in_a_textbook():
    assert latex_number(-2.5e-7) == r"-2.5 \times 10^{-7}"
    assert latex_number(1e10) == "10^{10}"
    assert latex_number(-0.0) == "0"
    a, b = variable(2.0), variable(3.0)
    for result, plain, tex in [
        ((a - 1) ** b, "v1**b", "v_{1}^{b}"),
        (a / -2, "a/(-2)", r"\frac{a}{-2}"),
        (a - -2, "a - (-2)", r"a - \left(-2\right)"),
        (math.pi * a, "π·a", r"\pi \cdot a"),
        (pb.abs(a), "|a|", r"\left|a\right|"),
        (pb.square(a), "a²", "a^{2}"),
        (pb.log(a), "log(a)", r"\ln\left(a\right)"),
        (pb.softplus(a, beta=2.0), "softplus(a, beta=2)", r"\operatorname{softplus}\left(a, \mathit{beta}=2\right)"),
    ]:
        names = {"a": a} if "b" not in plain.replace("beta", "") else {"a": a, "b": b}
        formula = explain(result, **names).result.formula
        assert (text(formula), latex(formula)) == (plain, tex)
    assert ascii_text("∂v1/∂a = 2·a⁻³") == "dv1/da = 2*a**-3"


def test_mermaid_has_a_node_for_each_step_and_an_arrow_for_each_derivative():
    first, *lines = sigmoid_of_a_line().mermaid().splitlines()
    assert first == "flowchart LR"
    nodes = [line for line in lines if "-->" not in line]
    arrows = [line for line in lines if "-->" in line]
    assert all(re.fullmatch(r'    n\d+(\[".*"\]|\(\[".*"\]\))', line) for line in nodes)
    assert all(re.fullmatch(r'    n\d+ -->\|"[-\d.e]+"\| n\d+', line) for line in arrows)
    assert (len(nodes), len(arrows)) == (9, 8)
    assert '    n8["f = 1/v5<br/>0.5<br/>df/df = 1"]' in nodes
    x = variable(1.0)
    assert '(["a#quot;#lt;b#gt;<br/>1<br/>df/da#quot;#lt;b#gt; = 2"])' in explain(x * 2, **{'a"<b>': x}).mermaid()


NAMESPACE = {"svg": "http://www.w3.org/2000/svg"}


def test_the_picture_shows_each_step_with_value_and_gradient():
    found = sigmoid_of_a_line()
    picture = ElementTree.fromstring(found.svg())
    boxes = [g for g in picture.iterfind(".//svg:g", NAMESPACE) if g.find("svg:rect", NAMESPACE) is not None]
    shown = [[line.text for line in box.findall("svg:text", NAMESPACE)] for box in boxes]
    assert shown[0] == ["1", "x", "0"]
    assert shown[-1] == ["0.5", "f = 1/v5", "1"]
    assert len(shown) == len(found.steps)
    assert "prefers-color-scheme: dark" in found.svg()
    titles = [title.text for title in picture.iterfind(".//svg:title", NAMESPACE)]
    assert "∂f/∂v5 = -1/v5² = -0.25" in titles
    assert found._repr_html_().startswith("<svg")


def test_the_picture_is_xml_whatever_the_names_are():
    x = variable(1.0)
    ElementTree.fromstring(explain(x * 2, **{'<&"\x00]]>': x}).svg())


@pytest.mark.parametrize("seed", range(6))
def test_no_box_covers_another_and_no_arrow_runs_through_a_box(seed):
    draw = random.Random(seed)
    sizes = [(draw.uniform(40, 200), 70.0) for _ in range(30)]
    inputs = {box: sorted({draw.randrange(box) for _ in range(draw.choice([1, 2, 2, 3]))}) for box in range(4, 30)}
    layout = lay_out(sizes, inputs)
    assert [(box.width, box.height) for box in layout.boxes] == sizes
    for n, box in enumerate(layout.boxes):
        assert min(box.x, box.y) >= -1e-9
        assert box.x + box.width <= layout.width + 1e-9
        assert box.y + box.height <= layout.height + 1e-9
        for other in layout.boxes[:n]:
            beside = box.x >= other.x + other.width or other.x >= box.x + box.width
            assert beside or box.y >= other.y + other.height or other.y >= box.y + box.height
    for (start, end), (leaves, arrives) in layout.arrows.items():
        assert leaves in layout.trunks[start]
        assert arrives == (layout.boxes[end].x, layout.boxes[end].y + layout.boxes[end].height / 2)
        assert leaves[0] < arrives[0]
    for number, points in enumerate(layout.trunks):
        assert points == sorted(points, key=lambda point: point[0])
        for (x, y), (to_x, to_y) in zip(points[1::2], points[2::2], strict=True):
            assert y == to_y
            for other, box in enumerate(layout.boxes):
                if other != number and x < box.x + box.width and box.x < to_x:
                    assert not box.y < y < box.y + box.height


def test_the_picture_of_a_long_computation_stays_small():
    x = y = variable(0.5)
    for _ in range(150):
        y = pb.tanh(y * x + x)
    picture = explain(y, x=x).svg()
    ElementTree.fromstring(picture)
    assert len(picture) < 1_000_000
