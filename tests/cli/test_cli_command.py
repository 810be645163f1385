"""The command itself: as a process, interrupted, and asked about itself."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pullback
import pullback as pb
from pullback.cli import main
from pullback.cli.architecture import MODELS
from pullback.cli.method import OPTIMIZERS, SCHEDULES
from pullback.cli.run_folder import new_run, read_network


def test_help_names_every_model_optimizer_and_schedule_once_for_all(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for name, model in MODELS.items():
        assert f"{name}: {model.described}" in told
    for option, table in (("model", MODELS), ("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        assert f"--{option} {{{','.join(table)}}}" in told


# A process that a shell started in the background ignores Ctrl-C; this one never does.
INTERRUPTIBLE = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
RUN = INTERRUPTIBLE + "from pullback.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process")
def test_ctrl_c_keeps_what_was_learnt(tmp_path):
    command = [sys.executable, "-c", RUN, "train", "digits", "--epochs", "1000", "--schedule", "none", "--out", "run"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        seen = b""
        while max(map(int, re.findall(rb"epoch (\d+)/", seen)), default=0) < 3:
            piece = process.stderr.read1(4096)
            assert piece, seen
            seen += piece
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1] == "pullback: interrupted; what was learnt is in run"
    assert b"Traceback" not in err
    assert os.listdir(tmp_path) == ["run"]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["interrupted"] is True
    assert 2 <= summary["epochs"] < 1000
    assert summary["test_accuracy"] > 0.5
    network, encoder, _ = read_network(tmp_path / "run")
    assert network(pb.zeros((1, encoder.width))).shape == (1, 10)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process")
def test_another_ctrl_c_waits_until_the_run_is_written(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with new_run(tmp_path / "run") as aside:
        os.kill(os.getpid(), signal.SIGINT)
        (aside / "summary.json").write_text("{}")
    assert (tmp_path / "run" / "summary.json").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_info_tells_versions_backends_and_threads(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"pullback {pullback.__version__}, Python {sys.version.split()[0]}")
    lines = out.splitlines()
    place = next(line.index(np.__version__) for line in lines if line.startswith("  numpy "))
    assert f"  {'nvidia-cudnn-frontend':<{place - 4}}  " in out, "the longest of the names has room"
    for name, (usable, reason) in pullback.backends().items():
        assert f"  {name:<{place - 2}}" + ("usable on" if usable else f"not usable: {reason}") in out
    for line in ("BLAS", "threads", "CPU cores"):
        assert f"\n  {line:<{place - 2}}" in out


def test_info_does_not_fail_whatever_is_broken(capsys, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("out of\norder")

    for name in ("open_backend", "host", "os.cpu_count", "find_spec"):
        monkeypatch.setattr(f"pullback.cli.info.{name}", broken)
    assert main(["info"]) == 0
    assert capsys.readouterr().out.count("unknown (") >= 3


def test_python_m_pullback_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pullback", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"pullback {pullback.__version__}\n"


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 0
    assert "pullback train digits" in capsys.readouterr().out


def test_the_reader_of_the_predictions_may_leave_early(tmp_path):
    rows = "\n".join(["a,y", *(f"{i},{i % 2}" for i in range(20000))])
    (tmp_path / "table.csv").write_text(rows)
    assert (
        main(
            [
                "train",
                str(tmp_path / "table.csv"),
                "--target",
                "y",
                "--epochs",
                "1",
                "--hidden",
                "none",
                "--quiet",
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )
    command = [sys.executable, "-m", "pullback", "predict", "run", "table.csv"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"prediction,probability_0,probability_1\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_the_command_line_is_read_before_anything_heavy_is_imported():
    script = (
        "import sys; from pullback.cli import main; main(['train', 'digits', '--epochs', '0']); "
        "heavy = {'pullback.train', 'pullback.nn', 'pullback.data', 'matplotlib', 'tqdm', 'safetensors', 'torch'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_run_says_where_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["train", "digits", "--epochs", "1", "--hidden", "none", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert sorted(out.split()) == sorted(str(path) for path in Path("runs").iterdir())


TRAIN = [sys.executable, "-m", "pullback", "train", "digits", "--hidden", "8", "--epochs", "2", "--out", "run"]


@pytest.mark.skipif(os.name == "nt", reason="asks a POSIX shell")
@pytest.mark.parametrize("streams", ["2>&1 | head -c 20", "2>/dev/full", ">/dev/full", "1>&-", "2>&-", "1>&- 2>&-"])
def test_training_outlives_whoever_reads_along(tmp_path, streams):
    if "/dev/full" in streams and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = f"({shlex.join(TRAIN)}; echo $? >status) {streams}"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (tmp_path / "status").read_text() == "0\n"
    assert "summary.json" in os.listdir(tmp_path / "run")
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception" not in done.stdout + done.stderr


@pytest.mark.skipif(os.name == "nt", reason="asks a POSIX shell")
def test_tables_come_from_pipes_and_predictions_go_to_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("\n".join(["a,y", *(f"{i},{i % 2}" for i in range(40))]))
    assert main(["train", "table.csv", "--target", "y", "--epochs", "1", "--quiet", "--out", "run"]) == 0
    command = [sys.executable, "-m", "pullback", "predict", "run", "/dev/stdin", "--out", "/dev/stdout"]
    done = subprocess.run(command, input="a\n1\n2\n", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "prediction,probability_0,probability_1"
    assert done.stdout.splitlines()[-1] == "2 predictions of y written to /dev/stdout"
