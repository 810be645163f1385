"""Backpropagation as it is taught: the numbers are the engine's, the formulas agree with them."""

import ast
import gc
import math
import random
import re
import weakref
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import pullback as pb
from pullback import nn
from pullback.autodiff.explain import Explanation, explain
from pullback.autodiff.explain.notation import NOTATION
from pullback.autodiff.explain.writing import text
from pullback.autodiff.op import registry

PYTHON = {
    **{name: getattr(math, name) for name in ("log", "exp", "sqrt", "sin", "cos", "sinh", "cosh")},
    "sign": lambda x: math.copysign(1.0, x),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
}
POINTS = {"acosh": (1.7,), "pow": (1.3, 0.7)}


def variable(value):
    return pb.tensor(value, dtype="float64", requires_grad=True)


def sigmoid_of_a_line():
    w, x, b = variable(0.0), variable(1.0), variable(0.0)
    return explain(1 / (1 + pb.exp(-(w * x + b))), x=x, w=w, b=b)


OPERATIONS = (pb.add, pb.multiply, pb.subtract, lambda a, b: pb.tanh(a), lambda a, b: pb.exp(-a * b))


def random_graph(seed, size=14):
    """A number computed from three variables by operations drawn at random, most of them used again."""
    draw = random.Random(seed)
    variables = [variable(draw.uniform(0.5, 1.5)) for _ in range(3)]
    values = list(variables)
    for _ in range(size):
        a, b = draw.choice(values), draw.choice(values)
        values.append(draw.choice(OPERATIONS)(a, b))
    return variables, sum(values[1:], values[0])


def test_the_sigmoid_of_a_line_has_the_known_derivatives():
    found = sigmoid_of_a_line()
    assert found.result.value.item() == 0.5
    assert {name: g.item() for name, g in found.gradients.items()} == {"x": 0, "w": 0.25, "b": 0.25}
    steps = [(s.name, s.expression, s.value.item(), s.gradient.item()) for s in found.steps if s.computed]
    assert steps == [
        ("v1", "w·x", 0, 0.25),
        ("v2", "v1 + b", 0, 0.25),
        ("v3", "-v2", 0, -0.25),
        ("v4", "exp(v3)", 1, -0.25),
        ("v5", "1 + v4", 2, -0.25),
        ("f", "1/v5", 0.5, 1),
    ]
    assert [(link.input.name, text(link.formula), link.derivative) for s in found.steps for link in s.links] == [
        ("w", "x", 1), ("x", "w", 0), ("v1", "1", 1), ("b", "1", 1), ("v2", "-1", -1), ("v3", "exp(v3)", 1),
        ("v4", "1", 1), ("v5", "-1/v5²", -0.25),
    ]  # fmt: skip


def test_the_printed_table_fits_a_terminal_and_is_aligned():
    lines = str(sigmoid_of_a_line()).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-4:] == ["f = 0.5", "df/dx = 0", "df/dw = 0.25", "df/db = 0.25"]
    assert "df/dw = df/dv1·∂v1/∂w = 0.25·1" in lines
    first, rows = lines[0], lines[2 : lines.index("")]
    column = first.index("local derivative")
    assert {row.index("∂") for row in rows if "∂" in row} == {column}
    assert all(len(row) == len(first) for row in rows if not row.startswith(" "))


def test_in_ascii_the_table_is_still_aligned():
    x = variable(3.0)
    lines = explain(x**3 * math.pi - x, x=x).text(ascii=True).splitlines()
    assert "\n".join(lines).isascii()
    rows = [line for line in lines[: lines.index("")] if "d" in line]
    assert len({len(row) for row in rows if not row.startswith(" ")}) == 1
    assert any("dv1/dx  = 3*x**2 = 27" in row for row in rows)


@pytest.mark.parametrize("op", NOTATION)
def test_every_formula_gives_the_number_that_the_engine_gives(op):
    names = registry[op].inputs
    assert set(NOTATION[op][1]) <= set(names)
    if op == "matmul":
        assert not NOTATION[op][1]
        return
    points = POINTS.get(op, (0.4, 0.7))[: len(names)]
    inputs = dict(zip(names, map(variable, points), strict=True))
    found = explain(registry[op](*inputs.values()), **inputs)
    known = {**PYTHON, **dict(zip(names, points, strict=True)), found.result.name: found.result.value.item()}
    assert [link.input.name for link in found.result.links] == list(names)
    for link in found.result.links:
        formula = eval(compile(ast.fix_missing_locations(ast.Expression(link.formula)), op, "eval"), known)
        assert formula == pytest.approx(link.derivative, rel=1e-12)


