import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import pullback as pb
from pullback.backends import open_backend
from pullback.data import ArrayDataset, DataLoader
from pullback.data.prefetch import prefetch


def order(loader):
    """The samples of an epoch, by number, for a loader of numbers."""
    return [number for batch in loader for number in batch[0].tolist()]


@settings(deadline=None, max_examples=50)
@given(
    samples=st.integers(1, 60),
    batch_size=st.integers(1, 70),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
    depth=st.integers(0, 3),
)
def test_every_sample_comes_once_an_epoch(samples, batch_size, shuffle, drop_last, seed, depth):
    x = np.arange(samples)
    options = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last, "seed": seed}
    loader = DataLoader(x, 10 * x, prefetch=depth, **options)
    for _ in range(2):
        batches = [tuple(part.numpy() for part in batch) for batch in loader]
        assert len(batches) == len(loader)
        assert [len(a) for a, _ in batches] == [r.stop - r.start for r in loader.plan.slices()]
        assert all(np.array_equal(10 * a, b) for a, b in batches)
        seen = [n for a, _ in batches for n in a.tolist()]
        assert len(set(seen)) == len(seen) == loader.plan.samples_per_epoch
        assert shuffle or seen == list(range(len(seen)))


def test_the_order_depends_on_the_seed_alone_and_changes_each_epoch():
    x = np.arange(50)
    loader = DataLoader(x, batch_size=8, shuffle=True, seed=3)
    first, second = order(loader), order(loader)
    assert first != second
    assert first != order(DataLoader(x, batch_size=8, shuffle=True, seed=4))
    expected = pb.random.Generator(3)
    assert first == pb.random.permutation(50, generator=expected).tolist()
    assert second == pb.random.permutation(50, generator=expected).tolist()
    for name, device in (("array_api_strict", "device1"), ("array_api_strict", None), ("numpy", None)):
        with pb.use(name, device):
            for kind in (np.asarray, pb.asarray):
                other = DataLoader(kind(x), batch_size=5, shuffle=True, seed=3)
                assert [order(other), order(other)] == [first, second]


def test_without_a_seed_the_default_generator_decides():
    def shuffles():
        return [order(DataLoader(np.arange(20), shuffle=True)) for _ in range(2)]

    pb.manual_seed(7)
    first = shuffles()
    pb.manual_seed(7)
    assert shuffles() == first
    assert first[0] != first[1]
    state = pb.default_generator().state_dict()
    DataLoader(np.arange(20))
    assert pb.default_generator().state_dict() == state


@settings(deadline=None, max_examples=30)
@given(samples=st.integers(1, 20), batch_size=st.integers(1, 7), taken=st.integers(0, 30), shuffle=st.booleans())
def test_a_loader_goes_on_where_another_stood(samples, batch_size, taken, shuffle):
    def stream(loader):
        while True:
            yield from (batch[0].tolist() for batch in loader)

    def make(seed):
        return DataLoader(np.arange(samples), batch_size=batch_size, shuffle=shuffle, seed=seed)

    first, second = make(5), make(99)
    running = stream(first)
    for _ in range(taken):
        next(running)
    state = first.state_dict()
    second.load_state_dict(state)
    assert second.state_dict() == state
    resumed = stream(second)
    assert [next(resumed) for _ in range(8)] == [next(running) for _ in range(8)]


def test_the_state_is_that_of_the_latest_iteration():
    first, second = (DataLoader(np.arange(12), batch_size=2, shuffle=True, seed=seed) for seed in (1, 2))
    next(iter(first))
    running = iter(first)
    next(running)
    second.load_state_dict(first.state_dict())
    assert order(running) == order(second)


def test_the_state_of_other_data_is_refused():
    state = DataLoader(np.arange(10), batch_size=2).state_dict()
    with pytest.raises(ValueError, match="samples=10; here it is 9"):
        DataLoader(np.arange(9), batch_size=2).load_state_dict(state)
    with pytest.raises(ValueError, match="batch_size=2; here it is 3"):
        DataLoader(np.arange(10), batch_size=3).load_state_dict(state)


