"""`pullback explain`: what it computes, what it draws, and what it refuses."""

import math
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.autodiff.explain import explain
from pullback.cli import main
from pullback.cli.expression import CONSTANTS, FUNCTIONS, Expression

SIGMOID = "1/(1+exp(-(w*x+b)))"

REFERENCE = {
    **{name: getattr(math, name, None) for name in FUNCTIONS},
    "abs": abs,
    "ln": math.log,
    "square": lambda x: x * x,
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
    **CONSTANTS,
    "__builtins__": {},
}
POINTS = {"acosh": 1.7}


def shown(capsys, *arguments):
    """What the command prints when all is well."""
    assert main(["explain", *arguments]) == 0
    out, err = capsys.readouterr()
    assert not err
    return out


def refused(capsys, *arguments):
    """The one line that the command ends with."""
    assert main(["explain", *arguments]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1, err
    assert err.startswith("pullback: ")
    assert len(err) < 400
    return err


def explained(text, values):
    """The value of an expression and its gradients, as the command computes them."""
    variables = {name: pb.tensor(value, dtype="float64", requires_grad=True) for name, value in values.items()}
    result = Expression(text).evaluate(variables)
    found = explain(result, **variables)
    return result.item(), {name: g.item() for name, g in found.gradients.items()}


def difference(function, values, name):
    """The derivative by central differences of fourth order, and what another step size makes of it."""

    def measured(h):
        near, far = (
            function({**values, name: values[name] + s}) - function({**values, name: values[name] - s})
            for s in (h, 2 * h)
        )
        return (8 * near - far) / (12 * h)

    return measured(1e-3), measured(5e-4)


def test_the_sigmoid_of_a_line_is_explained(capsys):
    lines = shown(capsys, SIGMOID, "x=1", "w=0", "b=0").splitlines()
    assert lines[0] == f"f = {SIGMOID}"
    assert max(map(len, lines)) <= 80
    assert lines[-4:] == ["f = 0.5", "df/dx = 0", "df/dw = 0.25", "df/db = 0.25"]
    assert any(re.fullmatch(r"v3 = -v2 +0 +∂v3/∂v2 = -1 +-0\.25", line) for line in lines)
    assert any(re.fullmatch(r"f  = 1/v5 +0\.5 +∂f/∂v5  = -1/v5² +?= -0\.25 +1", line) for line in lines)
    assert "df/dw = df/dv1·∂v1/∂w = 0.25·1" in lines


def test_a_variable_used_twice_collects_from_both_uses(capsys):
    lines = shown(capsys, "x*sin(x) + x*sin(x)", "x=2").splitlines()
    slope = 2 * (math.sin(2) + 2 * math.cos(2))
    assert lines[-1] == f"df/dx = {slope:.6g}"
    assert sum("= sin(x)" in line for line in lines) == 2  # a part that is repeated is a step of its own
    assert "df/dv1·∂v1/∂x + df/dv2·∂v2/∂x + df/dv3·∂v3/∂x + df/dv4·∂v4/∂x" in " ".join(lines)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_its_value_and_its_derivative(name):
    values = {"x": POINTS.get(name, 0.6)}
    reference = REFERENCE[name]
    value, gradients = explained(f"{name}(x)", values)
    assert value == pytest.approx(reference(values["x"]), rel=1e-14)
    measured, _ = difference(lambda at: reference(at["x"]), values, "x")
    assert gradients["x"] == pytest.approx(measured, rel=1e-9)


def test_the_help_names_every_function(capsys):
    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    told = capsys.readouterr().out.split()
    assert {*FUNCTIONS, *CONSTANTS} <= {word.strip(",.") for word in told}


def numbers():
    return st.one_of(
        st.integers(0, 9).map(str), st.floats(0.1, 3).map("{:.3f}".format), st.sampled_from(list(CONSTANTS))
    )


def larger(parts):
    binary = st.tuples(parts, st.sampled_from(["+", "-", "*", "/", " - ", " + "]), parts).map("".join)
    power = st.tuples(parts, st.sampled_from(["**2", "**3", "**-1", "**-2", " ** 1"])).map(lambda p: f"({p[0]}){p[1]}")
    call = st.tuples(st.sampled_from(["exp", "sin", "cos", "tanh", "sigmoid", "atan"]), parts)
    safe = st.tuples(st.sampled_from(["log", "sqrt", "log1p"]), parts)
    return st.one_of(
        binary,
        binary,
        binary.map("({})".format),
        parts.map("-{}".format),
        power,
        call.map(lambda p: f"{p[0]}({p[1]})"),
        safe.map(lambda p: f"{p[0]}(1 + square({p[1]}))"),
    )


EXPRESSIONS = st.recursive(st.one_of(st.sampled_from("xyz"), st.sampled_from("xyz"), numbers()), larger, max_leaves=8)


@settings(max_examples=120, deadline=None)
@given(EXPRESSIONS, st.tuples(*[st.floats(-2, 2).map(lambda v: round(v, 3))] * 3))
def test_values_are_pythons_and_gradients_those_of_finite_differences(text, point):
    code = compile(text, "expression", "eval")
    names = [name for name in "xyz" if name in code.co_names]
    values = {name: value for name, value in zip("xyz", point, strict=True) if name in names}
    assume(values)

    def reference(at):
        return eval(code, REFERENCE, at)

    try:
        expected = float(reference(values))
        slopes = {name: difference(reference, values, name) for name in values}
    except ArithmeticError:  # a pole here or a step away
        assume(False)
    assume(abs(expected) < 1e6)
    value, gradients = explained(text, values)
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert list(gradients) == names
    for name, (coarse, fine) in slopes.items():
        assume(abs(coarse - fine) <= 1e-6 * (1 + abs(fine)))  # else the differences are no reference
        assert gradients[name] == pytest.approx(fine, rel=1e-5, abs=1e-5 * (1 + abs(expected)))


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS)
def test_all_that_is_written_of_an_expression_is_well_formed(text):
    expression = Expression(text)
    assume(expression.names)
    variables = {name: pb.tensor(0.7, dtype="float64", requires_grad=True) for name in expression.names}
    try:
        found = explain(expression.evaluate(variables), **variables)
    except ArithmeticError:
        assume(False)
    ElementTree.fromstring(found.svg())
    written = found.latex()
    assert written.count("{") == written.count("}")
    assert written.count(r"\left") == written.count(r"\right")
    assert found.text(ascii=True).isascii()
    assert len(found.mermaid().splitlines()) == 1 + len(found.steps) + sum(len(s.links) for s in found.steps)


