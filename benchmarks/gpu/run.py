"""Training steps on a GPU beside PyTorch eager, torch.compile and JAX: medians, ratios, TFLOP/s and bandwidths.

    python benchmarks/gpu/run.py [--backend cupy] [--json FILE] [--only TEXT] [--seconds N] [--eager]
    python benchmarks/gpu/run.py --backend numpy --tiny

All sides start from the same weights, run in one process and take turns. What is quoted is the ratio of our median to
that of the best peer, and the loss of the first step is compared too. The second line tries the script where there is
no GPU: its figures mean nothing. Needs PyTorch; JAX is a peer where it has the same device.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the GPU's memory is for all sides

import numpy as np

import pullback as pb

sys.path.insert(0, str(Path(__file__).resolve().parent))

from timing import Side, median, take_turns

CUDA_GRAPHS = "torch.compile, CUDA graphs"
COMPILED = {"torch.compile": {"mode": "default"}, CUDA_GRAPHS: {"mode": "reduce-overhead"}}
COPIED = 1 << 30
AGREE = {"float32": 1e-4, "bfloat16": 5e-2}
"""How far the sides' first losses may lie from ours, relatively: the networks are the same, their rounding is not."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compare pullback's training steps with its peers' on a GPU.")
    parser.add_argument("--backend", default="cupy", help="the backend of pullback's side (default: cupy)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, after each task anew")
    parser.add_argument("--only", default="", help="only the tasks whose names contain this")
    parser.add_argument("--rounds", type=int, default=25, help="measurements of each side, at most (default: 25)")
    parser.add_argument("--seconds", type=float, default=600.0, help="begin nothing after so many (default: 600)")
    parser.add_argument("--eager", action="store_true", help="leave out torch.compile")
    parser.add_argument("--tiny", action="store_true", help="tiny networks, compiled only as far as needs no compiler")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 where a limit is passed")
    options = parser.parse_args(argv)
    if find_spec("torch") is None:
        print("benchmarks: PyTorch is the peer; pip install 'pullback[bench]'", file=sys.stderr)
        return 2
    end = time.perf_counter() + options.seconds
    import torch
    import torch_peers
    from tasks import Peers, tasks

    if options.tiny:
        torch.set_num_threads(1)  # threads would only wait for each other
    device = "cuda" if options.backend == "cupy" else "cpu"
    compiled = {} if options.eager else {"torch.compile": {"backend": "aot_eager"}} if options.tiny else COMPILED
    figures: dict[str, Any] = {"backend": options.backend, "tiny": options.tiny, "tasks": [], "left_out": []}
    with pb.use(options.backend):
        jax, why = find_jax(device)
        if why:
            figures["left_out"].append(why)
        peers = Peers(device, jax, compiled)
        size = COPIED >> 10 if options.tiny else COPIED
        copying: Callable[[Side], float] = lambda side: median(take_turns({"copy": side}, 5, 10, 5.0)["copy"])
        figures["copy_bytes_per_second"] = torch_peers.copy_bandwidth(size, device, copying)
        print(f"a copy on the device moves {figures['copy_bytes_per_second'] / 1e9:,.0f} GB/s, read and written")
        for task in tasks(options.tiny):
            if options.only not in task.name:
                continue
            if time.perf_counter() > end:
                figures["left_out"].append(f"{task.name}: no time was left")
                continue
            row = compare(task, peers, options.rounds, end, figures["copy_bytes_per_second"])
            figures["tasks"].append(row)
            print(describe(row), flush=True)
            if options.json:
                options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
            torch_peers.forget()
            if jax is not None:
                jax.forget()
            give_back()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    broken = any(row["ratio"] is None or row["differ"] for row in figures["tasks"]) or not figures["tasks"]
    return int(broken or (options.strict and not all(row["ok"] for row in figures["tasks"])))


def find_jax(device: str) -> tuple[Any, str | None]:
    """JAX's side; or None, and why there is none."""
    if find_spec("jax") is None:
        return None, "JAX: not installed"
    try:
        import jax
        import jax_peers

        found = jax.default_backend()
    except Exception as error:
        return None, f"JAX: {told(error)}"
    if found != ("gpu" if device == "cuda" else "cpu"):
        return None, f"JAX: it has only the {found} here"
    return jax_peers, None


