"""The floors, and what else holds for every file."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "pullback"
FLOORS = (
    "backends", "autodiff", "ops", "compile", "nn", "optim", "data", "train", "distributed", "interop", "models", "cli",
)  # fmt: skip
"""Each folder imports only those before it."""

ENGINE = ("op", "rule", "tensor", "operators", "tape", "transforms")
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = [path for path in FILES if path.parent != PACKAGE]
TEXTS = sorted(
    path
    for folder in ("src", "tests", "examples", "benchmarks", "ci", ".ci", ".github", "")
    for path in (ROOT / folder).glob("**/*" if folder else "*")
    if (path.suffix in (".py", ".md", ".toml", ".yml") or path.parent in (ROOT / "ci", ROOT / ".ci"))
    and path.is_file()
    and path != Path(__file__)
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the absolute name of all that a file imports, in functions and by `import_module` too."""
    package = ["pullback", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*start, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def floor_of_the_package() -> int:
    """How high the package itself reaches: it hands on names of rooms up to this one."""
    names = [name.split(".") for _, name in imported(PACKAGE / "__init__.py")]
    return max(FLOORS.index(parts[1]) for parts in names if parts[0] == "pullback" and parts[1] in FLOORS)


def test_every_folder_has_its_floor():
    assert {path.relative_to(PACKAGE).parts[0] for path in ROOMS} <= set(FLOORS)


@each(ROOMS)
def test_a_folder_imports_only_those_above_it(path):
    own = FLOORS.index(path.relative_to(PACKAGE).parts[0])
    for line, name in imported(path):
        package, _, rest = name.partition(".")
        if package == "pullback":
            room = rest.partition(".")[0]
            floor = FLOORS.index(room) if room in FLOORS else floor_of_the_package()
            allowed = floor <= own if room in FLOORS else floor < own
            assert allowed, f"{name_of(path)}:{line} imports {name}, which lies below {FLOORS[own]}"


@each([path for path in FILES if "backends" not in path.parts])
def test_only_backends_imports_array_libraries_by_name(path):
    for line, name in imported(path):
        library = name.partition(".")[0]
        assert library not in ("numpy", "cupy", "array_api_compat"), (
            f"{name_of(path)}:{line} imports {name}; take host arrays from pullback.backends.host"
        )


@each([path for path in ROOMS if {"autodiff", "ops"} & set(path.relative_to(PACKAGE).parts)])
def test_every_matrix_product_goes_through_one_entry(path):
    tree = ast.parse(path.read_text("utf-8"))
    entry: set[ast.AST] = set()
    if path == PACKAGE / "ops" / "linear_algebra.py":
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        (matmul,) = (node for node in functions if node.name == "matmul")
        entry = set(ast.walk(matmul))
        assert "xp.matmul(" in ast.unparse(matmul)
    for node in set(ast.walk(tree)) - entry:
        product = isinstance(node, ast.MatMult) or (
            isinstance(node, ast.Attribute)
            and ast.unparse(node.value).endswith(("xp", "linalg", "namespace"))
            and node.attr in ("matmul", "dot", "vdot", "inner", "outer", "tensordot", "vecdot", "einsum")
        )
        assert not product, f"{name_of(path)} takes a product of its own; call ops/linear_algebra.py's matmul"


def test_the_engine_stays_small():
    engine = {name: (PACKAGE / "autodiff" / f"{name}.py").read_text("utf-8") for name in ENGINE}
    assert sum(len(engine[name].splitlines()) for name in ("op", "tensor", "tape", "transforms")) < 800
    assert sum(map(lines_of_code, engine.values())) < 800


def lines_of_code(source):
    """The lines that are neither blank, nor comment, nor docstring, as Python itself would lay them out."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return sum(bool(line.strip()) for line in ast.unparse(tree).splitlines())


@each(FILES)
def test_a_file_holds_one_idea(path):
    assert len(path.read_text("utf-8").splitlines()) <= 500
    assert not re.fullmatch(r"_?(utils?|helpers?|common|misc|base\d?|stuff|tools)", path.stem), (
        "a file is named after the idea that lives in it"
    )


@each([path for path in ROOMS if path.name == "__init__.py"])
def test_an_init_hands_names_on_and_does_nothing_else(path):
    for node in ast.parse(path.read_text("utf-8")).body:
        assert not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name in (
            "__getattr__",
            "__dir__",
        )


ELSEWHERE = (r"(?<![\w.])/(?:home|root|work|opt|mnt)/\w", r"\b(?:TODO|FIXME|XXX)\b", r"(?i)\bissues? #?\d")


@each(TEXTS)
def test_texts_speak_of_nothing_outside_the_project(path):
    for pattern in ELSEWHERE:
        found = re.search(pattern, path.read_text("utf-8"))
        assert found is None, f"{name_of(path)} says {found.group()!r}"