@pytest.mark.parametrize("power", [-2, -1, 0, 0.5, 1, 2, 3.0])
def test_a_power_with_a_known_exponent_is_simplified_and_right(power):
    x = variable(1.3)
    (link,) = explain(x**power, x=x).result.links
    written = text(link.formula)
    expected = {-2: "-2·x⁻³", -1: "-x⁻²", 0: "0", 0.5: "0.5·x**-0.5", 1: "1", 2: "2·x", 3: "3·x²"}
    assert written.replace("(-0.5)", "-0.5") == expected[power]
    assert link.derivative == pytest.approx(power * 1.3 ** (power - 1))


def test_a_value_used_twice_in_one_step_has_one_derivative_by_it():
    x, y = variable(3.0), variable(2.0)
    (link,) = explain(x * x, x=x).result.links
    assert (text(link.formula), link.derivative) == ("2·x", 6)
    (link,) = explain(x**x, x=x).result.links
    assert link.derivative == pytest.approx(27 * (1 + math.log(3)))
    found = explain(x * y + pb.sin(x), x=x, y=y)
    assert found.gradients["x"].item() == pytest.approx(2 + math.cos(3))
    assert "df/dx = df/dv1·∂v1/∂x + df/dv2·∂v2/∂x" in str(found)


@pytest.mark.parametrize("seed", range(8))
def test_gradients_are_those_of_backward_and_add_up_over_the_uses(seed):
    variables, result = random_graph(seed)
    names = dict(zip("abc", variables, strict=True))
    found = explain(result, **names)
    assert all(x.grad is None for x in variables)
    result.backward()
    for name, gradient in found.gradients.items():
        assert gradient.item() == pytest.approx(names[name].grad.item(), rel=1e-12)
    for step in found.steps[:-1]:
        total = sum(user.gradient.item() * link.derivative for user, link in found.uses[step])
        assert total == pytest.approx(step.gradient.item(), rel=1e-10, abs=1e-12)


def test_a_long_sum_of_uses_is_shortened():
    x = variable(2.0)
    printed = str(explain(sum(((i + 1) * x for i in range(40)), x), x=x))
    assert "df/dv1·∂v1/∂x + ∂v2/∂x" not in printed
    assert "+ … +" in printed.replace("\n", " ").replace("        ", "")
    assert max(map(len, printed.splitlines())) <= 80


def test_values_that_the_tape_has_not_kept_are_computed_again():
    x = variable(2.0)
    found = explain((x + 1) + (x - 3) + 10, x=x)
    assert [(s.expression, s.value.item()) for s in found.steps if s.computed] == [
        ("x + 1", 3), ("x - 3", -1), ("v1 + v2", 2), ("v3 + 10", 12),
    ]  # fmt: skip


def test_what_cannot_be_known_is_left_open():
    def forgotten():
        x, c = variable(2.0), pb.tensor(3.0, dtype="float64")
        return (x + c) + 1

    found = explain(forgotten())
    assert found.steps[0].value is None
    assert [s.value.item() for s in found.steps[-1:]] == [6]
    assert "—" in str(found)
    assert ElementTree.fromstring(found.svg()) is not None


def test_nothing_is_kept_alive_by_an_explanation():
    x = variable(2.0)
    found = explain(x * x, x=x)
    gone = weakref.ref(x)
    del x
    gc.collect()
    assert gone() is None
    assert found.gradients["x"].item() == 4


def test_arrays_are_shown_by_shape_and_the_norm_of_their_gradient():
    w = pb.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x = pb.tensor([[1.0], [2.0]])
    result = pb.sum(pb.tanh(w @ x))
    found = explain(result, w=w, x=x)
    result.backward()
    printed = str(found)
    assert found.steps[1].name == "x"
    assert found.steps[1].kind == "constant"
    assert re.search(r"v1 = w @ x +\(2, 1\) +∂v1/∂w  = matmul.vjp\(x1\)", printed)
    assert re.search(r"v2 = tanh\(v1\) +\(2, 1\) +∂v2/∂v1 = 1 - v2²", printed)
    assert f"df/dw = (2, 2) ‖{np.linalg.norm(w.grad.numpy()):.6g}‖" in printed
    np.testing.assert_array_equal(found.gradients["w"].numpy(), w.grad.numpy())


def test_metadata_is_shown_where_it_is_not_the_usual():
    x = variable([[1.0, 2.0]])
    found = explain(pb.sum(pb.softmax(x, axis=0)) + pb.sum(pb.softmax(x)), x=x)
    assert [s.expression for s in found.steps if s.kind == "softmax"] == ["softmax(x, axis=0)", "softmax(x)"]


