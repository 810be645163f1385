import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import pullback as pb
from pullback.backends import Backend
from pullback.ops.random import random_bits


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), offset=st.integers(0, 2**62), size=st.integers(0, 40))
def test_the_op_s_own_lines_are_numpys_philox(seed: int, offset: int, size: int) -> None:
    with pb.use("array_api_strict", "device1") as strict:
        bits = random_bits(strict.namespace.zeros(1, device=strict.device), seed=seed, offset=offset, size=size)
        assert bits.device == strict.device
        got = strict.to_host(bits)
    expected = np.random.Philox(key=seed, counter=offset).random_raw(size)
    np.testing.assert_array_equal(got.view(np.uint64), expected)


def test_one_seed_gives_the_same_numbers_on_every_backend(place: Backend) -> None:
    def draw() -> list[np.ndarray]:
        generator = pb.Generator(7)
        drawn = [
            pb.random.uniform((3, 5), generator=generator),
            pb.random.uniform((4,), -1, 2, dtype="float64", generator=generator),
            pb.random.normal((7,), generator=generator),
            pb.random.normal((2, 3), 5, 0.1, dtype="float64", generator=generator),
        ]
        return [x.numpy() for x in drawn]

    with pb.use("numpy"):
        expected = draw()
    for number, (got, value) in enumerate(zip(draw(), expected, strict=True)):
        if number < 2:
            np.testing.assert_array_equal(got, value)
        else:
            np.testing.assert_array_max_ulp(got, value, maxulp=2)


def test_uniform_and_normal_values_are_distributed_as_they_say() -> None:
    pb.manual_seed(0)
    uniform = pb.random.uniform((20_000,), dtype="float64").numpy()
    normal = pb.random.normal((20_001,), dtype="float64").numpy()
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 0.01
    assert stats.kstest(normal, "norm").pvalue > 0.01
    assert abs(np.corrcoef(normal[:10_000], normal[10_000:20_000])[0, 1]) < 0.03


def test_draws_follow_one_another_and_never_repeat() -> None:
    pb.manual_seed(3)
    first, second = pb.random.uniform((8,)).numpy(), pb.random.uniform((8,)).numpy()
    assert not np.intersect1d(first, second).size
    pb.manual_seed(3)
    np.testing.assert_array_equal(pb.random.uniform((8,)).numpy(), first)


def test_a_generator_goes_on_from_its_state() -> None:
    generator = pb.Generator(11)
    pb.random.normal((5,), generator=generator)
    resumed = pb.Generator()
    resumed.load_state_dict(generator.state_dict())
    np.testing.assert_array_equal(
        pb.random.normal((5,), generator=resumed).numpy(), pb.random.normal((5,), generator=generator).numpy()
    )


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "a"])
def test_what_is_no_seed_is_refused(seed: object) -> None:
    with pytest.raises(ValueError, match="a seed is a whole number"):
        pb.Generator(seed)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, 300), seed=st.integers(0, 1000))
def test_a_permutation_holds_every_number_once(n: int, seed: int) -> None:
    order = pb.random.permutation(n, generator=pb.Generator(seed))
    assert sorted(order.tolist()) == list(range(n))


def test_dropout_drops_its_share_and_keeps_the_mean(place: Backend) -> None:
    x = pb.ones((200, 100)).requires_grad_()
    y = pb.dropout(x, p=0.3)
    y.sum().backward()
    values = y.numpy()
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs((values == 0).mean() - 0.3) < 0.01
    np.testing.assert_array_equal(x.grad.numpy(), values)
    assert pb.dropout(x, p=0.3, training=False) is x
    assert not pb.dropout(x, p=1.0).numpy().any()
    with pytest.raises(ValueError, match="between 0 and 1"):
        pb.dropout(x, p=1.5)


def test_every_thread_has_its_own_default_generator() -> None:
    from concurrent.futures import ThreadPoolExecutor

    pb.manual_seed(5)
    pb.random.uniform((4,))
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: pb.default_generator().state_dict()).result()
    assert other == {"seed": 0, "offset": 0}
    assert pb.default_generator().offset == 1
