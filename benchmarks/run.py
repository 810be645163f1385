"""The same work side by side with PyTorch eager: medians and ratios.

    python benchmarks/run.py [--backend numpy|cupy] [--json FILE] [--rounds N] [--only TEXT]

All run in one process and take turns, so that a machine whose speed drifts slows all. What is quoted is the ratio of
the medians, to the best peer: PyTorch eager, and for whole networks torch.compile too. Peak memory is measured in
processes of their own. Needs the `bench` extra (PyTorch), and for torch.compile a C++ compiler.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pullback as pb

sys.path.insert(0, str(Path(__file__).parent))

from derivatives import DERIVATIVES
from memory import growth, peak
from networks import NETWORKS
from work import TASKS, Work


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compare pullback with PyTorch eager on the same work.")
    parser.add_argument("--backend", default="numpy", help="the backend of pullback's side (default: numpy)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--rounds", type=int, default=25, help="measurements of each side (default: 25)")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 where a limit is passed")
    parser.add_argument("--eager", action="store_true", help="leave out torch.compile")
    parser.add_argument("--only", default="", help="only the tasks whose names contain this")
    options = parser.parse_args(argv)
    try:
        import torch
    except ImportError:
        print("benchmarks: PyTorch is the peer; pip install 'pullback[bench]'", file=sys.stderr)
        return 2

    rows: list[dict[str, Any]] = []
    with pb.use(options.backend) as backend:
        wait = torch.cuda.synchronize if backend.name == "cupy" else lambda: None

        def settle() -> None:
            backend.synchronize()
            wait()

        print(f"pullback {pb.__version__} on {backend.name}, PyTorch {torch.__version__}")
        print(f"{'task':<58}{'pullback':>12}{'PyTorch':>12}{'compiled':>12}{'ratio':>8}{'limit':>8}{'memory':>8}")
        for task in [task for task in (*TASKS, *DERIVATIVES, *NETWORKS) if options.only in task.name]:
            works = [task.ours(), task.theirs(torch)]
            if task.compiled is not None and not options.eager:
                works.append(task.compiled(torch))
            mine, *peers = measure(works, task.calls, options.rounds, settle, alone=task.memory is not None)
            ratio = mine / min(peers)
            row = {"task": task.name, "pullback_us": mine * 1e6, "pytorch_us": peers[0] * 1e6, "ratio": ratio}
            row |= {"limit": task.limit} | ({"compiled_us": peers[1] * 1e6} if len(peers) > 1 else {})
            if task.memory is not None and backend.name == "numpy":
                row |= {"memory_ratio": peak("pullback", task.name) / peak("torch", task.name)}
                row |= {"memory_limit": task.memory}
            rows.append(row)
            times = "".join(f"{time * 1e6:>9.0f} µs" if time else " " * 12 for time in (mine, *peers, 0.0)[:3])
            memory = f"{row['memory_ratio']:>8.2f}" if "memory_ratio" in row else ""
            print(f"{task.name:<58}{times}{ratio:>8.2f}{task.limit:>8.2f}{memory}", flush=True)
        grown = growth(TASKS[0].ours())
        print(f"memory after 10,000 training steps, above that after 100, garbage collector off: {grown:+,} bytes")
    if options.json:
        figures = {"backend": options.backend, "tasks": rows, "memory_growth_bytes": grown}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(
        options.strict
        and any(r["ratio"] > r["limit"] or r.get("memory_ratio", 0) > r.get("memory_limit", 1) for r in rows)
    )


# How long threads wait for more work before they sleep, which takes a core from whoever has its turn: OpenMP's 0.2 s.
RESTLESS = 0.3


def measure(works: list[Work], calls: int, rounds: int, settle: Any, alone: bool) -> list[float]:
    """The median seconds of one call of each, taken in turns.

    alone: begin each turn when the other side's threads are asleep, and with a call that is not counted. Whole networks
        are measured so; for small work, which has no threads, it would take too long.
    """
    times: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 3):
        for side, work in enumerate(works):
            settle()
            if alone:
                time.sleep(RESTLESS)
                work()
            start = time.perf_counter()
            for _ in range(calls):
                work()
            settle()
            if turn >= 3:  # the first turns warm up
                times[side].append((time.perf_counter() - start) / calls)
    return [statistics.median(taken) for taken in times]


if __name__ == "__main__":
    sys.exit(main())
