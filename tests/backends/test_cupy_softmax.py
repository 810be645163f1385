"""CuPy's kernels of softmax, on the processor: rows of any length, at any address, and half precision in float32."""

from typing import Any

import numpy as np
import pytest
from against_lines import against_lines, run
from emulated_gpu import COMPILER, emulated_gpu
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kernel_cases import TOLERANCE

from pullback.backends.cupy_kernels import kernels

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]
ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")

NAMES = ["softmax", "log_softmax"]


def drawn(seed: int, *shape: int, dtype: str = "float32") -> Any:
    return np.asarray(3 * np.random.default_rng(seed).standard_normal(shape), dtype)


# Rows whose length is a multiple of 8, of 4 alone and of neither; of a warp each, and of a block.
@settings(deadline=None, max_examples=25)
@given(
    name=st.sampled_from(NAMES),
    rows=st.integers(1, 20),
    columns=st.sampled_from([1, 7, 8, 12, 130, 516, 1024, 1028]),
    dtype=st.sampled_from(["float64", "float32", "bfloat16", "float16"]),
    in_float32=st.booleans(),
    offset=st.integers(0, 1),
)
@example("softmax", 2, 5004, "bfloat16", True, 0)
@example("log_softmax", 2, 4099, "float16", True, 0)
def test_values_and_gradients_are_those_of_the_lines(
    name: str, rows: int, columns: int, dtype: str, in_float32: bool, offset: int
) -> None:
    wide = "float32" if in_float32 and dtype != "float64" else dtype
    x = drawn(0, rows * columns + offset, dtype=dtype)[offset:].reshape(rows, columns)
    y = against_lines(name, x, axis=-1, dtype=wide if in_float32 else None, tolerance=TOLERANCE[wide])
    assert y.dtype == wide
    g = drawn(1, rows * columns + offset, dtype=wide)[offset:].reshape(rows, columns)
    gx = against_lines(f"{name}.vjp(x)", g, y, x.dtype, axis=-1, tolerance=TOLERANCE[dtype])
    assert gx.dtype == dtype


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_in_float32_is_to_the_bit_what_casts_give(name: str, half: str) -> None:
    x = drawn(0, 9, 2080, dtype=half)
    y = run(name, x, axis=-1, dtype="float32")
    np.testing.assert_array_equal(y, run(name, x.astype(np.float32), axis=-1))
    g = drawn(1, 9, 2080)
    gx = run(f"{name}.vjp(x)", g, y, x.dtype, axis=-1)
    np.testing.assert_array_equal(gx, run(f"{name}.vjp(x)", g, y, y.dtype, axis=-1).astype(half))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_contiguous_or_not_finite_is_done_too(name: str) -> None:
    x = drawn(0, 24, 6, dtype="bfloat16").T
    x[0, 3], x[1, 3], x[2, 3] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        expected = run(name, np.ascontiguousarray(x).astype(np.float32))
    np.testing.assert_array_equal(run(name, x, dtype="float32"), expected)


@pytest.mark.parametrize(
    ("given_in", "asked"),
    [("float32", "float64"), ("float32", "float16"), ("float64", "float32"), ("float16", "bfloat16")],
)
@pytest.mark.parametrize("name", [*NAMES, "cross_entropy"])
def test_other_types_are_left_to_the_lines(name: str, given_in: str, asked: str) -> None:
    others = [np.zeros(3, int)] if name == "cross_entropy" else []
    with emulated_gpu() as gpu:
        assert kernels[name](drawn(0, 3, 4, dtype=given_in), *others, dtype=asked) is NotImplemented
    assert not gpu.launched
