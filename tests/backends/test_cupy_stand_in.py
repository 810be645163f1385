"""The CuPy backend's own Python, on a stand-in for CuPy."""

import gc
import logging
import re
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from kernel_cases import draw
from numpy.testing import assert_array_equal
from stand_in_cupy import Gpus, stand_in_cupy

import pullback as pb
from pullback import nn, optim
from pullback.autodiff import verify
from pullback.autodiff.op import registry
from pullback.autodiff.tree import flatten
from pullback.backends import backend_of, find_backend_of
from pullback.backends.cupy_namespace import CupyNamespace, keep_bfloat16
from pullback.data import DataLoader

MiB = 1 << 20


@pytest.fixture
def gpu() -> Iterator[Gpus]:
    """One device of 16 MiB, in use."""
    with stand_in_cupy() as gpus, pb.use("cupy"):
        yield gpus


@pytest.fixture
def gpus() -> Iterator[Gpus]:
    """Two devices; the first is in use."""
    with stand_in_cupy(2) as gpus, pb.use("cupy"):
        yield gpus


def on(device: str, values: Any) -> pb.Tensor:
    with pb.use("cupy", device):
        return pb.tensor(values)


def network(device: str = "cuda:0") -> tuple[nn.Module, pb.Tensor, pb.Tensor]:
    with pb.use("cupy", device):
        model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.LayerNorm(8), nn.Dropout(0.5), nn.Linear(8, 3))
        return model, pb.tensor(np.ones((4, 6), "float32")), pb.tensor([0, 1, 2, 1])


def test_what_the_stand_in_offers_is_cupys() -> None:
    cupy = pytest.importorskip("cupy")
    cupyx = pytest.importorskip("cupyx")
    modules = Gpus(1, MiB).modules
    rooms = {"cupy.cuda": cupy.cuda, "cupy.cuda.runtime": cupy.cuda.runtime, "cupyx": cupyx}
    for name, real in rooms.items():
        offered = {found for found in vars(modules[name]) if not found.startswith("_")}
        assert offered <= set(dir(real)), name
    pool = {"malloc", "free_all_blocks", "used_bytes", "free_bytes", "total_bytes", "set_limit", "get_limit"}
    used = {
        "Device": {"id", "use", "synchronize", "mem_info", "attributes"},
        "Event": {"record", "done", "synchronize"},
        "Stream": {"null", "record", "wait_event", "synchronize"},
        "MemoryPointer": {"device", "device_id", "mem", "ptr", "copy_from_host_async"},
        "MemoryPool": pool,
        "MemoryAsyncPool": pool,
    }
    for name, methods in used.items():
        assert methods <= set(dir(getattr(cupy.cuda, name))), name
    assert {"get", "data", "device", "flags", "item"} <= set(dir(cupy.ndarray))
    assert {"__bool__", "__int__", "__float__", "__array__"} <= set(dir(cupy.ndarray))