def test_an_op_with_several_results_is_a_step_for_each():
    x = variable([2.0, 5.0])
    a, b = pb.unstack(x)
    found = explain(a * b * b, x=x)
    assert [s.expression for s in found.steps if s.computed] == [
        "unstack(x)[0]", "unstack(x)[1]", "v1·v2", "v3·v2",
    ]  # fmt: skip
    np.testing.assert_array_equal(found.gradients["x"].numpy(), [25, 20])


def test_the_places_that_transforms_put_in_are_passed_over():
    x, found = variable(3.0), []

    def square(x):
        found.append(explain(x * x))
        return x * x

    pb.grad(lambda x: pb.grad(square)(x))(x)
    assert [step.expression for step in found[0].steps] == ["x1", "x1·x1"]
    assert found[0].gradients["x1"].item() == 6


def test_a_frozen_bias_that_is_left_out_does_not_show():
    layer = nn.Linear(3, 1, bias=False)
    found = explain(pb.sum(layer(pb.ones((1, 3)))), w=layer.weight)
    assert [s.expression for s in found.steps if s.kind == "linear"] == ["linear(c1, w)"]


def test_any_value_can_be_named_and_names_do_not_clash():
    v1, f, x = variable(1.0), variable(2.0), variable(3.0)
    z = v1 * f
    found = explain(z + x, z=z, v1=v1, f=f)
    assert [step.name for step in found.steps] == ["v1", "f", "x1", "z", "y"]


def test_a_variable_is_its_own_result():
    x = variable(3.0)
    assert str(explain(x, x=x)).splitlines()[-2:] == ["x = 3", "dx/dx = 1"]


def test_explain_changes_nothing():
    x = variable(2.0)
    y = pb.exp(x)
    explain(y)
    explain(y)
    y.backward(retain_graph=True)
    assert x.grad.item() == pytest.approx(math.exp(2))
    assert explain(y).gradients["x1"].item() == pytest.approx(math.exp(2))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: explain(variable(1.0).detach() * 2), RuntimeError, "constant"),
        (lambda: explain(variable([1.0, 2.0])), ValueError, r"shape \(2,\)"),
        (lambda: explain(variable(1.0) * 2, w=variable(1.0)), ValueError, "w has no part"),
        (lambda: explain(variable(1.0) * 2, w=3.0), TypeError, "w is float"),
        (lambda: explain(variable(1.0) * 2, variable(1.0)), TypeError, "by name"),
        (lambda: explain(3.0), TypeError, "a Tensor, or a module"),
        (lambda: explain(nn.Linear(2, 1)), TypeError, "explain\\(model, x\\)"),
        (lambda: explain(nn.Linear(2, 3), pb.ones((1, 2)), loss=lambda y: y), ValueError, r"shape \(1, 3\)"),
        (lambda: explain(nn.Tanh(), pb.ones((1, 2))), ValueError, "depends on a variable"),
    ],
)
def test_what_cannot_be_explained_is_said(call, error, says):
    with pytest.raises(error, match=says) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_a_freed_graph_says_what_to_do():
    y = pb.exp(variable(2.0))
    y.backward()
    with pytest.raises(RuntimeError, match="before it, or backward\\(retain_graph=True\\)"):
        explain(y)


def test_a_derivative_that_is_infinite_is_shown_and_warns_of_nothing():
    x = variable(0.0)
    assert "df/dx = inf" in str(explain(pb.sqrt(x), x=x))


def test_it_computes_where_the_arrays_are(place):
    x = pb.tensor([1.0, 2.0], requires_grad=True)
    found = explain(pb.sum(x * x), x=x)
    assert found.gradients["x"].device == x.device
    np.testing.assert_array_equal(found.gradients["x"].numpy(), [2, 4])
    assert "‖4.47214‖" in str(found)


def test_complex_values_are_explained_too():
    z = pb.tensor(1 + 2j, dtype="complex128", requires_grad=True)
    result = pb.real(z * pb.conj(z))
    found = explain(result, z=z)
    result.backward()
    assert found.gradients["z"].item() == z.grad.item()
    assert re.search(r"^z +1\+2j +2\+4j$", str(found), re.M)


def test_it_says_what_it_is():
    assert repr(sigmoid_of_a_line()) == "<Explanation of f by x, w, b: 9 steps>"
    assert isinstance(sigmoid_of_a_line(), Explanation)
