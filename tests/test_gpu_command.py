"""`ci/gpu`, tried where there is no GPU: its steps, its page, and the benchmarks' sides, which do the same work."""

import json
import subprocess
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import pullback as pb
from pullback.backends.memory import empty

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = ("MLP 20-16-12-10", "MLP 32x4", "GPT-2", "ResNet-50")


@pytest.fixture(scope="module", autouse=True)
def _scripts():
    """The scripts can be imported by their names."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("ci/on_gpu", "benchmarks/gpu"):
            patch.syspath_prepend(str(ROOT / folder))
        yield


def run_gpu(out, *arguments):
    command = [sys.executable, str(ROOT / "ci" / "gpu"), str(out), "--backend", "numpy", "--quick", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((out / "gpu.json").read_text("utf-8")), (out / "gpu.md").read_text("utf-8")


def test_the_steps_before_the_benchmarks_run_without_a_gpu(tmp_path):
    report, page = run_gpu(tmp_path, "--only", "tests,trajectories,memory,sanitizer")
    assert {name: step["ok"] for name, step in report["steps"].items()} == dict.fromkeys(report["steps"], True)
    assert report["steps"]["tests"]["passed"] > 10
    ran = report["steps"]["sanitizer"]["found"]
    assert all(f"{dtype}: " in ran for dtype in ("float32", "float16", "bfloat16"))
    assert [row["largest_difference"] for row in report["steps"]["trajectories"]["networks"]] == [0.0] * 3
    assert report["left_out"] == ["main job: not asked for", "benchmarks: not asked for"]
    assert "its figures say nothing about a GPU" in page
    assert page.count("\n| ") == page.count(" |\n") > 20


def test_a_backend_there_is_not_is_refused_in_one_line(tmp_path):
    command = [sys.executable, str(ROOT / "ci" / "gpu"), str(tmp_path / "out"), "--backend", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "ci/gpu: error: there is no backend 'nonsense'; there are numpy, cupy" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("status", [None, 1])
def test_a_step_that_is_stopped_is_not_told_as_one_that_went_well(tmp_path, monkeypatch, status):
    steps, report = import_module("steps"), import_module("report")
    monkeypatch.setattr(steps.Place, "run", lambda *_, **__: (status, 1.0))
    monkeypatch.setattr(steps, "find_spec", lambda name: object())  # PyTorch, of which nothing runs
    (tmp_path / "tests.log").write_text("collected 7 items", "utf-8")
    for name, (_, work) in steps.STEPS.items():
        finding = work(steps.Place("numpy", tmp_path, quick=True), 60.0)
        assert finding["ok"] is (None if status is None else False), name
        assert ("stopped for want of time" in finding["found"]) is (status is None)
        assert report.word_of(finding) == ("stopped" if status is None else "**failed**")


@pytest.mark.parity
@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed: pip install 'pullback[parity]'")
def test_the_benchmarks_run_without_a_gpu(tmp_path):
    report, page = run_gpu(tmp_path, "--only", "benchmarks")
    rows = report["steps"]["benchmarks"]["tasks"]
    assert len(rows) == 5
    for row in rows:
        assert {"pullback", "PyTorch", "torch.compile"} <= row["milliseconds"].keys()
        assert not row["failed"]
        assert not row["differ"]
        assert row["ratio"] > 0
        assert row["task"] in page


def first_losses(name, peers, steps):
    """The losses of the first training steps in float32, for every side of a tiny task."""
    (task,) = (task for task in import_module("tasks").tasks(tiny=True) if task.name.startswith(name))
    making, _ = task._replace(dtype="float32").prepare(peers)
    found = {}
    for side, make in making.items():
        run = make().run
        losses = [run() for _ in range(steps)]
        found[side] = [float(loss.detach() if hasattr(loss, "detach") else loss) for loss in losses]
    return found


@pytest.mark.parity
@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed: pip install 'pullback[parity]'")
@pytest.mark.parametrize("name", NETWORKS)
def test_pytorch_does_the_same_work_in_the_benchmarks(name):
    losses = first_losses(name, import_module("tasks").Peers("cpu", None, {}), steps=3)
    # Adam's first step is the gradients' signs, so where fifty layers round, the second loss is another.
    agree = 1 if name == "ResNet-50" else 3
    np.testing.assert_allclose(losses["pullback"][:agree], losses["PyTorch"][:agree], rtol=2e-5)
    np.testing.assert_allclose(losses["pullback"], losses["PyTorch"], rtol=0.1)
    assert losses["pullback"][2] < losses["pullback"][0]


@pytest.mark.parity
@pytest.mark.parametrize("name", NETWORKS)
def test_jax_does_the_same_work_in_the_benchmarks(name):
    pytest.importorskip("torch", reason="the peers start from PyTorch's weights: pip install 'pullback[parity]'")
    pytest.importorskip("jax", reason="JAX is not installed: pip install jax")
    peers = import_module("tasks").Peers("cpu", import_module("jax_peers"), {})
    losses = first_losses(name, peers, steps=3)
    agree = 1 if name == "ResNet-50" else 3
    np.testing.assert_allclose(losses["pullback"][:agree], losses["JAX"][:agree], rtol=2e-5)
    np.testing.assert_allclose(losses["pullback"], losses["JAX"], rtol=0.1)


@pytest.mark.parametrize("network", ["digits", "cnn", "gpt"])
def test_training_elsewhere_follows_numpy_from_the_same_first_weights(network):
    row = import_module("trajectories").compare(network, "array_api_strict", "device1", steps=8)
    assert row["same_start"]
    assert row["largest_difference"] < 1e-5


@pytest.mark.parametrize("factor", [1.003, np.nan])
def test_losses_that_part_are_noticed(monkeypatch, factor):
    trajectories = import_module("trajectories")
    train = trajectories.train

    def wrong(network, steps):
        start, losses = train(network, steps)
        return start, losses * (factor if pb.backend().name != "numpy" else 1.0)

    monkeypatch.setattr(trajectories, "train", wrong)
    monkeypatch.setattr(trajectories, "NETWORKS", {"digits": trajectories.digits})
    assert trajectories.main(["--backend", "array_api_strict", "--steps", "2"]) == 1


def test_memory_that_is_left_behind_is_noticed(monkeypatch):
    checks, kept = import_module("memory_checks"), []
    monkeypatch.setattr(checks, "perceptron", lambda: lambda: kept.append(empty((1 << 16,), np.float32)))
    found = checks.growth(20)
    assert found["grown_bytes"] >= 18 * 4 * (1 << 16)
    assert not found["ok"]


def test_a_value_that_is_read_in_a_step_is_noticed(monkeypatch):
    checks = import_module("memory_checks")

    def reading():
        loss = pb.ones(3).sum()
        loss.item()
        return loss

    monkeypatch.setattr(checks, "NETWORKS", {"reading": lambda: reading})
    with pb.use("array_api_strict", "device1"):
        found = checks.transfers(4)
    assert found["in_steps"] == {"reading": 4}
    assert not found["ok"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="what runs is read from /proc")
def test_a_command_whose_time_is_over_is_stopped_with_all_that_it_started(tmp_path):
    steps = import_module("steps")
    place = steps.Place("numpy", tmp_path, quick=True)
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    status, seconds = place.run("sleeper", "-c", script, limit=2.0)
    assert status is None
    assert seconds < 10
    child = int((tmp_path / "sleeper.log").read_text("utf-8").split()[0])
    for _ in range(100):
        if not runs(child):
            return
        time.sleep(0.05)
    pytest.fail("what the command started runs on")


def runs(process):
    """Whether a process is there, and no mere entry of one that has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8").split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
