"""CuPy's kernels of normalization, on the processor: sizes that reach every path, numbers that are hard to average."""

from math import prod
from typing import Any

import numpy as np
import pytest
from against_lines import against_lines, run
from emulated_gpu import COMPILER
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kernel_cases import TOLERANCE

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]

dtypes = st.sampled_from(["float32", "float64", "float16"])


def drawn(seed: int, *shape: int, dtype: str = "float32", mean: float = 0.0) -> Any:
    return (np.random.default_rng(seed).standard_normal(shape) + mean).astype(dtype)


# Rows for a warp and for a block, in packs and one by one, kept in registers and too long for them.
@settings(deadline=None, max_examples=25)
@given(
    rows=st.integers(1, 70),
    columns=st.sampled_from([1, 3, 8, 33, 130, 264, 520]),
    dtype=dtypes,
    has_weight=st.booleans(),
    has_bias=st.booleans(),
)
@example(rows=2, columns=4099, dtype="float32", has_weight=True, has_bias=True)
@example(rows=5, columns=2051, dtype="float64", has_weight=True, has_bias=False)
@example(rows=6, columns=1032, dtype="float16", has_weight=True, has_bias=True)
@example(rows=5, columns=8200, dtype="float32", has_weight=False, has_bias=True)
@example(rows=1, columns=16392, dtype="float32", has_weight=True, has_bias=True)
def test_rows_of_any_length_are_normalized(
    rows: int, columns: int, dtype: str, has_weight: bool, has_bias: bool
) -> None:
    x, g = drawn(0, rows, columns, dtype=dtype, mean=2.0), drawn(1, rows, columns, dtype=dtype)
    weight = drawn(2, columns, dtype=dtype) if has_weight else None
    bias = drawn(3, columns, dtype=dtype) if has_bias else None
    facts: dict[str, Any] = {"normalized_shape": (columns,), "eps": 1e-3, "tolerance": TOLERANCE[dtype]}
    against_lines("layer_norm", x, weight, bias, **facts)
    against_lines("layer_norm.vjp(x,weight,bias)", g, x, weight, **facts)
    against_lines("rms_norm", x, weight, **facts)
    against_lines("rms_norm.vjp(x,weight)", g, x, weight, **facts)


# Few channels and many, in packs and one by one; positions of one block and of several.
@settings(deadline=None, max_examples=25)
@given(
    samples=st.integers(1, 3),
    positions=st.sampled_from([1, 2, 7, 40, 150]),
    shape=st.sampled_from([(1, 1), (3, 1), (1, 3), (2, 4), (4, 8), (5, 7), (1, 40), (36, 1), (1, 280)]),
    dtype=dtypes,
    has_weight=st.booleans(),
)
@example(samples=2, positions=2100, shape=(3, 1), dtype="float32", has_weight=True)
@example(samples=1, positions=700, shape=(2, 8), dtype="float16", has_weight=True)
@example(samples=2, positions=90, shape=(1, 264), dtype="float64", has_weight=False)
def test_channels_are_normalized_over_any_number_of_positions(
    samples: int, positions: int, shape: tuple[int, int], dtype: str, has_weight: bool
) -> None:
    channels, groups, tolerance = prod(shape), shape[0], TOLERANCE[dtype]
    x, g = (drawn(i, samples, positions, channels, dtype=dtype, mean=2.0) for i in range(2))
    weight = drawn(2, channels, dtype=dtype, mean=1.0) if has_weight else None
    bias = drawn(3, channels, dtype=dtype) if has_weight else None
    facts: dict[str, Any] = {"eps": 0.1, "tolerance": tolerance}
    against_lines("group_norm", x, weight, bias, num_groups=groups, **facts)
    against_lines("group_norm.vjp(x,weight,bias)", g, x, weight, num_groups=groups, **facts)
    _, mean, var = against_lines("batch_norm", x, weight, bias, **facts)
    of_statistics = (drawn(i, channels, dtype=mean.dtype.name) for i in (4, 5))
    against_lines("batch_norm.vjp(x,weight,bias)", (g, *of_statistics), x, weight, **facts)
    against_lines("standardize", x, mean, var, weight, bias, **facts)
    against_lines("standardize.vjp(x)", g, var, weight, **facts)


