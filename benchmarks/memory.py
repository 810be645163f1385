"""Memory: whether training leaves any behind, and the most that a training step takes.

    python benchmarks/memory.py SIDE TASK

prints the bytes that a process of its own came to need for five steps of a task, above what it had before the model
was made; SIDE is `pullback` or `torch`. Another model was trained and forgotten first, so that all is imported and
compiled.
"""

import gc
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from ctypes import CDLL
from pathlib import Path
from typing import Any

from pullback.backends import release_memory

__all__ = ["growth", "peak"]


def growth(step: Callable[[], Any], steps: int = 10_000, settled: int = 100) -> int:
    """How many bytes more the process holds after `steps` calls than after `settled`."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(settled):
            step()
        before = _resident_bytes()
        for _ in range(steps - settled):
            step()
        return _resident_bytes() - before
    finally:
        gc.enable()


def _resident_bytes() -> int:
    """The process's resident memory; where the system does not tell, the most it has been."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak(side: str, task: str) -> int:
    """The most bytes that a process of one side holds in five steps of a task, above what it had before."""
    command = [sys.executable, __file__, side, task]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _peak_here(side: str, name: str) -> int:
    from networks import NETWORKS

    (task,) = (task for task in NETWORKS if task.name == name)
    if side == "torch":
        import torch
        import torch._dynamo
        import torch_models  # noqa: F401  (imported before the count begins)

    def train() -> None:
        work = task.ours() if side == "pullback" else task.theirs(torch)
        for _ in range(5):
            work()

    train()
    gc.collect()
    release_memory()
    CDLL(None).malloc_trim(0)
    before = _resident_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    train()
    (peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024 - before


if __name__ == "__main__":
    print(_peak_here(*sys.argv[1:]))
