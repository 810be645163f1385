"""Memory of arrays that are done with."""

import gc
import threading

import numpy as np
import pytest

import pullback as pb
from pullback.backends import memory

pytestmark = pytest.mark.on_numpy


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> memory.Memory:
    """Memory of this test alone."""
    gc.collect()
    mine = memory.Memory()
    monkeypatch.setattr(memory, "_memory", mine)
    return mine


def test_arrays_are_plain_and_aligned() -> None:
    for shape in ((300, 500), (2, 3), (0, 7), (1 << 17,), ()):
        for dtype in ("float32", "float64", "uint8", "int64"):
            x = memory.empty(shape, dtype)
            assert type(x) is np.ndarray
            assert (x.shape, x.dtype, x.flags.c_contiguous, x.flags.writeable) == (shape, np.dtype(dtype), True, True)
            if x.nbytes >= memory.LARGE:
                assert x.ctypes.data % memory.ALIGNED == 0


def test_memory_is_used_again_when_the_last_view_is_gone(own: memory.Memory) -> None:
    x = memory.empty((400, 300), "float32")
    place = x.ctypes.data
    view = x[10:20].T
    del x
    assert memory.empty((400, 300), "float32").ctypes.data != place
    del view
    again = [memory.empty((300, 400), "float32") for _ in range(2)]
    assert place in {x.ctypes.data for x in again}


def test_what_is_kept_is_bounded_by_what_was_in_use(own: memory.Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SPARE", 0)
    for size in range(100_000, 3_000_000, 100_000):  # ever larger ones, of which none fits where the last one was
        memory.empty((size,), "uint8")
        assert own.used == 0
        assert own.idle <= 1.25 * size
    memory.release_memory()
    assert (own.used, own.idle, own.kept) == (0, 0, {})


def test_threads_share_it(own: memory.Memory) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(300):
            x = memory.empty((100_000,), "uint8")
            x[:] = number
            y = memory.empty((100_000,), "uint8")
            y[:] = number + 100
            wrong.extend([number] * bool((x != number).any()))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert own.used == 0


def test_what_could_not_be_had_does_not_count(own: memory.Memory) -> None:
    with pytest.raises(MemoryError):
        memory.empty((1 << 46,), "float32")
    assert (own.used, own.most) == (0, 0)


def test_numpys_integers_are_sizes() -> None:
    assert memory.empty((np.int64(300), np.int32(300)), "float32").shape == (300, 300)


def test_copies_and_views_of_what_owns_the_memory_do_not_give_it_back(own: memory.Memory) -> None:
    x = memory.empty((100_000,), "uint8")
    part, copy = x.base[:4], x.base.copy()
    del part, copy
    assert own.used > 0
    del x
    assert own.used == 0


def test_gradients_in_kept_memory_are_not_copied() -> None:
    backend = pb.backend()
    x = memory.empty((300, 300), "float32")
    assert backend.own(x, shared=False) is x
    assert backend.own(x[1:], shared=False) is not x[1:]
    assert not np.shares_memory(backend.own(x[1:], shared=False), x)
    assert not np.shares_memory(backend.own(x, shared=True), x)


def test_empty_like_keeps_the_order_of_axes() -> None:
    x = np.zeros((4, 50, 30, 60), "float32").transpose(0, 2, 1, 3)
    y = memory.empty_like(x)
    assert (y.shape, y.dtype, y.strides) == (x.shape, x.dtype, x.strides)
