"""CUDA pooling and resampling on the processor: what the ops' own lines give, to the last tie and NaN."""

from typing import Any

import numpy as np
import pytest
from emulated_gpu import COMPILER, emulated_gpu
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.backends import open_backend
from pullback.backends.cupy_kernels import kernels
from pullback.ops.pooling import _max_pool, _max_unpool, _places
from pullback.ops.resampling import resample
from pullback.ops.taps import adaptive, identity, resampled, sliding

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]

TOLERANCE = {"bfloat16": 1e-2, "float16": 1e-3, "float32": 2e-6, "float64": 1e-13}
DTYPES = ["float32", "float64", "float16", "bfloat16"]


def number_type(name: str) -> Any:
    """A data type by name; bfloat16 is one that NumPy is taught."""
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16) if name == "bfloat16" else np.dtype(name)


def lines(op: Any, *arrays: Any, **metadata: Any) -> Any:
    """What the op's own lines make of NumPy's arrays; they see half precision as float32."""
    seen = [a.astype(np.float32) if a.dtype.itemsize == 2 else a for a in arrays]
    return op.function(open_backend("numpy").namespace, *seen, **metadata)


@st.composite
def windows(draw: Any) -> Any:
    """The taps of a pooling along one axis, with or without padding, a rest, or gaps."""
    length, kernel = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    if draw(st.booleans()):
        return adaptive(length, draw(st.integers(1, 6)))
    dilation = draw(st.integers(1, 2))
    reach = dilation * (kernel - 1) + 1
    length = max(length, reach)
    padding = draw(st.integers(0, reach // 2)) if dilation == 1 else 0
    return sliding(length, kernel, draw(st.integers(1, 4)), padding, dilation)


axes = st.lists(windows(), min_size=1, max_size=3)
images = st.tuples(axes, st.integers(0, 3), st.sampled_from([1, 3, 8, 40]), st.integers(0, 2**32 - 1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_pooling_takes_what_the_lines_take(dtype: str) -> None:
    @settings(deadline=None, max_examples=40)
    @given(images)
    def run(drawn: Any) -> None:
        taps, count, channels, seed = tuple(drawn[0]), *drawn[1:]
        rng = np.random.default_rng(seed)
        shape = count, *(along.length for along in taps), channels
        x = rng.choice([-1.0, 0.0, -0.0, 2.0, 0.5, np.inf, -np.inf, np.nan], shape).astype(number_type(dtype))
        y, numbers = lines(_max_pool, x, taps=taps)
        g = rng.standard_normal(y.shape).astype(x.dtype)
        with emulated_gpu():
            got, got_numbers = kernels["max_pool"](x, taps=taps)
            back = kernels["max_unpool"](g, got_numbers, taps=taps)
            places = kernels["places"](got_numbers, taps=taps)
        np.testing.assert_array_equal(places, lines(_places, numbers, taps=taps), strict=True)
        assert (got.dtype, got_numbers.dtype) == (x.dtype, numbers.dtype)
        np.testing.assert_array_equal(got.astype(y.dtype), y)
        np.testing.assert_array_equal(got_numbers, numbers)
        wanted = lines(_max_unpool, g, numbers, taps=taps)
        assert (back.dtype, back.shape) == (x.dtype, x.shape)
        np.testing.assert_allclose(back.astype(wanted.dtype), wanted, rtol=TOLERANCE[dtype], atol=8 * TOLERANCE[dtype])

    run()


def test_windows_of_many_taps_are_numbered_in_32_bits() -> None:
    taps, rng = (adaptive(20, 1), adaptive(30, 2)), np.random.default_rng(0)
    x, g = rng.standard_normal((2, 20, 30, 4), np.float32), rng.standard_normal((2, 1, 2, 4), np.float32)
    y, numbers = lines(_max_pool, x, taps=taps)
    with emulated_gpu():
        got, got_numbers = kernels["max_pool"](x, taps=taps)
        back = kernels["max_unpool"](g, got_numbers, taps=taps)
    assert got_numbers.dtype == numbers.dtype == np.int32
    np.testing.assert_array_equal(got, y)
    np.testing.assert_array_equal(got_numbers, numbers)
    np.testing.assert_array_equal(back, lines(_max_unpool, g, numbers, taps=taps))


def check_sums(x: Any, taps: Any, dtype: str) -> list[str]:
    """A resampling and its transpose against the lines in float64; returns what was launched."""
    transposed = tuple(along.transposed for along in taps)
    with emulated_gpu() as gpu:
        y = kernels["resample"](x, taps=taps)
        back = kernels["resample"](y, taps=transposed)
    for got, source, along in ((y, x, taps), (back, y, transposed)):
        wanted = lines(resample, source.astype(np.float64), taps=along)
        assert (got.dtype, got.shape) == (x.dtype, wanted.shape)
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=0, atol=4 * scale * TOLERANCE[dtype])
    return gpu.launched


@pytest.mark.parametrize("dtype", DTYPES)
def test_means_are_those_of_the_lines(dtype: str) -> None:
    @settings(deadline=None, max_examples=40)
    @given(images)
    def run(drawn: Any) -> None:
        taps, count, channels, seed = tuple(drawn[0]), *drawn[1:]
        shape = count, *(along.length for along in taps), channels
        check_sums(np.random.default_rng(seed).standard_normal(shape).astype(number_type(dtype)), taps, dtype)

    run()


MANY = {
    "the mean of an image": ((2, 11, 13, 40), (adaptive(11, 1), adaptive(13, 1)), ["resample_many", "resample"]),
    "long rows": ((3, 130, 5), (adaptive(130, 2),), ["resample_many", "resample"]),
    "one axis after the other": (
        (2, 40, 40, 3),
        (resampled(40, 16, "cubic", None, False, True), resampled(40, 12, "cubic", None, False, True)),
        ["resample"] * 3,
    ),
    "an axis that stays": ((2, 5, 80, 8), (identity(5), adaptive(80, 1)), ["resample_many", "resample"]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", MANY)
def test_many_taps_are_shared_out_or_go_axis_by_axis(case: str, dtype: str) -> None:
    shape, taps, functions = MANY[case]
    x = np.random.default_rng(0).standard_normal(shape).astype(number_type(dtype))
    launched = check_sums(x, taps, dtype)
    assert [name.split("<")[0] for name in launched][: len(functions)] == functions


@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
def test_of_several_that_claim_a_place_the_last_has_it(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(1, 100, (3, 20, 13)).astype(number_type(dtype))
    indices = rng.integers(0, 25, x.shape)
    with emulated_gpu(backwards=True):
        got = kernels["put_along_axis"](x, indices, size=25)
    expected = np.zeros((3, 25, 13), x.dtype)
    for i in range(20):
        np.put_along_axis(expected, indices[:, i : i + 1], x[:, i : i + 1], axis=1)
    np.testing.assert_array_equal(got, expected, strict=True)


def test_memory_need_not_be_in_order() -> None:
    taps = sliding(6, 2, 2), sliding(4, 2, 1)
    x = np.random.default_rng(0).standard_normal((3, 4, 6, 2)).transpose(0, 2, 1, 3)
    with emulated_gpu():
        y, numbers = kernels["max_pool"](x[::-1], taps=taps)
        back = kernels["max_unpool"](y[:, ::-1], numbers[:, ::-1], taps=taps)
    np.testing.assert_array_equal(y, lines(_max_pool, x[::-1], taps=taps)[0])
    np.testing.assert_array_equal(back, lines(_max_unpool, y[:, ::-1], numbers[:, ::-1], taps=taps))


def test_tables_are_copied_to_the_device_once() -> None:
    taps, x = (sliding(6, 3, 2),), np.ones((1, 6, 2), np.float32)
    with emulated_gpu() as gpu:
        copies: list[Any] = []
        gpu.xp.asarray = lambda a: copies.append(a) or np.asarray(a)  # type: ignore[func-returns-value]
        for _ in range(3):
            kernels["max_pool"](x, taps=taps)
            kernels["resample"](x, taps=taps)
    assert len(copies) == 3, "places for both kernels, and weights"


@pytest.mark.parametrize("dtype", ["int32", "complex64"])
def test_other_numbers_are_left_to_the_lines(dtype: str) -> None:
    x = np.zeros((1, 4, 2), dtype)
    with emulated_gpu():
        assert kernels["max_pool"](x, taps=(sliding(4, 2, 2),)) is NotImplemented
        assert kernels["resample"](x, taps=(sliding(4, 2, 2),)) is NotImplemented
