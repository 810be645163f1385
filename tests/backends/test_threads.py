"""Threads that share compiled work."""

import os
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from pullback.backends.numba_kernels import compiling, threads

pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
pytestmark = pytest.mark.on_numpy


@compiling.compiled
def add_up(start: int, stop: int, seen: Any, step: int) -> None:
    for i in range(start, stop):
        seen[i] += step


@compiling.compiled
def run_out(start: int, stop: int, size: int, seen: Any) -> None:
    seen[start] = np.empty(size)[0]


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> threads.Pool:
    """A pool of four threads, however many cores there are."""
    made = threads.Pool(4)
    monkeypatch.setattr(compiling, "pool", lambda: made)
    return made


@pytest.mark.parametrize("length", [0, 1, 2, 15, 16, 17, 1000])
@pytest.mark.parametrize("pause", [0.0, 0.02], ids=["awake", "asleep"])
def test_every_part_is_done_once(four: threads.Pool, length: int, pause: float) -> None:
    for step in range(1, 20):
        seen = np.zeros(length, np.int64)
        compiling.in_parts(add_up, length, seen, step)
        assert (seen == step).all()
        time.sleep(pause)


def test_many_callers_at_once(four: threads.Pool) -> None:
    """One of them has the workers; the others do their work alone."""
    wrong: list[int] = []

    def work() -> None:
        for step in range(300):
            seen = np.zeros(500, np.int64)
            compiling.in_parts(add_up, 500, seen, step)
            wrong.extend([step] * bool((seen != step).any()))

    callers = [threading.Thread(target=work) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_python_functions_and_compiled_ones_take_turns(four: threads.Pool) -> None:
    for step in range(200):
        seen = np.zeros(64, np.int64)
        compiling.in_parts(add_up, 64, seen, step)
        compiling.in_parts(lambda start, stop, x=seen: x.__setitem__(slice(start, stop), x[start:stop] + 1), 64)
        assert (seen == step + 1).all()


def test_work_inside_of_work_is_done_where_it_is(four: threads.Pool) -> None:
    seen = np.zeros((8, 64), np.int64)

    def outer(start: int, stop: int) -> None:
        for row in range(start, stop):
            compiling.in_parts(lambda a, b, x=seen[row]: x.__setitem__(slice(a, b), x[a:b] + 1), 64)
            compiling.in_parts(add_up, 64, seen[row], 1)

    compiling.in_parts(outer, 8)
    assert (seen == 2).all()


def test_what_interrupts_the_caller_waits_for_the_workers(four: threads.Pool) -> None:
    ended: list[int] = []

    def part(start: int, stop: int) -> None:
        if start == 0:
            raise KeyboardInterrupt
        time.sleep(0.05)
        ended.append(start)

    with pytest.raises(KeyboardInterrupt):
        compiling.in_parts(part, 8)
    assert len(ended) == 3
    seen = np.zeros(64, np.int64)
    compiling.in_parts(add_up, 64, seen, 1)
    assert (seen == 1).all()


def test_small_work_is_not_handed_out(four: threads.Pool) -> None:
    seen = np.zeros(1000, np.int64)
    four.busy.acquire()  # nobody would get at the workers
    compiling.in_parts(add_up, 1000, seen, 1, cost=1)
    four.busy.release()
    assert (seen == 1).all()


def test_memory_that_is_not_there_is_an_error(four: threads.Pool) -> None:
    with pytest.raises(MemoryError):
        compiling.in_parts(run_out, 64, 1 << 60, np.zeros(64))
    seen = np.zeros(64, np.int64)
    compiling.in_parts(add_up, 64, seen, 1)
    assert (seen == 1).all()


def test_there_are_no_more_threads_than_asked_for() -> None:
    program = "from pullback.backends.numba_kernels import threads; print(threads.pool().threads)"
    for asked, expected in (("1", {1}), ("1,2", {1}), ("999", {os.cpu_count()}), ("none", {os.cpu_count()})):
        result = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OMP_NUM_THREADS": asked},
            capture_output=True,
            text=True,
            check=True,
        )
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        assert int(result.stdout) in (expected if asked.startswith("1") else {available})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_has_threads_of_its_own() -> None:
    program = """
import os, warnings
import numpy as np
from pullback.backends.numba_kernels import compiling
warnings.simplefilter("ignore")
@compiling.compiled
def add_up(start, stop, seen):
    for i in range(start, stop):
        seen[i] += 1
def check():
    seen = np.zeros(1000)
    compiling.in_parts(add_up, 1000, seen)
    return 0 if (seen == 1).all() else 1
assert check() == 0
child = os.fork()
if not child:
    os._exit(check())
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
