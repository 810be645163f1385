"""Matrix products of CuPy's arrays: what cuBLAS and cuBLASLt are asked for, read as they read it."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from emulated_cublas import EmulatedCublasLt
from emulated_gpu import COMPILER, emulated_gpu
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.backends.cupy_kernels import columns, products
from pullback.backends.cupy_kernels.cublaslt import bits_of_row
from pullback.backends.precision import in_tf32

pytestmark = pytest.mark.on_numpy
on_the_processor = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++")
DTYPES = ["float32", "float64", "float16", "complex64", "complex128"]


@pytest.fixture(params=["cublas", "cublaslt"])
def gpu(request: pytest.FixtureRequest) -> Iterator[Any]:
    with emulated_gpu() as driver:
        driver.cublaslt = EmulatedCublasLt() if request.param == "cublaslt" else None
        yield driver
        products._plans.clear()


def normal(*shape: int, dtype: str = "float64", seed: int = 0) -> Any:
    drawn = np.random.default_rng(seed).standard_normal((2, *shape))
    return (drawn[0] + 1j * drawn[1] if dtype[0] == "c" else drawn[0]).astype(dtype)


@st.composite
def laid_out(draw: Any, shape: tuple[int, ...], dtype: str, seed: int) -> Any:
    """An array of some shape that lies somehow in memory: permuted, in a larger one, reversed, repeated."""
    order = draw(st.permutations(range(len(shape)))) if draw(st.booleans()) else list(range(len(shape)))
    larger = [n + draw(st.sampled_from([0, 0, 1, 3])) for n in shape]
    repeated = [n > 1 and draw(st.integers(0, 9)) == 0 for n in shape]
    if any(repeated):
        once = normal(*(1 if again else n for n, again in zip(shape, repeated, strict=True)), dtype=dtype, seed=seed)
        return np.broadcast_to(once, shape)
    x = normal(*(larger[axis] for axis in order), dtype=dtype, seed=seed).transpose(np.argsort(order))
    steps = [draw(st.sampled_from([1, 1, 1, 1, 1, -1])) for _ in shape]
    return x[tuple(slice(n) if s == 1 else slice(n - 1, None, -1) for n, s in zip(shape, steps, strict=True))]


@st.composite
def factors(draw: Any) -> tuple[Any, Any]:
    dtype = draw(st.sampled_from(DTYPES))
    rows, inner, columns = (draw(st.sampled_from([1, 1, 2, 3, 5])) for _ in range(3))
    batch = [draw(st.sampled_from([1, 2, 3])) for _ in range(draw(st.integers(0, 3)))]
    shapes = []
    for _ in range(2):
        own = [n if draw(st.booleans()) else 1 for n in batch]
        shapes.append(tuple(own[draw(st.integers(0, len(own))) if draw(st.booleans()) else 0 :]))
    a = draw(laid_out((*shapes[0], rows, inner), dtype, 1))
    return a, draw(laid_out((*shapes[1], inner, columns), dtype, 2))


@given(pair=factors(), on_lt=st.booleans())
@settings(max_examples=100, deadline=None)
def test_products_of_whatever_lies_in_memory(pair: tuple[Any, Any], on_lt: bool) -> None:
    a, b = pair
    with emulated_gpu() as driver:
        driver.cublaslt = EmulatedCublasLt() if on_lt else None
        y = products.product(a, b)
    expected = np.matmul(a, b) if a.dtype.itemsize > 2 else np.matmul(a.astype("float32"), b.astype("float32"))
    assert (y.shape, y.dtype) == (expected.shape, a.dtype)
    np.testing.assert_allclose(
        y, expected, rtol=1e-3 if a.dtype == np.float16 else 1e-5, atol=1e-2 if a.dtype == np.float16 else 1e-5
    )


CALLS = [
    ("one matrix times another", (6, 4), (4, 5), ["gemmEx"]),
    ("a stack times one matrix is one product of more rows", (2, 3, 6, 4), (4, 5), ["gemmEx"]),
    ("rows of a stack times one matrix", (7, 1, 4), (4, 5), ["gemmEx"]),
    ("a stack times a stack", (2, 3, 6, 4), (2, 3, 4, 5), ["gemmStridedBatchedEx"]),
    ("one matrix times a stack", (6, 4), (3, 4, 5), ["gemmStridedBatchedEx"]),
    ("each of some with each of others", (5, 1, 3, 4), (2, 4, 2), ["gemmStridedBatchedEx"] * 2),
]


@pytest.mark.parametrize(("shape_a", "shape_b", "calls"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
def test_stacks_take_few_calls(shape_a: Any, shape_b: Any, calls: list[str]) -> None:
    a, b = normal(*shape_a), normal(*shape_b)
    with emulated_gpu() as driver:
        np.testing.assert_allclose(products.product(a, b), a @ b)
        assert driver.cublas.called == calls


def test_transposed_factors_are_read_where_they_lie() -> None:
    x, w, heads = normal(2, 8, 6), normal(5, 6), normal(2, 8, 3, 6)
    with emulated_gpu() as driver:
        products.product(x, w.T)
        products.product(x.swapaxes(-1, -2), normal(2, 8, 5))
        products.product(x[:, ::2], w[:, :6].T)
        copies: list[Any] = []
        driver.xp.ascontiguousarray = lambda array: copies.append(array) or np.ascontiguousarray(array)
        products.product(x, w.T)
        assert not copies
        queries = heads.transpose(0, 2, 1, 3)
        y = products.product(queries, queries.swapaxes(-1, -2))
        assert len(copies) == 2  # of which one copy each makes one call of six
        assert driver.cublas.called[-1] == "gemmStridedBatchedEx"
    np.testing.assert_allclose(y, queries @ queries.swapaxes(-1, -2))


def test_results_go_where_they_are_wanted(gpu: Any) -> None:
    a, b, whole = normal(3, 4), normal(4, 5), np.zeros((2, 3, 8))
    y = products.product(a, b, out=whole[1, :, :5])
    np.testing.assert_allclose(whole[1, :, :5], a @ b)
    assert y.base is whole or y.base is not None
    assert not whole[0].any()
    assert not whole[1, :, 5:].any()


def test_float32_is_rounded_to_tf32_where_it_is_asked_for_and_nowhere_else(gpu: Any) -> None:
    a, b = normal(16, 64, dtype="float32"), normal(64, 8, dtype="float32", seed=1)
    exact = a.astype("float64") @ b.astype("float64")
    assert np.max(np.abs(products.product(a, b) - exact)) < 1e-5
    token = in_tf32.set(True)
    try:
        rounded = np.max(np.abs(products.product(a, b) - exact))
        wide = products.product(a.astype("float64"), b.astype("float64"))
    finally:
        in_tf32.reset(token)
    assert 1e-4 < rounded < 2e-2
    np.testing.assert_allclose(wide, exact)
    assert np.max(np.abs(products.product(a, b) - exact)) < 1e-5


def test_bfloat16_is_summed_in_float32(gpu: Any) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")
    ones = np.ones((2, 300), ml_dtypes.bfloat16)
    np.testing.assert_array_equal(products.product(ones, ones.T).astype("float32"), 300)


@on_the_processor
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("shape", [(5, 3, 4), (1, 7, 2), (33, 2, 1), (40, 16, 300)])
def test_a_bias_and_relu_follow(shape: Any, dtype: str, relu: bool, gpu: Any) -> None:
    rows, inner, width = shape
    x, weight, bias = normal(rows, inner, dtype=dtype), normal(inner, width, dtype=dtype), normal(width, dtype=dtype)
    y = products.product(x, weight, bias=bias, relu=relu)
    expected = (x.astype("float64") @ weight.astype("float64")) + bias
    expected = np.maximum(expected, 0) if relu else expected
    tolerance = {"float16": 1e-2, "float32": 1e-5, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance * 4)


def test_cublaslt_adds_the_bias_in_the_same_pass_and_plans_once() -> None:
    x, weight, bias = normal(16, 6), normal(6, 8), normal(8)
    with emulated_gpu() as driver:
        lt = driver.cublaslt = EmulatedCublasLt()
        for other in (bias, driver.xp.empty(8, "float64"), bias):
            other[...] = other if other is bias else 2.0
            y = products.product(x, weight, bias=other)
            np.testing.assert_allclose(y, x @ weight + other)
        assert lt.called == ["BIAS"] * 3
        assert lt.searched == 1
        assert not driver.launched
        assert not driver.cublas.called
        products._plans.clear()
    assert not lt.alive  # descriptors go with their plan


@on_the_processor
def test_what_cublaslt_has_no_algorithm_for_runs_elsewhere_and_is_asked_for_once(caplog: Any) -> None:
    x, weight, bias = normal(16, 6), normal(6, 8), normal(8)
    caplog.set_level(logging.INFO, "pullback")
    with emulated_gpu() as driver:
        lt = driver.cublaslt = EmulatedCublasLt(refused=("BIAS",))
        for _ in range(2):
            np.testing.assert_allclose(products.product(x, weight, bias=bias), x @ weight + bias)
        assert lt.called == ["DEFAULT"] * 2
        assert len(driver.launched) == 2
        assert lt.searched == 2
        assert sum("cuBLASLt has no" in record.message for record in caplog.records) == 1
        lt.refused = ("DEFAULT", "BIAS")
        np.testing.assert_allclose(products.product(x, weight[:, :4]), x @ weight[:, :4])
        assert driver.cublas.called == ["gemmEx"]


def test_what_cublaslt_fails_at_runs_on_cublas(caplog: Any) -> None:
    x, weight = normal(16, 6), normal(6, 8)
    with emulated_gpu() as driver:
        driver.cublaslt = EmulatedCublasLt(fails=True)
        for _ in range(2):
            np.testing.assert_allclose(products.product(x, weight), x @ weight)
        assert driver.cublas.called == ["gemmEx"] * 2


@on_the_processor
def test_a_bias_that_lies_between_sixteen_bytes_is_added_all_the_same() -> None:
    flat = np.zeros(64, "float32")
    begin = -flat.ctypes.data % 16 // 4 + 1
    flat[begin : begin + 8] = 3
    with emulated_gpu() as driver:
        driver.cublaslt = EmulatedCublasLt()
        y = products.product(normal(4, 6, dtype="float32"), np.zeros((6, 8), "float32"), bias=flat[begin : begin + 8])
    np.testing.assert_array_equal(y, 3)


def test_plans_do_not_pile_up(monkeypatch: Any) -> None:
    monkeypatch.setattr(products, "_KEPT", 4)
    with emulated_gpu():
        for n in range(1, 12):
            products.product(normal(n, 3), normal(3, 2))
            assert len(products._plans) <= 4


def test_the_status_says_what_products_run_on(monkeypatch: Any) -> None:
    monkeypatch.setattr(products, "version", lambda package: "1.0.0")
    with emulated_gpu() as driver:
        assert products.status() == f"cuBLAS through CuPy {np.__version__}"
        driver.cublaslt = EmulatedCublasLt()
        assert products.status() == "cuBLASLt 13.1.0 through nvmath-python 1.0.0"


@on_the_processor
@given(
    rows=st.sampled_from([0, 1, 15, 16, 17, 255, 257, 700]),
    width=st.sampled_from([1, 4, 7, 33, 128, 132]),
    dtype=st.sampled_from(["float32", "float64", "float16"]),
)
@settings(max_examples=40, deadline=None)
def test_sums_of_rows_of_every_size(rows: int, width: int, dtype: str) -> None:
    g, y = normal(rows, width, dtype=dtype), normal(rows, width, dtype=dtype, seed=1)
    with emulated_gpu():
        total = columns.sum_of_rows(g)
        gx, sums = columns.relu_vjp_and_sums(g, y, summed=True)
        alone, nothing = columns.relu_vjp_and_sums(g, y, summed=False)
    expected = np.where(y > 0, g, 0)
    tolerance = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(total, g.astype("float64").sum(0), rtol=tolerance, atol=tolerance * 30)
    np.testing.assert_allclose(sums, expected.astype("float64").sum(0), rtol=tolerance, atol=tolerance * 30)
    np.testing.assert_array_equal(gx, expected)
    np.testing.assert_array_equal(alone, expected)
    assert nothing is None


@on_the_processor
def test_relu_keeps_what_is_not_a_number(gpu: Any) -> None:
    x = np.asarray([[np.nan, 1.0], [-np.inf, 1.0], [np.inf, 1.0], [-2.0, 1.0]])
    with np.errstate(invalid="ignore"):
        y = products.product(x, np.ones((2, 2)), bias=np.zeros(2), relu=True)
    np.testing.assert_array_equal(y[:, 0], [np.nan, 0, np.inf, 0])


@on_the_processor
@given(
    rows=st.sampled_from([1, 3, 40]),
    width=st.integers(1, 300),
    dtype=st.sampled_from(["float32", "float64", "float16"]),
)
@settings(max_examples=40, deadline=None)
def test_bits_say_where_numbers_are_positive(rows: int, width: int, dtype: str) -> None:
    y = normal(rows, width, dtype=dtype)
    np.put(y, range(0, y.size, 7), [0.0, -0.0, np.nan, np.inf, -np.inf])
    with emulated_gpu():
        bits = columns.positive_bits(y, bits_of_row(width))
    assert bits.shape == (rows, -(-width // 128) * 16)
    expected = np.zeros((rows, 8 * bits.shape[1]), bool)
    expected[:, :width] = y > 0
    np.testing.assert_array_equal(bits, np.packbits(expected, axis=1, bitorder="little"))