def test_a_large_mean_costs_no_digits() -> None:
    x = drawn(0, 4, 300, 8, mean=3000.0)
    x[0, 0] = 0  # which a sum of squares about the first value would suffer from
    g = drawn(1, 4, 300, 8)
    exact = x.astype(np.float64)
    _, mean, var = run("batch_norm", x)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var(axis=(0, 1)), rtol=1e-5)
    x[0, 0] = 3000
    zeros = np.zeros(8, np.float32)
    against_lines("batch_norm.vjp(x,weight,bias)", (g, zeros, zeros), x, None, eps=1e-5, tolerance=1e-3)
    against_lines("layer_norm", x, normalized_shape=8, tolerance=1e-3)
    against_lines("group_norm", x, num_groups=2, tolerance=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_takes_weights_in_float32(dtype: str) -> None:
    pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")
    narrow = np.dtype(dtype)
    x, g = (drawn(i, 6, 5, 16).astype(narrow) for i in range(2))
    weight, bias, zeros = drawn(2, 16), drawn(3, 16), np.zeros(16, np.float32)
    facts: dict[str, Any] = {"eps": 0.1, "tolerance": TOLERANCE[dtype]}
    y = against_lines("layer_norm", x, weight, bias, normalized_shape=16, **facts)
    gx, *of_factors = against_lines("layer_norm.vjp(x,weight,bias)", g, x, weight, normalized_shape=16, **facts)
    assert y.dtype == gx.dtype == narrow
    assert [a.dtype.name for a in of_factors] == ["float32", "float32"]
    y, mean, var = against_lines("batch_norm", x, weight, bias, **facts)
    gx, *of_factors = against_lines("batch_norm.vjp(x,weight,bias)", (g, zeros, zeros), x, weight, **facts)
    assert y.dtype == gx.dtype == narrow
    assert [a.dtype.name for a in (mean, var, *of_factors)] == ["float32"] * 4
    against_lines("standardize", x, mean, var, weight, bias, **facts)


def test_arrays_may_lie_in_memory_in_any_way() -> None:
    x = drawn(0, 16, 9, 4).transpose(2, 1, 0)
    g = np.broadcast_to(drawn(1, 9, 1), (4, 9, 16))
    weight = drawn(2, 17)[1:]  # as in a flat buffer: not at a multiple of 16 bytes
    facts: dict[str, Any] = {"eps": 0.1, "tolerance": 1e-5}
    for name, more in (("layer_norm", {"normalized_shape": 16}), ("group_norm", {"num_groups": 4})):
        against_lines(name, x, weight, weight, **more, **facts)
        against_lines(f"{name}.vjp(x,weight,bias)", g, x, weight, **more, **facts)
    against_lines("layer_norm", drawn(3, 65)[1:].reshape(4, 16), weight, normalized_shape=16, **facts)


def test_gradients_of_weights_do_not_depend_on_the_order_of_threads() -> None:
    g, x, weight = drawn(0, 300, 24), drawn(1, 300, 24), drawn(2, 24)
    zeros = np.zeros(24, np.float32)
    for name, of_y, more in (
        ("layer_norm", g, {"normalized_shape": (24,)}),
        ("batch_norm", (g, zeros, zeros), {}),
    ):
        rule = f"{name}.vjp(x,weight,bias)"
        once, again = (run(rule, of_y, x, weight, eps=1e-5, backwards=way, **more) for way in (False, True))
        for a, b in zip(once, again, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_running_statistics_count_batches_in_integers(dtype: str, momentum: float | None) -> None:
    mean, var = drawn(0, 300, dtype=dtype), drawn(1, 300, dtype=dtype, mean=4.0)
    batch = drawn(2, 300), drawn(3, 300, mean=4.0)
    facts: dict[str, Any] = {"size": 7, "momentum": momentum, "tolerance": TOLERANCE[dtype]}
    renewed = against_lines("running_statistics", mean, var, np.asarray(6), *batch, **facts)
    assert [a.dtype.name for a in renewed] == [dtype, dtype, "int64"]