ALPHABET = st.sampled_from(
    [*"xyze0123456789.+-*/()  _^=,'\"[]{}:;@%&|!<>\\\n\t\x00√²πж", "**", "exp(", "log", "1e", "lambda", "j"]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.lists(ALPHABET, max_size=40).map("".join)))
def test_any_text_is_an_expression_or_refused_in_one_line(text):
    complaint = complaint_about(text)
    assert "\n" not in complaint
    assert len(complaint) < 400


def complaint_about(text):
    """Why a text is no expression, or has no value; nothing where all is well."""
    try:
        expression = Expression(text)
        names = expression.names
        expression.evaluate({name: pb.tensor(0.5, dtype="float64", requires_grad=True) for name in names})
    except (ValueError, ArithmeticError) as error:
        return str(error)
    return ""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=4))
def test_whatever_words_are_given_the_command_ends_well(words):
    assume(not {"-h", "--help"} & set(words))
    assume(not any(word.startswith("--svg") for word in words))
    assert main(["explain", *words]) in (0, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("x.real", "'.' at column 2"),
        ("__import__('os')", "'_' at column 1"),
        ("exit(x)", "exit is no function"),
        ("eval(x)", "eval is no function"),
        ("getattr(x)", "getattr is no function"),
        ("'x'", '"\'" at column 1'),
        ("x[0]", "'[' at column 2"),
        ("lambda: x", "':' at column 7"),
        ("[x for x in y]", "'['"),
        ("exp(x=1)", "'=' at column 6"),
        ("f'{x}'", "no arithmetic"),
        ("(x := 1)", "':'"),
        ("x < 1", "'<'"),
        ("x == 1", "'='"),
        ("x if x else x", "a sign is missing before column 3"),
        ("x and x", "a sign is missing"),
        ("x, x", "a decimal point is written ."),
        ("x // 2", "'/' at column 4"),
        ("x % 2", "'%'"),
        ("x @ x", "'@'"),
        ("x\x00", "'\\x00' at column 2"),
        ("\u0445 + 1", "'\u0445' at column 1"),  # a Cyrillic letter
        ("\uff58", "at column 1"),  # a letter of full width
        ("x \u2212 1", "a minus is written -"),
        ("x²", "a square is written **2"),
        ("x^2", "a power is written **"),
        ("2x", "a product is written 2*x"),
        ("x(2)", "a product is written x*(...)"),
        ("(x)(x)", "a product is written (x)*(...)"),
        ("1j*x", "a sign is missing before column 2"),
        ("1_000*x", "numbers have no _"),
        ("0x10", "a sign is missing"),
        ("1e999*x", "1e999 is too large"),
        ("nan*x", "nan is no number"),
        ("Inf*x", "Inf is no number"),
        ("infinity*x", "infinity is no number"),
        ("10**10**10*x", "10**10**10 is too large"),
        ("9**9**9**9**9*x", "9**9**9 is too large"),
        ("exp(1000)*x", "exp(1000) is too large"),
        ("exp(1000*x)", "exp(1000*x) is too large for a number where 1000*x is 1000"),
        ("x/(x-1)", "x/(x-1) has no value where x is 1 and x-1 is 0"),
        ("1/0*x", "1/0 has no value"),
        ("log(x - 3)", "log(x - 3) has no value where x - 3 is -2"),
        ("log(x - 1)", "log(x - 1) has no value"),
        ("sqrt(-x)", "sqrt(-x) has no value where -x is -1"),
        ("(x-1)**-2", "(x-1)**-2 has no value"),
        ("(-x)**0.5", "has no value"),
        ("atanh(x)", "atanh(x) has no value where x is 1"),
        ("sqrt(x-1)", "f = sqrt(v1) has no derivative by v1 where v1 is 0 (v1 = x - 1)"),
        ("sin", "sin is a function: write sin(...)"),
        ("sin x", "sin is a function"),
        ("sin()", "')' at column 5"),
        ("(x", "the bracket at column 1 is never closed"),
        ("x)", "')' at column 2"),
        ("x +", "the expression ends where"),
        ("* x", "'*' at column 1"),
        ("2 + 3", "no variable"),
        ("x + y", "y has no value"),
        ("a + b", "a, b have no value"),
        ("(" * 10_000, "at most 1,000 characters; this one has 10,000"),
        ("x" * 100_000, "at most 1,000 characters; this one has 100,000"),
        ("(" * 900, "more than 50 levels deep"),
        ("(" * 400 + "x" + ")" * 400, "more than 50 levels deep"),
        ("-" * 900 + "x", "more than 50 levels deep"),
        ("x" + "**x" * 300, "more than 50 levels deep"),
        ("sin(" * 190 + "x" + ")" * 190, "more than 50 levels deep"),
        ("x" * 900, "at most 24 letters"),
        ("+".join(f"x{i}" for i in range(150)), "have no value; give it as in x0=1"),
    ],
)
def test_what_is_no_arithmetic_is_refused_in_one_line(capsys, text, says):
    assert says in refused(capsys, text, "x=1").replace("\\\\", "\\")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x="], "x has no value; write x=1"),
        (["x=abc"], "the value of x is a number; got 'abc'"),
        (["x=1e999"], "x: 1e999 is too large"),
        (["x=nan"], "x: nan is no number"),
        (["x=1", "x=2"], "x is given twice"),
        (["x=1", "y=2"], "y has a value but no place"),
        (["x=1", "exp=2"], "exp is a function"),
        (["x=1", "pi=3"], "pi is a constant"),
        (["x=1", "inf=3"], "inf is no number"),
        (["x=1", "2y=3"], "'2y'"),
        (["x=1", "=3"], "''"),
        (["x=1", "7"], "NAME=NUMBER, such as x=1; got '7'"),
        (["x=1", "--colour"], "got '--colour'"),
        ([], "x has no value; give it as in x=1"),
        (["x=1", "--svg"], "--svg"),
        (["x=1", "--svg", "."], "is a folder"),
        (["x=1", "--svg", "file.txt/graph.svg"], "file.txt"),
    ],
)
def test_values_that_do_not_fit_are_refused_in_one_line(capsys, words, says):
    Path("file.txt").write_text("kept")
    assert says in refused(capsys, "x*x", *words)
    assert [path.name for path in Path().iterdir()] == ["file.txt"]


