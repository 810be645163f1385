"""What README says runs, in both languages."""

import contextlib
import doctest
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pullback as pb
from pullback.autodiff.op import registry

ROOT = Path(__file__).resolve().parent.parent
READMES = ["README.md", "README.zh-CN.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name, language):
    return [code for kind, code in BLOCK.findall((ROOT / name).read_text("utf-8")) if kind == language]


@pytest.fixture
def no_new_ops():
    """Ops that a README defines are forgotten again."""
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


@pytest.mark.parametrize("name", READMES)
def test_the_example_runs_and_reads_digits(name, tmp_path, monkeypatch):
    (program,) = blocks(name, "python")
    assert len([line for line in program.splitlines() if line]) <= 15
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with pb.use("numpy"), contextlib.redirect_stdout(printed):
        exec(compile(program, name, "exec"), {"__name__": "__main__"})
    assert float(re.search(r"[\d.]+(?=%)", printed.getvalue()).group()) >= 95


@pytest.mark.parametrize("name", READMES)
@pytest.mark.usefixtures("no_new_ops")
def test_the_sessions_print_what_is_shown(name):
    session = doctest.DocTestParser().get_doctest("\n".join(blocks(name, "pycon")), {}, name, name, 0)
    report = []
    with pb.use("numpy"):
        result = doctest.DocTestRunner().run(session, out=report.append)
    assert result.attempted >= 6
    assert not result.failed, "".join(report)


def test_both_languages_show_the_same_code():
    for language in ("python", "pycon", "sh"):
        assert blocks(READMES[0], language) == blocks(READMES[1], language)


def test_every_file_that_is_linked_is_there():
    for name in [*READMES, "CONTRIBUTING.md", "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text("utf-8")):
            assert (ROOT / target).exists(), f"{name} links to {target}"


@pytest.mark.parametrize("command", ["main job", "tests"])
def test_the_commands_can_be_taken_out(command):
    script = [sys.executable, str(ROOT / "ci" / "readme_command"), command]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert done.stdout in blocks("README.md", "sh")


def test_a_command_that_is_not_there_is_refused():
    script = [sys.executable, str(ROOT / "ci" / "readme_command"), "cake"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("has 0 commands named 'cake'; its commands are 'main job', 'tests'")
