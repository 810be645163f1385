"""The steps of `ci/gpu`: each runs a command under a limit of time, and says in a dict what it found.

A finding has "ok" (None where the step was left out, or stopped before its end), whether it was "stopped", "found" in
one line, "seconds", and the step's own figures.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

__all__ = ["STEPS", "Finding", "Place"]

ROOT = Path(__file__).resolve().parents[2]
HERE = "ci/on_gpu"
GRACE = 25.0
"""The seconds at the end of its time in which a pytest that was interrupted may write down what it has."""
NEEDED = 0.97
"""The accuracy of the main job."""

Finding = dict[str, Any]


class Place(NamedTuple):
    """What the steps run on, and where they write."""

    backend: str
    logs: Path
    quick: bool
    """Only a little of each step, to try the script itself."""

    def run(
        self, name: str, *command: str, limit: float, grace: float = 5.0, **environment: str
    ) -> tuple[int | None, float]:
        """The exit status of a command, None if its time was over, and its seconds; what it prints goes to a log.

        It is interrupted `grace` seconds before the limit, and at the limit it is killed with all that it started.
        """
        python = [sys.executable] if command[0] != "compute-sanitizer" else []
        log = self.logs / f"{name}.log"
        path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
        print(f"ci/gpu: {' '.join(['python' for _ in python] + list(command))}  (up to {limit:.0f} s)", flush=True)
        start = time.perf_counter()
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                [*python, *command],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"} | environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status: int | None = process.wait(max(limit - grace, 1.0))
            except subprocess.TimeoutExpired:
                status = None
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(grace)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # and those that it started and left behind
                process.wait()
        return status, round(time.perf_counter() - start, 2)


def run_tests(place: Place, limit: float) -> Finding:
    """The suite that finds every op in the registry, and those of training: with the backend's arrays alone."""
    # Those that matter most come first, should the time run out.
    chosen = [f"tests/{name}" for name in ("ops/test_registry.py", "backends", "train", "optim", "nn", "models")]
    chosen += [f"tests/{name}" for name in ("ops", "autodiff", "compile", "data", "interop", "test_one_idea.py")]
    chosen = ["tests/test_one_idea.py", "tests/train/test_restarts.py"] if place.quick else chosen
    report = place.logs / "tests.xml"
    report.unlink(missing_ok=True)
    workers = 0 if place.quick or find_spec("xdist") is None else min(12, (os.cpu_count() or 1) * 3 // 4)
    spread = ("-n", str(workers)) if workers > 1 else ()
    status, seconds = place.run(
        "tests",
        *("-m", "pytest", *chosen, *spread, "-p", "no:cacheprovider", "--tb=short", "--maxfail=200"),
        *("-W", "default::DeprecationWarning", "-W", "default::FutureWarning", "--continue-on-collection-errors"),
        "--ignore-glob=*/test_cupy_*.py",  # which need no GPU, but emulate one
        f"--junitxml={report}",
        limit=limit,
        grace=GRACE,
        XLA_PYTHON_CLIENT_PREALLOCATE="false",  # or JAX takes most of the device for itself
        PULLBACK_BACKEND=place.backend,
        PULLBACK_TEST_BACKENDS=place.backend,
        # NumPy, which is compared with, and the processes beside this one.
        OMP_NUM_THREADS="1",
        OPENBLAS_NUM_THREADS="1",
        **({"CUPY_GPU_MEMORY_LIMIT": f"{80 // workers}%"} if workers > 1 else {}),
    )
    counts, failures = {"passed": 0, "failed": 0, "skipped": 0}, []
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        kind = "failed" if case.find("failure") is not None or case.find("error") is not None else "passed"
        kind = "skipped" if case.find("skipped") is not None else kind
        counts[kind] += 1
        if kind == "failed":
            failures.append(f"{case.get('classname')}::{case.get('name')}")
    log = (place.logs / "tests.log").read_text("utf-8", errors="replace")
    collected = re.findall(r"collected (\d+) item|workers? \[(\d+) item", log)
    total = int(max(collected[-1])) if collected else sum(counts.values())
    found = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    if status is None:
        found += f"; {total - sum(counts.values()):,} of {total:,} were left out"
    finding = _finding(status, found, seconds, counts["passed"] > 0, **counts, failures=failures)
    return {**finding, "ok": False} if failures else finding


def run_trajectories(place: Place, limit: float) -> Finding:
    """Three networks trained on NumPy and on the backend."""
    figures = place.logs / "trajectories.json"
    command = (f"{HERE}/trajectories.py", "--backend", place.backend, "--json", str(figures))
    rows, status, seconds = _figures(place, "trajectories", figures, limit, *command, *_steps(place, 5))
    worst = max((row["largest_difference"] for row in rows or ()), default=None)
    steps = max((row["steps"] for row in rows or ()), default=0)
    found = "nothing was compared" if worst is None else (
        f"losses over {steps} steps of {', '.join(row['network'] for row in rows)} differ from NumPy's "
        f"by {worst:.1e} of their size at most"
    )  # fmt: skip
    return _finding(status, found, seconds, networks=rows or [])


def check_memory(place: Place, limit: float) -> Finding:
    """What training leaves behind, takes at most, copies to the host, and does without memory."""
    figures = place.logs / "memory.json"
    command = (f"{HERE}/memory_checks.py", "--backend", place.backend, "--json", str(figures))
    checks, status, seconds = _figures(place, "memory", figures, limit, *command, *_steps(place, 20))
    told = [f"{name}: {'ok' if check['ok'] else 'failed'}" for name, check in (checks or {}).items()]
    return _finding(status, ", ".join(told) or "nothing was found", seconds, checks=checks or {})


def sanitize(place: Place, limit: float) -> Finding:
    """Every kernel in three data types under compute-sanitizer: memory, then races. Without the tool they only run."""
    tool = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    script = (f"{HERE}/each_kernel.py", "--backend", place.backend)
    if tool is None or place.backend != "cupy":
        status, seconds = place.run("kernels", *script, limit=limit)
        told = f"{_ran(place.logs / 'kernels.log')}; without compute-sanitizer, which is not here"
        return _finding(status, told, seconds)
    tools: dict[str, Finding] = {}
    end = time.perf_counter() + limit
    for name, share in (("memcheck", 0.6), ("racecheck", 1.0)):
        options = ("--report-api-errors", "no") if name == "memcheck" else ()  # those of libraries that only ask
        command = ("compute-sanitizer", "--tool", name, *options, "--error-exitcode", "77", sys.executable, *script)
        path = f"{Path(tool).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        status, seconds = place.run(name, *command, limit=share * (end - time.perf_counter()), PATH=path)
        said = (_lines(place.logs / f"{name}.log", "SUMMARY") or ["no summary"])[-1].lstrip("= ")
        tools[name] = _finding(status, said, seconds)
    found = "; ".join(
        [_ran(place.logs / "memcheck.log"), *(f"{name}: {told['found']}" for name, told in tools.items())]
    )
    verdicts = [told["ok"] for told in tools.values()]
    return {
        "ok": False if False in verdicts else None if None in verdicts else True,
        "stopped": any(told["stopped"] for told in tools.values()),
        "found": found,
        "seconds": round(sum(told["seconds"] for told in tools.values()), 2),
        "tools": tools,
    }


def run_main_job(place: Place, limit: float) -> Finding:
    """The digits, from their first weights to the summary."""
    folder = place.logs / f"digits-{time.strftime('%Y%m%d-%H%M%S')}"
    command = ("-m", "pullback", "train", "digits", "--backend", place.backend, "--out", str(folder))
    status, seconds = place.run("main_job", *command, limit=limit)
    report = folder / "summary.json"
    summary = json.loads(report.read_text("utf-8")) if report.exists() else {}
    if "test_accuracy" not in summary:
        return _finding(status, "no summary, see main_job.log", seconds, False)
    found = f"test accuracy {summary['test_accuracy']:.2%}, trained in {summary['seconds']:.1f} s"
    return _finding(status, found, seconds, summary["test_accuracy"] >= NEEDED, summary=summary)


def run_benchmarks(place: Place, limit: float) -> Finding:
    """Training steps beside PyTorch and JAX. A limit that is passed is told, and is no failure of the run."""
    if find_spec("torch") is None:
        return {"ok": None, "stopped": False, "found": "left out: PyTorch, the peer, is not installed", "seconds": 0.0}
    figures = place.logs / "benchmarks.json"
    small = ("--tiny", "--rounds", "3") if place.quick else ()
    command = ("benchmarks/gpu/run.py", "--backend", place.backend, "--json", str(figures))
    # What is begun in time may take two minutes more to compile and to measure.
    last = ("--seconds", f"{max(limit - 110, 10):.0f}")
    results, status, seconds = _figures(place, "benchmarks", figures, limit, *command, *small, *last)
    rows = (results or {}).get("tasks", [])
    within = sum(row["ok"] for row in rows)
    found = f"{len(rows)} tasks measured, {within} within their limits"
    return _finding(status, found, seconds, bool(rows), **(results or {}))


STEPS: dict[str, tuple[float, Callable[[Place, float], Finding]]] = {
    "tests": (120.0, run_tests),
    "trajectories": (40.0, run_trajectories),
    "memory": (25.0, check_memory),
    "sanitizer": (60.0, sanitize),
    "main job": (20.0, run_main_job),
    "benchmarks": (205.0, run_benchmarks),
}
"""Each step's seconds, and what it does. What one does not use the next ones have."""


def _steps(place: Place, quick: int) -> tuple[str, ...]:
    return ("--steps", str(quick)) if place.quick else ()


def _figures(place: Place, name: str, figures: Path, limit: float, *command: str) -> tuple[Any, int | None, float]:
    """What a command wrote to its file of figures, its status and its seconds."""
    figures.unlink(missing_ok=True)
    status, seconds = place.run(name, *command, limit=limit)
    found = json.loads(figures.read_text("utf-8")) if figures.exists() else None
    return found, status, seconds


def _finding(status: int | None, found: str, seconds: float, good: bool = True, **figures: Any) -> Finding:
    """Of a command, by its exit status, None where it was stopped before its end, and whether what it found is good."""
    stopped = status is None
    return {
        "ok": None if stopped else status == 0 and good,
        "stopped": stopped,
        "found": found + "; stopped for want of time" * stopped,
        "seconds": seconds,
        **figures,
    }


def _ran(log: Path) -> str:
    """How many kernels ran in each data type."""
    return ", ".join(_lines(log, "kernels ran")) or "no kernel ran to its end"


def _lines(log: Path, word: str) -> list[str]:
    """The lines of a log that have a word in them."""
    text = log.read_text("utf-8", errors="replace") if log.exists() else ""
    return [line.strip() for line in text.splitlines() if word in line]
