"""`import pullback` is light: it takes little longer than NumPy's, and leaves for later what can wait."""

import os
import subprocess
import sys
from statistics import median

import pytest

LATER = {
    *("cupy", "numba", "matplotlib", "torch", "tqdm", "safetensors", "scipy"),
    *("array_api_compat", "array_api_strict"),
}


@pytest.fixture
def run_python(tmp_path):
    """What a new process prints; its bytecode is cached, as it is wherever the package is installed."""
    unwanted = ("PULLBACK", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    environment = inherited | {"PYTHONPYCACHEPREFIX": str(tmp_path)}

    def run(code):
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    return run


def test_what_can_wait_is_not_imported(run_python):
    loaded = run_python("import sys, pullback; print(*sys.modules)").split()
    assert "numpy" in loaded
    assert not {name.partition(".")[0] for name in loaded} & LATER


def test_the_import_takes_at_most_twice_as_long_as_numpys(run_python):
    def seconds(module):
        code = f"from time import perf_counter as now; t = now(); import {module}; print(now() - t)"
        return float(run_python(code))

    def ratio():
        pairs = [(seconds("pullback"), seconds("numpy")) for _ in range(7)]
        ours, numpys = map(median, zip(*pairs, strict=True))
        return ours / numpys

    seconds("pullback")  # writes the bytecode
    measured = []
    while len(measured) < 4 and min(measured, default=9.0) > 2.0:  # a busy machine may spoil one measurement
        measured.append(ratio())
    assert min(measured) <= 2.0, measured
