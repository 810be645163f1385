"""CuPy's kernels of reading and adding by index, on the processor."""

from math import prod
from typing import Any

import numpy as np
import pytest
from against_lines import run
from emulated_gpu import COMPILER
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kernel_cases import TOLERANCE

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]

integers = st.sampled_from(["int32", "int64", "int16"])


def drawn(seed: int, *shape: int, dtype: str = "float32") -> Any:
    x = 10 * np.random.default_rng(seed).standard_normal(shape)
    return x > 0 if dtype == "bool" else x.astype(dtype)


def places(seed: int, size: int, *shape: int, dtype: str = "int64", below: int = 0) -> Any:
    return np.random.default_rng(seed).integers(below, size, shape).astype(dtype)


# Rows are copied in 16, 8, 4, 2 or 1 bytes at once, whatever stands in them.
@settings(deadline=None, max_examples=30)
@given(
    shape=st.lists(st.sampled_from([1, 2, 3, 8, 70]), min_size=1, max_size=3).filter(lambda s: prod(s) < 5000),
    dtype=st.sampled_from(["float32", "float64", "float16", "complex128", "int8", "bool", "int64"]),
    indices=integers,
    count=st.sampled_from([1, 5, 300]),
    data=st.data(),
)
def test_what_is_read_is_what_numpy_reads(
    shape: list[int], dtype: str, indices: str, count: int, data: st.DataObject
) -> None:
    x, axis = drawn(0, *shape, dtype=dtype), data.draw(st.integers(-len(shape), len(shape) - 1))
    length = shape[axis]
    at = places(1, length, count, dtype=indices, below=-length)
    np.testing.assert_array_equal(run("take", x, at, axis=axis), np.take(x, at, axis=axis))
    np.testing.assert_array_equal(run("take", x[::-1], at, axis=axis), np.take(x[::-1], at, axis=axis))
    along = places(2, length, *(5 if i == axis % x.ndim else n for i, n in enumerate(shape)), below=-length)
    np.testing.assert_array_equal(run("take_along_axis", x, along, axis=axis), np.take_along_axis(x, along, axis))
    keys = tuple(places(3 + i, n, 2, 3, dtype=indices, below=-n) for i, n in enumerate(shape))
    np.testing.assert_array_equal(run("pick", x, *keys), x[keys])
    np.testing.assert_array_equal(run("pick", x, keys[0]), x[keys[0]])


def test_rows_outside_of_a_table_are_not_numbers() -> None:
    table = drawn(0, 5, 12)
    rows = run("embedding", np.asarray([[4, 5], [-1, 0]]), table)
    np.testing.assert_array_equal(rows[[0, 1], [0, 1]], table[[4, 0]])
    assert np.isnan(rows[[0, 1], [1, 0]]).all()
    assert np.isnan(run("take", table, np.asarray([-6, 5]), axis=0)).all()
    assert np.isnan(run("pick", table, np.asarray([0, 5]), np.asarray([12, 0]))).all()
    assert np.isnan(run("take_along_axis", table, np.full((5, 1), -13), axis=1)).all()


# Many updates of few places and few of many, in one stretch and over several; columns of less than a block and of more.
@settings(deadline=None, max_examples=30)
@given(
    outer=st.integers(1, 3),
    count=st.sampled_from([1, 31, 32, 33, 200]),
    size=st.sampled_from([1, 2, 7, 100]),
    columns=st.sampled_from([1, 3, 40]),
    dtype=st.sampled_from(["float32", "float64", "float16", "int32", "int64"]),
    indices=integers,
)
@example(outer=1, count=2100, size=3, columns=1, dtype="float32", indices="int64")
@example(outer=2, count=40, size=5, columns=300, dtype="float32", indices="int64")
def test_updates_of_one_place_add_up(outer: int, count: int, size: int, columns: int, dtype: str, indices: str) -> None:
    updates, at = drawn(0, outer, count, columns, dtype=dtype), places(1, size, count, dtype=indices, below=-size)
    exact = updates.astype(np.float64 if updates.dtype.kind == "f" else np.int64)
    expected = np.zeros((outer, size, columns), exact.dtype)
    np.add.at(expected, (slice(None), at), exact)
    tolerance = TOLERANCE.get(dtype, 0)
    got = run("scatter_add", updates, at, size=size, axis=1)
    assert got.dtype == updates.dtype
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=1e3 * tolerance)
    if outer == 1:
        got = run("embedding.vjp(weight)", updates[0], at.astype(np.int64) % size, (size, columns))
        np.testing.assert_allclose(got, expected[0], rtol=tolerance, atol=1e3 * tolerance)
    along = places(2, size, outer, count, columns, below=-size)
    expected[:] = 0
    np.add.at(expected, (np.arange(outer)[:, None, None], along, np.arange(columns)), exact)
    got = run("scatter_add_along_axis", updates, along, size=size, axis=1)
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=1e3 * tolerance)


def test_updates_outside_are_left_out_and_infinity_stays_where_it_belongs() -> None:
    updates = np.asarray([1.0, np.inf, 2.0, np.nan, 4.0], np.float32)
    got = run("scatter_add", updates, np.asarray([0, 3, 0, 7, -1]), size=4)
    np.testing.assert_array_equal(got, [3, 0, 0, np.inf])
    assert not run("scatter_add", np.ones((70, 2), np.float32), np.full(70, 9), size=4).any()


def test_sums_do_not_depend_on_the_order_of_threads_nor_on_the_width_of_keys() -> None:
    updates, at = drawn(0, 500, 3), places(1, 6, 500)
    once, again = (run("scatter_add", updates, at, size=6, backwards=way) for way in (False, True))
    np.testing.assert_array_equal(once, again)
    wide = run("scatter_add", updates, at, size=2**23)  # 2**32 keys and more
    np.testing.assert_array_equal(wide[:6], once)
    assert not wide[6:].any()


def test_a_long_sum_loses_no_digits() -> None:
    got = run("scatter_add", np.full(40_000, 0.1, np.float32), np.zeros(40_000, np.int64), size=1)
    np.testing.assert_allclose(got, 40_000 * np.float64(np.float32(0.1)), rtol=1e-7)
