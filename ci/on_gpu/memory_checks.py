"""What training does with a device's memory, and what it reads back from it.

    python ci/on_gpu/memory_checks.py --backend cupy [--steps 1000] [--json FILE]

Four checks: a thousand steps leave nothing behind, without the garbage collector; the most that a step takes is what
its arrays come to; no step copies anything to the host, until the loss is read; and when a step finds no memory, that
is an `OutOfMemory` after which the training goes on. Exits with 1 where one of them is not so.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import pullback as pb
from pullback import models, nn, optim

SIZES, BATCH = (1024, 2048, 2048, 1000), 2048
Step = Callable[[], Any]
Finding = dict[str, Any]


def step_of(model: nn.Module, x: Any, y: Any) -> Step:
    """A training step that gives its loss."""
    optimizer, criterion = optim.AdamW(model.parameters()), nn.CrossEntropyLoss()

    def step() -> Any:
        optimizer.zero_grad()
        logits = model(x)
        loss = criterion(logits.reshape((-1, logits.shape[-1])), y.reshape((-1,)))
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step


def samples(shape: tuple[int, ...], classes: int) -> tuple[Any, Any]:
    drawn = np.random.default_rng(0)
    return pb.tensor(drawn.standard_normal(shape, dtype="float32")), pb.tensor(drawn.integers(0, classes, shape[0]))


def perceptron(batch: int = 128) -> Step:
    return step_of(models.MLP((784, 512, 256, 10), dropout=0.1), *samples((batch, 784), 10))


def residual() -> Step:
    return step_of(models.cifar_resnet(8), *samples((16, 32, 32, 3), 10))


def transformer() -> Step:
    tokens = np.random.default_rng(0).integers(0, 65, (4, 33))
    model = models.GPT(65, 32, n_layer=2, n_head=2, n_embd=32, dropout=0.1)
    return step_of(model, pb.tensor(tokens[:, :-1]), pb.tensor(tokens[:, 1:]))


NETWORKS: dict[str, Callable[[], Step]] = {"MLP": perceptron, "ResNet-8": residual, "GPT": transformer}


def growth(steps: int) -> Finding:
    """The bytes that arrays hold after all steps, above those after a tenth of them."""
    step = perceptron()
    gc.collect()
    gc.disable()
    try:
        for _ in range(steps // 10):
            step()
        before = pb.memory_stats().used
        for _ in range(steps - steps // 10):
            step()
        grown = pb.memory_stats().used - before
    finally:
        gc.enable()
    return {"ok": grown == 0, "steps": steps, "grown_bytes": grown}


def peak(shrunk: int) -> Finding:
    """The most that is used in three steps, and what the arrays of a step come to.

    Those are: for each parameter itself, its gradient, the buffer that the optimizer gathers gradients in, and two
    means; for each sample what every layer gives, before and after its activation, and the gradients on both sides of
    the widest layer, with a tenth for all that is small.
    shrunk: what the batch is divided by.
    """
    sizes, batch = [n // shrunk for n in SIZES], BATCH // shrunk
    gc.collect()
    pb.backend().release_memory()
    pb.memory_stats(reset_peak=True)
    before = pb.memory_stats().used
    step = step_of(models.MLP(sizes), *samples((batch, sizes[0]), sizes[-1]))
    for _ in range(3):
        step()
    pb.backend().synchronize()
    found = pb.memory_stats().peak - before
    parameters = sum(a * b + b for a, b in pairwise(sizes))
    values = sizes[0] + sum(2 * n for n in sizes[1:]) + 2 * max(sizes)
    expected = 4 * (5 * parameters + batch * values)
    return {"ok": found <= 1.1 * expected, "peak_bytes": found, "expected_bytes": expected}


def transfers(steps: int) -> Finding:
    """The arrays that come back to the host in training steps; and, as proof of the count, when the loss is read."""
    found: Finding = {"ok": True, "steps": steps, "in_steps": {}, "by_reading_the_loss": {}}
    for name, make in NETWORKS.items():
        step = make()
        step()  # what the first one sets up is not asked
        with pb.watch_transfers() as watched, readings() as read:
            for _ in range(steps):
                loss = step()
            inside = len(watched), len(read)
            loss.item()
            behind = len(watched) - inside[0], len(read) - inside[1]
        found["in_steps"][name], found["by_reading_the_loss"][name] = max(inside), max(behind)
        if max(inside):
            found["first"] = str((watched or read)[0])
        found["ok"] = found["ok"] and max(inside) == 0 and (max(behind) == 1 or pb.backend().name == "numpy")
    return found


@contextmanager
def readings() -> Iterator[list[str]]:
    """Inside, every copy to the host that CuPy makes is entered in the list this gives, asked for by us or not.

    All that reads an array (`bool`, `float`, `item`, `tolist`, `asnumpy`) does so by its method `get`.
    """
    read: list[str] = []
    if pb.backend().name != "cupy":
        yield read
        return
    import cupy

    get = cupy.ndarray.get

    def noted(array: Any, *arguments: Any, **options: Any) -> Any:
        frame = sys._getframe(1)
        read.append(f"{frame.f_code.co_filename}:{frame.f_lineno} reads an array of shape {array.shape}")
        return get(array, *arguments, **options)

    cupy.ndarray.get = noted
    try:
        yield read
    finally:
        del cupy.ndarray.get  # the method is inherited


def out_of_memory() -> Finding:
    """A step under a limit that it cannot keep, and then the training as it was before."""
    step = perceptron()
    step()
    gc.collect()
    before = pb.memory_stats().used
    message = ""
    try:
        with limited(48 << 20):  # the batch has room, what the layers make of it has not
            perceptron(batch=1 << 13 if pb.backend().name == "cupy" else 1 << 50)()
    except MemoryError as error:
        kind, message = type(error).__name__, str(error)
    if not message:
        return {"ok": False, "raised": "nothing"}
    gc.collect()
    grown = pb.memory_stats().used - before
    loss = float(step().item())
    expected = "OutOfMemory" if pb.backend().name == "cupy" else kind
    good = kind == expected and grown == 0 and np.isfinite(loss)
    return {"ok": bool(good), "raised": kind, "message": message, "left_behind_bytes": grown, "loss_after": loss}


@contextmanager
def limited(beyond: int) -> Iterator[None]:
    """Inside, a GPU has no more than so many bytes above those that are used; other backends have what there is."""
    backend = pb.backend()
    if backend.name != "cupy":
        yield
        return
    backend.release_memory()
    stats = pb.memory_stats()
    backend.configure(memory_limit=stats.used + beyond)
    try:
        yield
    finally:
        backend.configure(memory_limit=stats.limit or 0)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check what training does with a device's memory.")
    parser.add_argument("--backend", default="cupy")
    parser.add_argument("--device", help="one of its devices")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write the findings to this file")
    options = parser.parse_args(argv)
    found: dict[str, Finding] = {}
    with pb.use(options.backend, options.device):
        checks: dict[str, Callable[[], Finding]] = {
            "growth": lambda: growth(options.steps),
            "peak": lambda: peak(1 if options.backend == "cupy" else 8),
            "transfers": lambda: transfers(max(options.steps // 50, 2)),
            "out of memory": out_of_memory,
        }
        for name, check in checks.items():
            try:
                found[name] = check()
            except Exception as error:
                found[name] = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            print(name, found[name], flush=True)
            if options.json:
                options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if all(finding["ok"] for finding in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