def test_training_learns_and_reads_the_loss_alone(gpu: Gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = network()
    for name in ("__bool__", "__int__", "__float__", "item"):
        monkeypatch.setattr(type(x.array), name, lambda *_: pytest.fail("a value was read behind the backend's back"))
    optimizer, losses = optim.AdamW(model.parameters(), lr=1e-2), []
    with pb.watch_transfers() as transfers:
        for _ in range(30):
            optimizer.zero_grad()
            losses.append(nn.CrossEntropyLoss()(model(x), y))
            losses[-1].backward()
            optim.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        assert transfers == []
        assert losses[-1].item() < losses[0].item()
    assert len(transfers) == 2


@pytest.fixture(scope="module")
def strict_gpus() -> Iterator[Gpus]:
    """Two devices on which array_api_strict computes, on its own second device."""
    pytest.importorskip("array_api_strict")
    with stand_in_cupy(2, strict=True) as gpus:
        yield gpus


@pytest.mark.parametrize(
    ("op", "example"),
    [pytest.param(op, e, id=f"{op.name}-{i}") for op in registry.values() for i, e in enumerate(op.examples)],
)
def test_every_op_takes_nothing_but_the_standard_and_stays_where_it_is(
    op: Any, example: Any, strict_gpus: Gpus
) -> None:
    def values_and_gradients(owner: Any) -> list[np.ndarray]:
        inputs = [pb.Tensor(x) if find_backend_of(x) else x for x in draw(example, owner)]
        chosen = verify.inputs_with_gradients(op, inputs) if op.differentiable else []
        chosen = [i for i in chosen if example.inputs[i].differentiable]
        variables = [x.requires_grad_(i in chosen) if isinstance(x, pb.Tensor) else x for i, x in enumerate(inputs)]
        outputs = flatten(example.seen(pb, op(*variables, **example.metadata)))[0]
        for y in outputs:
            if y.requires_grad:
                y.backward(pb.ones_like(y.detach()), retain_graph=True)
        found = [*outputs, *(variables[i].grad for i in chosen)]
        assert {owner.device_of(x.array) for x in found} <= {owner.device}
        return [x.numpy() for x in found]

    with pb.use("cupy", "cuda:1") as owner:
        got = values_and_gradients(owner)
    with pb.use("numpy") as owner:
        expected = values_and_gradients(owner)
    for a, b in zip(got, expected, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_work_runs_on_the_stream_that_is_current(gpu: Gpus) -> None:
    import cupy

    model, x, y = network()
    gpu.launched.clear()
    with cupy.cuda.Stream() as stream:
        nn.CrossEntropyLoss()(model(x), y).backward()
    assert {used for _, used in gpu.launched} == {stream}


def test_work_runs_where_the_arrays_are_whichever_device_is_current(gpus: Gpus) -> None:
    model, x, y = network("cuda:1")
    assert gpus.current == 0
    gpus.launched.clear()
    loss = nn.CrossEntropyLoss()(model(x), y)
    loss.backward()
    optim.clip_grad_norm_(model.parameters(), 1.0)
    pb.concat([x, pb.zeros_like(x)]).sum()
    assert {device for device, _ in gpus.launched} == {1}
    assert all(p.grad.device.id == 1 for p in model.parameters())
    assert np.isfinite(loss.item())
    with pb.use("cupy", "cuda:1"):
        optim.Adam(model.parameters()).step()
    assert gpus.current == 0


def test_a_second_derivative_stays_where_it_is(gpus: Gpus) -> None:
    x = on("cuda:1", [1.0, 2.0])
    second = pb.grad(lambda x: pb.grad(lambda x: (x**3).sum())(x).sum())(x)
    assert second.device.id == 1
    assert second.tolist() == [6.0, 12.0]


def test_new_arrays_are_made_where_they_are_asked_for(gpus: Gpus) -> None:
    for made in (pb.zeros(3, device="cuda:1"), pb.asarray([1.0], device=1), pb.eye(2, device="cuda:1")):
        assert made.device.id == 1
    assert pb.ones(2).device.id == 0
    with pb.use("cupy", 1):
        assert pb.ones(2).device.id == pb.random.normal((2,)).device.id == 1


def test_arrays_of_two_devices_do_not_mix_and_the_move_is_named(gpus: Gpus) -> None:
    a, b = pb.ones(2), on("cuda:1", [1.0, 2.0])
    with pytest.raises(pb.BackendMismatch, match=r"\(cuda:0\) and a cupy array \(cuda:1\)\. Move one: pb.to_device"):
        a + b
    moved = pb.to_device(b, "cuda:0")
    assert moved.device.id == 0
    assert (a + moved).tolist() == [2.0, 3.0]
    assert pb.to_device(moved, "cuda:0").array is moved.array


def test_a_move_between_devices_waits_for_the_work_before_it(gpus: Gpus) -> None:
    import cupy

    x = on("cuda:1", [[1.0, 2.0], [3.0, 4.0]])
    with cupy.cuda.Device(1):
        late = cupy.cuda.Stream(non_blocking=True)
        with late:
            late.put(lambda: x.array.values.fill(7.0))
            moved = backend_of(x.array).to_device(x.array, 0)
    assert moved.get().tolist() == [[7.0, 7.0], [7.0, 7.0]]


def test_a_gradient_moves_back_between_devices(gpus: Gpus) -> None:
    x = on("cuda:1", [1.0, 2.0]).requires_grad_()
    (pb.to_device(x, "cuda:0") * 3).sum().backward()
    assert x.grad.device.id == 1
    assert x.grad.tolist() == [3.0, 3.0]


def test_devices_are_keys_and_equal_to_cupys_own(gpus: Gpus) -> None:
    import cupy

    x, y = pb.ones(1), pb.ones(1)
    assert {x.device: 1}[y.device] == 1
    assert x.device == cupy.cuda.Device(0) != pb.zeros(1, device=1).device


def test_a_thread_of_its_own_works_on_the_backends_device(gpus: Gpus) -> None:
    with pb.use("cupy", "cuda:1"):
        for shuffle in (False, True):
            loader = DataLoader(pb.ones((4, 2)), np.arange(4.0), batch_size=2, shuffle=shuffle, prefetch=2)
            assert all(part.device.id == 1 for batch in loader for part in batch)


@pytest.mark.parametrize(
    ("written", "size"), [("2MiB", 2 * MiB), ("1.5 MiB", 3 * MiB // 2), ("1MB", 10**6), (0.25, 4 * MiB), (4096, 4096)]
)
def test_memory_is_limited_as_it_is_written(gpu: Gpus, written: Any, size: int) -> None:
    pb.use("cupy", memory_limit=written)
    assert pb.memory_stats().limit == size
    pb.use("cupy")
    assert pb.memory_stats().limit == size
    pb.use("cupy", memory_limit=0)
    assert pb.memory_stats().limit is None


@pytest.mark.parametrize("written", ["much", "20 GiBs", "GiB", 1.5, -1, True, "-1MiB", [1]])
def test_what_is_no_size_is_refused(gpu: Gpus, written: Any) -> None:
    with pytest.raises(ValueError, match=r"a share such as 0\.8, or written like '20GiB'; got "):
        pb.use("cupy", memory_limit=written)


def test_options_are_the_gpus() -> None:
    with pytest.raises(TypeError, match="the numpy backend has no option 'memory_limit'"):
        pb.use("numpy", memory_limit=1)
    with stand_in_cupy():
        with pytest.raises(TypeError, match="the cupy backend has no option 'memory'"):
            pb.use("cupy", memory="1GiB")
        with pytest.raises(ValueError, match="allocator is one of 'pool', 'async'; got 'fast'"):
            pb.use("cupy", allocator="fast")
        with pb.use("auto", memory_limit="1MiB"):
            assert pb.memory_stats().limit == MiB


def test_the_most_that_was_in_use_is_remembered_until_it_is_reset(gpu: Gpus) -> None:
    x = pb.zeros(MiB, dtype=pb.float32)
    del x
    gc.collect()
    stats = pb.memory_stats(reset_peak=True)
    assert (stats.used, stats.idle, stats.peak) == (0, 4 * MiB, 4 * MiB)
    assert (stats.free, stats.total) == (12 * MiB, 16 * MiB)
    assert str(stats) == "0 B used by arrays (at most 4.0 MiB), 4.0 MiB idle, 12.0 MiB of 16.0 MiB free, no limit"
    assert pb.memory_stats().peak == 0
    pb.release_memory()
    assert (pb.memory_stats().idle, pb.memory_stats().free) == (0, 16 * MiB)


def test_memory_is_counted_for_each_device(gpus: Gpus) -> None:
    kept = pb.zeros(MiB, dtype=pb.uint8, device="cuda:1")
    assert pb.memory_stats().used == 0
    with pb.use("cupy", 1):
        assert pb.memory_stats().used == pb.memory_stats().peak == MiB
        pb.use("cupy", 1, memory_limit="2MiB")
        with pytest.raises(pb.OutOfMemory, match=r"on cuda:1, where arrays use 1\.0 MiB"):
            pb.zeros(2 * MiB, dtype=pb.uint8)
    assert pb.memory_stats().limit is None
    assert kept.size == MiB


def test_without_room_the_error_says_what_helps_and_the_process_goes_on(gpu: Gpus) -> None:
    model = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    optimizer = optim.Adam(model.parameters())

    def step(samples: int) -> None:
        optimizer.zero_grad()
        model(pb.ones((samples, 16))).mean().backward()
        optimizer.step()

    step(64)
    before = pb.memory_stats().used
    for _ in range(3):
        message = ""
        try:
            step(1 << 14)
        except pb.OutOfMemory as error:
            message = str(error)
        for part in (
            *("an array of 4.0 MiB was asked for on cuda:0, where arrays use ", "of 16.0 MiB is free"),
            *("smaller batches", "pb.checkpoint", "pb.autocast"),
        ):
            assert part in message
        assert "\n" not in message
        assert "memory_limit" not in message
        optimizer.zero_grad()
        assert pb.memory_stats().used <= before  # the tape of the failed step is gone, with no garbage collection
        step(64)


def test_a_limit_is_named_where_it_is_in_the_way(gpu: Gpus) -> None:
    with pb.use("cupy", memory_limit="2MiB"):
        with pytest.raises(pb.OutOfMemory, match=r"and the limit is 2\.0 MiB\. .* a higher memory_limit in pb\.use"):
            pb.zeros(MiB)
        pb.zeros(1000)


@pytest.mark.parametrize("allocator", ["pool", "async"])
def test_what_nobody_uses_is_given_up_before_an_array_is_refused(gpu: Gpus, allocator: str) -> None:
    pb.zeros(5 * MiB, dtype=pb.uint8)
    with pb.use("cupy", allocator=allocator):
        for size in (1, 2, 3):
            pb.zeros(size * MiB, dtype=pb.uint8)
        cycle: list[Any] = [pb.zeros(8 * MiB, dtype=pb.uint8)]
        cycle.append(cycle)
        del cycle
        pb.zeros(14 * MiB, dtype=pb.uint8)


def test_the_stream_ordered_allocator_is_there_on_request(gpu: Gpus) -> None:
    import cupy

    pool = cupy.get_default_memory_pool()
    pb.use("cupy", allocator="async")
    x = pb.zeros(MiB, dtype=pb.uint8)
    assert pool.used_bytes() == 0
    assert (pb.memory_stats().used, pb.memory_stats().limit) == (x.size, None)
    pb.use("cupy", allocator="pool", memory_limit="3MiB")
    assert pb.memory_stats().used == 0
    y = pb.zeros(MiB, dtype=pb.uint8)
    assert pool.used_bytes() == pb.memory_stats().used == y.size
    assert pool.get_limit() == 3 * MiB


def test_an_allocator_of_the_users_is_kept() -> None:
    with stand_in_cupy() as gpus:
        cupy, sizes = gpus.modules["cupy"], []
        below = cupy.get_default_memory_pool()

        def malloc(size: int) -> Any:
            sizes.append(size)
            if size > MiB:
                raise MemoryError("none of mine")
            return below.malloc(size)

        cupy.cuda.set_allocator(malloc)
        with pb.use("cupy"):
            pb.zeros(3, dtype=pb.float32)
            assert sizes == [12]
            assert pb.memory_stats().used == 512
            with pytest.raises(ValueError, match="takes no limit; pass allocator='pool'"):
                pb.use("cupy", memory_limit=1)
            with pytest.raises(pb.OutOfMemory, match=r"an array of 8\.0 MiB was asked for"):
                pb.zeros(MiB, dtype=pb.float64)


def test_errors_that_are_not_about_memory_are_left_alone(gpu: Gpus) -> None:
    owner = pb.backend()
    owner.allocator.below = lambda size: 1 // 0
    with pytest.raises(ZeroDivisionError):
        pb.zeros(3)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_batches_arrive_whole_though_copies_run_late(gpu: Gpus, depth: int, shuffle: bool) -> None:
    x = np.random.default_rng(0).standard_normal((50, 7))
    y = np.asfortranarray(np.arange(100).reshape(50, 2))
    loader = DataLoader(x, y, batch_size=8, shuffle=shuffle, seed=3, prefetch=depth)
    with pb.use("numpy"):
        expected = [
            [part.numpy() for part in batch] for batch in DataLoader(x, y, batch_size=8, shuffle=shuffle, seed=3)
        ]
    for _ in range(2 - shuffle):
        given = [[part * 1 for part in batch] for batch in loader]
        assert len(given) == len(expected)
        for parts, theirs in zip(given, expected, strict=True):
            for part, other in zip(parts, theirs, strict=True):
                assert (part.dtype, part.device.id) == (other.dtype, 0)
                assert_array_equal(part.numpy(), other)


def test_pinned_memory_is_used_again_and_never_before_it_was_read(gpu: Gpus) -> None:
    import cupy

    sizes = []
    original = gpu.modules["cupyx"].empty_pinned
    gpu.modules["cupyx"].empty_pinned = lambda *given: sizes.append(gpu.pinned_left) or original(*given)
    x = np.arange(400.0).reshape(100, 4)
    total = sum(batch[0].numpy().sum() for batch in DataLoader(x, batch_size=4))
    assert total == x.sum()
    assert len(sizes) == 25
    assert sizes[10] == sizes[-1]  # no more is taken from the operating system
    pb.release_memory()
    assert cupy.get_default_pinned_memory_pool().free == {}


def test_without_pinned_memory_batches_arrive_all_the_same(gpu: Gpus) -> None:
    gpu.pinned_left = 0
    x = np.arange(40.0).reshape(10, 4)
    assert_array_equal(np.concatenate([batch[0].numpy() for batch in DataLoader(x, batch_size=4)]), x)


def test_copies_wait_for_the_memory_they_write_to(gpu: Gpus) -> None:
    """The array gets memory that queued work may still read: the copy comes behind that work."""
    import cupy

    staging = pb.backend().staging()
    compute, order = cupy.cuda.Stream(non_blocking=True), []
    with compute:
        compute.put(lambda: order.append("compute"))
        sent = staging.send(staging.read(np.ones((2, 2)), slice(0, 2)))
        staging.stream.put(lambda: order.append("after the copy"))
        staging.stream.synchronize()
        assert order == ["compute", "after the copy"]
        array = staging.receive(sent)
        assert array.get().tolist() == [[1.0, 1.0], [1.0, 1.0]]
    staging.close()


def test_abandoned_batches_are_copied_before_their_memory_is_anothers(
    gpu: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cupy

    streams: list[Any] = []
    start = cupy.cuda.Stream.__init__

    def init(stream: Any, *given: Any, **options: Any) -> None:
        start(stream, *given, **options)
        streams.append(stream)

    monkeypatch.setattr(cupy.cuda.Stream, "__init__", init)
    for batch in DataLoader(np.ones((100, 4)), batch_size=4):
        assert batch[0].shape == (4, 4)
        break
    assert streams[0].queued == streams[0].finished > 0
    assert [t.name for t in threading.enumerate() if t.name == "pullback-prefetch"] == []


def test_an_empty_part_and_foreign_byte_order_arrive(gpu: Gpus) -> None:
    x, none = np.arange(6, dtype=">f4").reshape(3, 2), np.ones((3, 0))
    (first, second), _ = DataLoader(x, none, batch_size=2)
    assert first.tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert second.shape == (2, 0)


def test_bfloat16_is_computed_where_cupy_leaves_it_out() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    half = np.dtype(ml_dtypes.bfloat16)
    xp = CupyNamespace(import_module("array_api_compat.numpy"))
    x = np.asarray([[3.0, 1.0], [2.0, 4.0]], half)
    batch = np.stack([x, x])
    assert xp.bfloat16 == half
    assert xp.isdtype(half, "real floating")
    assert not xp.isdtype(half, ("integral", "bool"))
    assert xp.finfo(half).bits == 16
    for made in (xp.where(x > 2, x, x), xp.where(x > 2, x, 0.0), xp.sort(x), xp.matmul(batch, batch)):
        assert made.dtype == half
    assert xp.where(x > 2, x, np.ones(2, "float32")).dtype == np.float32
    assert xp.argsort(x).tolist() == [[1, 0], [0, 1]]
    assert_array_equal(xp.matmul(batch, batch)[0].astype("float32"), [[11.0, 7.0], [14.0, 18.0]])
    assert keep_bfloat16(np.ones(2, "float32"), (x, 0.5)).dtype == half
    assert keep_bfloat16(np.ones(2, "float32"), (x, np.ones(2, "float32"))).dtype == np.float32
    assert keep_bfloat16(np.ones(2, "int64"), (x, 0.5)).dtype == np.int64


def test_info_tells_of_the_gpus(gpus: Gpus, capsys: pytest.CaptureFixture[str]) -> None:
    from pullback.cli import main

    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert re.search("^  cupy +usable on cuda:0, cuda:1$", out, re.MULTILINE)
    for line in (
        "cuda:1 +Stand-in GPU, compute capability 9.0, 16.0 MiB of 16.0 MiB free",
        *("CUDA +driver 13.1, runtime 13.2", "matrix products +cuBLAS", "convolutions +(pullback's own kernels|cuDNN)"),
    ):
        assert re.search(rf"^    {line}", out, re.MULTILINE), line
    assert "unknown (" not in out


def test_what_cupy_warns_of_when_it_is_imported_goes_to_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import warnings

    from pullback.backends import cupy as module

    def loud(name: str) -> Any:
        warnings.warn("\n  two installations\n  of CuPy\n", stacklevel=1)
        return name

    monkeypatch.setattr(module, "import_module", loud)
    with caplog.at_level(logging.DEBUG, "pullback"):
        assert module._import_quietly() == "cupy"
    assert caplog.messages == ["cupy says: two installations of CuPy"]
