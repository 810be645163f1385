"""CuPy, where there is a GPU."""

import gc
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim
from pullback.backends import Backend, backend_of
from pullback.data import DataLoader

usable, reason = pb.backends()["cupy"]
pytestmark = pytest.mark.skipif(not usable, reason=reason)

MiB = 1 << 20


@pytest.fixture
def cupy() -> Iterator[Backend]:
    """The current backend is CuPy for the test, with CuPy's own pool and no limit."""
    with pb.use("cupy", allocator="pool", memory_limit=0) as current:
        yield current
    current.configure(allocator="pool", memory_limit=0)


def mlp() -> tuple[nn.Module, pb.Tensor, pb.Tensor]:
    model = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.LayerNorm(256), nn.Dropout(0.1), nn.Linear(256, 10))
    return model, pb.random.normal((128, 64)), pb.random.integers((128,), 0, 10)


def test_new_arrays_are_made_on_the_gpu(cupy: Backend) -> None:
    for made in (pb.zeros(3), pb.asarray([1.0]), pb.tensor(np.ones(3)), pb.random.normal((3,))):
        assert backend_of(made.array) is cupy


@pytest.mark.parametrize("shape", [(), (2, 3), (0, 3)])
def test_host_arrays_make_the_round_trip_through_the_gpu(cupy: Backend, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(cupy.to_host(cupy.from_host(values)), values)


def test_a_mismatch_with_the_host_names_the_gpu(cupy: Backend) -> None:
    with pytest.raises(
        pb.BackendMismatch, match=r'a cupy array \(cuda:0\) .*pb.to_device\(x, "cuda:0", backend="cupy"\)'
    ):
        pb.add(pb.ones(2), np.ones(2))


def test_a_gradient_moves_back_to_the_host(cupy: Backend) -> None:
    x = pb.Tensor(np.ones(3)).requires_grad_()
    pb.to_device(x, "cuda:0", backend="cupy").sum().backward()
    assert isinstance(x.grad.array, np.ndarray)


def test_a_training_step_never_waits_for_the_device(cupy: Backend) -> None:
    """As CuPy itself has it: it refuses each synchronization that it makes."""
    import cupyx

    model, x, y = mlp()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    def step() -> pb.Tensor:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    step()
    with warnings.catch_warnings(action="ignore"), pb.watch_transfers() as transfers:  # it is deprecated
        with cupyx.allow_synchronize(False):
            losses = [step() for _ in range(3)]
        assert transfers == []
        assert losses[0].item() > losses[-1].item()
    assert len(transfers) == 2


def test_work_follows_the_stream_that_is_current(cupy: Backend) -> None:
    from cupy import cuda

    model, x, y = mlp()
    pb.synchronize()
    with cuda.Stream(non_blocking=True) as stream:
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        value = loss.item()
    stream.synchronize()
    assert np.isfinite(value)
    pb.synchronize()
    assert stream.done


def test_without_room_the_process_goes_on(cupy: Backend) -> None:
    model, x, y = mlp()
    optimizer = optim.Adam(model.parameters())

    def step(x: pb.Tensor, y: pb.Tensor) -> float:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    step(x, y)
    pb.release_memory()
    stats = pb.memory_stats()
    cupy.configure(memory_limit=stats.used + stats.idle + 64 * MiB)
    message = ""
    try:
        step(pb.random.normal((1 << 17, 64)), pb.random.integers((1 << 17,), 0, 10))
    except pb.OutOfMemory as error:
        message = str(error)
    for part in ("was asked for on cuda:0, where arrays use ", " is free, and the limit is ", "smaller batches"):
        assert part in message
    optimizer.zero_grad()
    gc.collect()
    assert pb.memory_stats().used < stats.used + 8 * MiB
    assert np.isfinite(step(x, y))


@pytest.mark.parametrize("allocator", ["pool", "async"])
def test_memory_is_counted(cupy: Backend, allocator: str) -> None:
    with pb.use("cupy", allocator=allocator):
        pb.synchronize()
        before = pb.memory_stats(reset_peak=True)
        x = pb.zeros((16, MiB), dtype=pb.uint8)
        stats = pb.memory_stats()
        assert 16 * MiB <= stats.used - before.used <= 17 * MiB
        assert stats.peak >= stats.used
        assert stats.total > stats.free > 0
        del x
        pb.synchronize()
        assert pb.memory_stats().used == before.used
        pb.release_memory()
        assert pb.memory_stats().idle <= 32 * MiB


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("depth", [0, 2, 5])
def test_batches_arrive_whole_while_the_device_computes(cupy: Backend, depth: int, shuffle: bool) -> None:
    x = np.random.default_rng(0).standard_normal((3000, 256)).astype("float32")
    weights = pb.random.normal((256, 256))
    loader = DataLoader(x, np.arange(3000), batch_size=64, shuffle=shuffle, seed=1, prefetch=depth)
    sums, numbers = [], []
    for part, number in loader:
        for _ in range(20):
            part @ weights
        sums.append(pb.sum(part, axis=1))
        numbers.append(number)
    order = np.concatenate([n.numpy() for n in numbers])
    assert sorted(order.tolist()) == list(range(3000))
    np.testing.assert_allclose(np.concatenate([s.numpy() for s in sums]), x[order].sum(axis=1), atol=1e-3)


def test_an_abandoned_iteration_leaves_memory_as_it_was(cupy: Backend) -> None:
    before = pb.memory_stats().used
    for batch in DataLoader(np.ones((100, 1000), "float32"), batch_size=10):
        assert float(batch[0].sum()) == 10000.0
        break
    del batch
    assert pb.memory_stats().used == before


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "bool"])
def test_memory_is_shared_with_pytorch_both_ways(cupy: Backend, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    theirs = torch.ones((2, 3), dtype=getattr(torch, dtype), device="cuda")
    ours = pb.from_dlpack(theirs)
    assert backend_of(ours.array) is cupy
    assert (ours.array.data.ptr, ours.shape, ours.dtype.name) == (theirs.data_ptr(), (2, 3), dtype)
    back = torch.from_dlpack(ours)
    assert back.data_ptr() == theirs.data_ptr()
    theirs[1, 2] = 0
    assert ours.numpy().astype("float64").sum() == 5


def test_memory_is_shared_with_jax_both_ways(cupy: Backend) -> None:
    jax = pytest.importorskip("jax")
    if jax.default_backend() != "gpu":
        pytest.skip("this JAX has no CUDA")
    ours = pb.ones((2, 3))
    theirs = jax.dlpack.from_dlpack(ours)
    assert theirs.unsafe_buffer_pointer() == ours.array.data.ptr
    assert pb.from_dlpack(theirs).array.data.ptr == ours.array.data.ptr


def test_what_lies_on_the_host_is_not_shared(cupy: Backend) -> None:
    with pytest.raises(BufferError, match="in the host's memory"):
        pb.from_dlpack(np.ones(3))


def test_bfloat16_is_cupys(cupy: Backend) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.random.default_rng(0).standard_normal((2, 5, 5)).astype(ml_dtypes.bfloat16)
    x = pb.tensor(values)
    assert x.dtype == pb.bfloat16
    wide = values.astype("float32")
    cases: dict[str, tuple[Any, Any]] = {
        "half": (x * 0.5, wide * 0.5),
        "where": (pb.where(x > 0, x, pb.zeros_like(x)), np.where(wide > 0, wide, 0)),
        "batched": (x @ x, wide @ wide),
        "sorted": (pb.sort(x), np.sort(wide)),
        "sum": (x.sum(axis=1), wide.sum(axis=1)),
        "exp": (pb.exp(x), np.exp(wide)),
    }
    for name, (got, expected) in cases.items():
        assert got.dtype == pb.bfloat16, name
        np.testing.assert_allclose(got.numpy().astype("float32"), expected, rtol=2e-2, atol=3e-2, err_msg=name)


def test_several_devices_work_where_their_arrays_are(cupy: Backend) -> None:
    if not cupy.several_devices:
        pytest.skip("there is one GPU")
    with pb.use("cupy", "cuda:1"):
        model, x, y = mlp()
    loss = nn.CrossEntropyLoss()(model(x), y)
    loss.backward()
    assert {p.grad.device.id for p in model.parameters()} == {1}
    assert np.isfinite(loss.item())
    assert pb.to_device(x, "cuda:0").device.id == 0
