"""NumPy's kernels of adding by index and of pooling: compiled and not, they are the ops' own lines at size too."""

import numpy as np
import pytest

from pullback.autodiff.op import registry
from pullback.backends import numba_kernels, numpy_kernels, open_backend
from pullback.ops.taps import adaptive, sliding

SIZES = [
    (768, (128,), 65),
    (2000, (40,), 5000),
    (60_000, (), 10),
    (60_000, (), 200_000),
    (300, (7, 3), 50),
    (1, (4,), 1),
]


@pytest.fixture(params=["compiled", "plain"])
def compiling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "compiled":
        pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
    limit = 0 if request.param == "compiled" else 1 << 62
    monkeypatch.setattr(numba_kernels.compiling, "WORTHWHILE", limit)


def both(name: str, *arrays, **metadata):
    """The kernel's result and the reference's."""
    lines = registry[name].function
    kernel = numpy_kernels.kernels[name]
    return kernel(*arrays, **metadata), lines(open_backend("numpy").namespace, *arrays, **metadata)


@pytest.mark.usefixtures("compiling")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "int64"])
@pytest.mark.parametrize(("count", "rest", "size"), SIZES)
def test_adding_rows_by_index_is_that_of_the_reference(
    dtype: str, count: int, rest: tuple[int, ...], size: int
) -> None:
    rng = np.random.default_rng(count)
    updates = (5 * rng.standard_normal((count, *rest))).astype(dtype)
    indices = rng.integers(-size, size, count)
    for axis in range(updates.ndim):
        got, expected = both("scatter_add", np.moveaxis(updates, 0, axis), indices, size=size, axis=axis)
        assert got.dtype == expected.dtype
        tolerance = {"float16": 2e-3, "float32": 1e-5, "complex64": 1e-5}.get(dtype, 1e-11)
        scale = float(np.abs(expected).max(initial=1.0))
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.usefixtures("compiling")
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int32"])
def test_adding_each_by_its_own_index_is_that_of_the_reference(dtype: str) -> None:
    rng = np.random.default_rng(1)
    updates = (5 * rng.standard_normal((6, 300, 5))).astype(dtype)
    for axis, size in ((0, 3), (1, 50), (1, 700), (-1, 2)):
        indices = rng.integers(-size, size, updates.shape)
        got, expected = both("scatter_add_along_axis", updates, indices, size=size, axis=axis)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.usefixtures("compiling")
def test_a_sum_of_very_many_is_exact_to_the_last_place():
    updates = np.full((400_000, 2), 0.1, dtype="float32")
    total = numpy_kernels.kernels["scatter_add"](updates, np.zeros(400_000, dtype=int), size=2)
    np.testing.assert_allclose(total[0], np.float64(np.float32(0.1)) * 400_000, rtol=1e-7)


@pytest.mark.usefixtures("compiling")
@pytest.mark.parametrize("name", ["scatter_add", "scatter_add_along_axis"])
@pytest.mark.parametrize("index", [3, -4])
def test_an_index_outside_is_refused_and_nothing_is_written(name: str, index: int) -> None:
    with pytest.raises(IndexError, match="outside an axis of length 3"):
        numpy_kernels.kernels[name](np.ones(2), np.asarray([0, index]), size=3, axis=0)


WINDOWS = [
    (sliding(24, 2, 2), sliding(20, 2, 2)),
    (sliding(24, 3, 2, 1), sliding(20, 3, 1, 1, 2, True)),
    (adaptive(24, 7), adaptive(20, 1)),
    (sliding(24, 3, 4), sliding(20, 2, 3, 1, 1, True, "padding")),
]


@pytest.mark.usefixtures("compiling")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("taps", WINDOWS, ids=str)
@pytest.mark.parametrize("channels", [3, 17])
def test_pooling_of_large_images_is_that_of_the_reference(dtype: str, taps, channels: int) -> None:
    rng = np.random.default_rng(2)
    x = np.round(3 * rng.standard_normal((6, 24, 20, channels))).astype(dtype)  # rounded, many tie
    x[rng.random(x.shape) < 0.01] = np.nan
    (y, numbers), (expected, expected_numbers) = both("max_pool", x, taps=taps)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(numbers, expected_numbers)
    assert numbers.dtype == expected_numbers.dtype
    g = rng.standard_normal(y.shape).astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for name, arrays in (("max_unpool", (g, numbers)), ("resample", (np.nan_to_num(x),))):
        got, expected = both(name, *arrays, taps=taps)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
