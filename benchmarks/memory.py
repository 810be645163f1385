"""Whether training leaves memory behind: the process's own, with the garbage collector off."""

import gc
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["growth"]


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
