"""Matrix products in tiles, against NumPy's."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.backends.numba_kernels import products

pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
pytestmark = pytest.mark.on_numpy

LENGTHS = st.one_of(st.integers(1, 70), st.sampled_from([96, 128, 257]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=40, deadline=None)
@given(rows=LENGTHS, length=st.one_of(LENGTHS, st.sampled_from([1024, 1500])), columns=LENGTHS, data=st.data())
def test_products_are_numpys(rows: int, length: int, columns: int, dtype: str, data: Any) -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((rows, length)).astype(dtype)
    b = rng.standard_normal((length, columns)).astype(dtype)
    c = rng.standard_normal(columns).astype(dtype) if data.draw(st.booleans()) else None
    if data.draw(st.booleans()):
        a = np.ascontiguousarray(a.T).T
    if data.draw(st.booleans()):
        b = np.ascontiguousarray(b.T).T
    exact = a.astype("float64") @ b.astype("float64") + (0 if c is None else c.astype("float64"))
    tolerance = np.finfo(dtype).eps * 4 * length**0.5 * 10
    np.testing.assert_allclose(products.product(a, b, c), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (1000, 3), (7, 500), (40_000, 17)])
def test_sums_of_rows(shape: tuple[int, int], dtype: str) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    exact = x.astype("float64").sum(0)
    np.testing.assert_allclose(products.sum_of_rows(x), exact, rtol=0, atol=4 * np.finfo(dtype).eps * shape[0])


@pytest.mark.parametrize("name", ["linear", "gelu", "relu", "softmax"])
def test_arrays_in_the_other_order_of_bytes_are_left_to_numpy(name: str) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1000, 100)).astype("float32"), rng.standard_normal((64, 100)).astype("float32")
    given = (x, weight) if name == "linear" else (x,)
    expected = getattr(pb, name)(*given)
    swapped = getattr(pb, name)(*(a.astype(a.dtype.newbyteorder()) for a in given))
    np.testing.assert_allclose(swapped, expected, rtol=1e-4, atol=1e-5)