@pytest.mark.parametrize("depth", [None, 0, 1, 3])
def test_host_arrays_go_to_the_current_device_and_keep_their_dtype(depth):
    x = np.random.default_rng(0).normal(size=(20, 3))
    with pb.use("array_api_strict", "device1") as strict:
        loader = DataLoader(x, x[:, 0].astype("float32"), batch_size=6, shuffle=True, seed=0, prefetch=depth)
        batches = list(loader)
        assert all(part.device == strict.device for batch in batches for part in batch)
        assert [part.dtype.name for part in batches[0]] == ["float64", "float32"]
        elsewhere = next(iter(DataLoader(x, device="CPU_DEVICE")))[0]
        assert elsewhere.device == strict.find_device("CPU_DEVICE")
    rows = pb.random.permutation(20, generator=pb.random.Generator(0))
    assert_array_equal(np.concatenate([x.numpy() for x, _ in batches]), x[rows])


def test_arrays_of_another_library_stay_in_it_and_never_pass_through_the_host(monkeypatch):
    strict = open_backend("array_api_strict", "device1")
    x = strict.asarray(np.arange(10.0))
    monkeypatch.setattr(type(strict), "to_host", lambda *_: pytest.fail("a batch went through the host"))
    for current in ("numpy", "array_api_strict"):
        with pb.use(current):
            batches = [batch[0] for shuffle in (False, True) for batch in DataLoader(x, batch_size=4, shuffle=shuffle)]
            assert all(type(b.array) is type(x) and b.device == strict.device for b in batches)


def test_batches_are_constants_even_of_variables():
    x = pb.ones((4, 2)).requires_grad_()
    assert not any(batch[0].requires_grad for batch in DataLoader(ArrayDataset(x), batch_size=2))


def prefetching_threads():
    return [t for t in threading.enumerate() if t.name == "pullback-prefetch"]


def test_the_thread_ends_when_iteration_is_abandoned():
    with pb.use("array_api_strict", "device1"):
        for (x,) in DataLoader(np.arange(100), batch_size=2):
            assert x.shape == (2,)
            assert len(prefetching_threads()) == 1
            break
    assert prefetching_threads() == []


@pytest.mark.on_numpy
def test_numpy_needs_no_thread():
    for _ in DataLoader(np.arange(4), batch_size=2):
        assert prefetching_threads() == []


def test_no_more_is_prepared_than_was_asked_for():
    made, reached = [], threading.Event()

    def items():
        for number in range(10):
            made.append(number)
            if number == 3:
                reached.set()
            yield number

    ahead = prefetch(items(), depth=3)
    assert next(ahead) == 0
    assert reached.wait(5)  # 0 is in use, 1 to 3 are ahead
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]
    assert list(ahead) == list(range(1, 10))
    assert prefetching_threads() == []


def test_what_is_begun_ahead_is_begun_in_order_by_the_thread_that_asks():
    begun, here = [], threading.get_ident()

    def begin(number):
        assert threading.get_ident() == here
        begun.append(number)
        return -number

    ahead = prefetch(iter(range(1, 30)), depth=3, begin=begin)
    for number in range(1, 30):
        assert next(ahead) == -number
        assert begun == list(range(1, len(begun) + 1))
        assert number <= len(begun) <= number + 3
    assert list(ahead) == []


def test_what_the_thread_raises_is_raised_where_the_batch_is_wanted():
    def items():
        yield 1
        raise OSError("the disk is gone")

    ahead = prefetch(items(), depth=2)
    assert next(ahead) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)
    assert prefetching_threads() == []


def test_the_thread_sees_the_callers_backend_and_gradient_mode():
    def items():
        yield pb.backend().device
        yield (pb.ones(1).requires_grad_() * 2).requires_grad

    with pb.use("array_api_strict", "device1") as strict, pb.no_grad():
        assert list(prefetch(items(), depth=2)) == [strict.device, False]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"batch_size": 0}, ValueError),
        ({"batch_size": 2.5}, TypeError),
        ({"prefetch": -1}, ValueError),
        ({"seed": -1}, ValueError),
    ],
)
def test_bad_options_are_refused_at_once(options, error):
    with pytest.raises(error, match=next(iter(options))):
        DataLoader(np.arange(4), **options)


def test_a_data_set_of_no_samples_is_refused():
    with pytest.raises(ValueError, match=r"ArrayDataset\(\(0, 3\) float64\) has no samples"):
        DataLoader(np.zeros((0, 3)))