def test_no_expression_is_refused(capsys):
    assert "EXPRESSION" in refused(capsys)


@pytest.mark.parametrize("words", [["-x**2", "x=3"], ["--latex", "-x**2", "x=3"], ["-x**2", "--latex", "x=3"]])
def test_a_formula_may_begin_with_a_minus_and_options_stand_anywhere(capsys, words):
    printed = shown(capsys, *words)
    assert ("df/dx = -6" in printed.splitlines()) != ("--latex" in words)
    assert (r"\frac{d f}{d x}" in printed) == ("--latex" in words)


def test_values_may_be_arithmetic_on_numbers(capsys):
    assert shown(capsys, "sin(t)", "t=-pi/2").splitlines()[-2:] == ["f = -1", "df/dt = 6.12323e-17"]


def test_the_graph_is_drawn_to_a_file(capsys):
    printed = shown(capsys, SIGMOID, "x=1", "w=0", "b=0", "--svg", "graphs/sigmoid.svg")
    assert printed.splitlines()[-1] == "the graph is in graphs/sigmoid.svg"
    picture = ElementTree.parse("graphs/sigmoid.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    words = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"v4 = exp(v3)", "0.5", "-0.25"} <= set(words)


def test_mermaid_and_latex_are_printed_instead_of_the_table(capsys):
    arguments = (SIGMOID, "x=1", "w=0", "b=0")
    mermaid = shown(capsys, *arguments, "--mermaid", "--svg=graph.svg")
    assert mermaid.startswith("flowchart LR\n")
    assert Path("graph.svg").exists()
    latex = shown(capsys, *arguments, "--latex")
    assert latex.startswith("\\begin{align*}\n")
    assert "\\cdot 1 = 0.25" in latex
    assert shown(capsys, *arguments, "--latex", "--mermaid") == f"{latex}\n{mermaid}"


def test_a_terminal_of_plain_letters_gets_a_table_that_is_aligned(capsys, monkeypatch):
    class Plain:
        encoding = "ascii"

        def __getattr__(self, name):
            return getattr(real, name)

    real = sys.stdout
    monkeypatch.setattr(sys, "stdout", Plain())
    assert main(["explain", "x**2*pi", "x=2", "--svg", "graph.svg"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert "dv1/dx = 2*x = 4" in out
    assert "∂" in Path("graph.svg").read_text("utf-8")


def test_it_computes_on_numpy_in_float64_whatever_is_current(capsys, monkeypatch):
    monkeypatch.setenv("PULLBACK_BACKEND", "array_api_strict")
    assert shown(capsys, "(1 + x) - 1", "x=1e-12").splitlines()[-2] == "f = 1.00009e-12"