def compare(task: Any, peers: Any, rounds: int, end: float, copy: float) -> dict[str, Any]:
    """A row of the table: a task's sides built, compared and timed; a side that fails is left out, with its error."""
    from tasks import OURS

    sides: dict[str, Side] = {}
    losses: dict[str, float] = {}
    failed: dict[str, str] = {}
    late: list[str] = []
    making, work = task.prepare(peers)
    for name, make in making.items():
        if time.perf_counter() > end:
            late.append(name)
            continue
        give_back()  # what the sides before keep for their next arrays
        try:
            side = make()
            loss = side.run()
            if loss is not None:
                losses[name] = float(loss.detach() if hasattr(loss, "detach") else loss)
            del loss
            for _ in range(3):  # what is tuned and compiled in the first calls is not counted
                side.run()
            side.wait()
            sides[name] = side
        except Exception as error:
            failed[name] = told(error)
    taken = take_turns(sides, task.calls, rounds, seconds=10.0)
    times = {name: median(each) for name, each in taken.items()}
    ours, others = times.get(OURS), {name: t for name, t in times.items() if name != OURS}
    ratio = ours / min(others.values()) if ours is not None and others else None
    row: dict[str, Any] = {"task": task.name, "dtype": task.dtype, "limit": task.limit, "ratio": ratio}
    row["milliseconds"] = {name: t * 1e3 for name, t in times.items()}
    row["quartiles"] = {name: [q * 1e3 for q in np.quantile(each, (0.25, 0.75))] for name, each in taken.items()}
    row |= {"rounds": min(map(len, taken.values()), default=0), "calls": task.calls}
    row["parameters"] = {name: side.parameters for name, side in sides.items()}
    row["losses"] = losses
    row["differ"] = differences(task.dtype, losses, row["parameters"], OURS)
    row |= {"failed": failed, "late": late, "ok": ratio is not None and ratio <= task.limit}
    try:
        done = work()
    except Exception as error:
        done = {}
        failed["counting operations"] = told(error)
    for what, count in done.items():
        row[what], row[f"{what}_per_second"] = count, {name: count / t for name, t in times.items()}
    if "bytes" in done and ours is not None:
        row |= {"share_of_copy": row["bytes_per_second"][OURS] / copy, "least_share_of_copy": task.share_of_copy}
        row["ok"] = row["ok"] and row["share_of_copy"] >= task.share_of_copy
    return row


def differences(dtype: str, losses: dict[str, float], parameters: dict[str, int], ours: str) -> list[str]:
    """Where the sides turn out to do other work than we do."""
    found = []
    for name, loss in losses.items():
        expected = losses.get(ours, loss)
        if not abs(loss - expected) <= AGREE[dtype] * abs(expected):
            found.append(f"the loss of {name} is {loss:.6g}, ours {expected:.6g}")
    for name, count in parameters.items():
        if count != parameters.get(ours, count):
            found.append(f"{name} has {count:,} parameters, we have {parameters[ours]:,}")
    return found


def describe(row: dict[str, Any]) -> str:
    """A row as text."""
    times = ", ".join(f"{name} {time:.3g} ms" for name, time in row["milliseconds"].items())
    ratio = "no ratio" if row["ratio"] is None else f"ratio {row['ratio']:.2f}"
    share = f", {row['share_of_copy']:.0%} of the copy's bandwidth" if "share_of_copy" in row else ""
    errors = "".join(f"\n    {name} failed: {error}" for name, error in row["failed"].items())
    others = "".join(f"\n    {difference}" for difference in row["differ"])
    return f"{row['task']}, {row['dtype']}: {ratio} (limit {row['limit']}){share}; {times}{errors}{others}"


def told(error: Exception) -> str:
    """An error in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def give_back() -> None:
    """Give the memory that no array uses back to the device."""
    import torch_peers

    gc.collect()
    torch_peers.release_memory()
    pb.backend().release_memory()


if __name__ == "__main__":
    sys.exit(main())
