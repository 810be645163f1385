"""CuPy's kernels of attention, on the processor, against the op's own lines: all that a tile can meet."""

from typing import Any

import numpy as np
import pytest
from against_lines import check_gradients, check_values
from emulated_gpu import COMPILER, emulated_gpu, numpy_with_cupys_kernels
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.autodiff.op import registry
from pullback.backends import open_backend
from pullback.backends.cupy_kernels import kernels
from pullback.ops.heads import split_heads

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]
TOLERANCE = {"bfloat16": 4e-2, "float16": 5e-3, "float32": 2e-5, "float64": 1e-12}
NAME = "scaled_dot_product_attention"
OPTIONS = {"is_causal": False, "query_start": 0, "dropout_p": 0.0, "seed": 3, "offset": 5}


def drawn(shape: tuple[int, ...], dtype: str, seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype_of(dtype))


def dtype_of(dtype: str) -> Any:
    if dtype == "bfloat16":
        return pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed").bfloat16
    return np.dtype(dtype)


def laid_out(x: Any, layout: str) -> Any:
    """The same numbers, elsewhere in memory: heads behind rows, as part of something larger, or at an odd address."""
    if layout == "rows first":
        return np.swapaxes(np.swapaxes(x, -3, -2).copy(), -3, -2)
    if layout == "part":
        return np.concatenate([x] * 3, axis=-1)[..., : x.shape[-1]]
    if layout == "odd":
        return np.concatenate([x[..., :1], x], axis=-1)[..., 1:]
    return x


def check(query: Any, key: Any, value: Any, mask: Any, **options: Any) -> list[str]:
    """Compare forward and vjp with the lines, which see float32 in place of halves. Returns what was launched."""
    op = registry[NAME]
    rule = next(rule for rule in op.rules if "query" in rule.arguments)
    xp = open_backend("numpy").namespace
    options = {"scale": query.shape[-1] ** -0.5, **OPTIONS, **options}
    tolerance = TOLERANCE[query.dtype.name]
    with emulated_gpu(backwards=query.shape[-2] % 2 == 0) as gpu:
        y = kernels[NAME](query, key, value, mask, **options)
        given = tuple(drawn(x.shape, x.dtype.name, seed) for seed, x in enumerate(y))
        gradients = kernels[rule.name](given, query, key, value, mask, y, **options)
    expected = op.function(xp, query, key, value, mask, **options)
    wanted = rule.function(xp, given, query, key, value, mask, y, **options)
    check_values(y, expected, tolerance)
    check_gradients(gradients, wanted, (query, key, value), tolerance)
    return gpu.launched


MASKS = {
    "none": lambda rng, shape, dtype: None,
    "booleans": lambda rng, shape, dtype: rng.random(shape) < 0.6,
    "nothing": lambda rng, shape, dtype: rng.random((*shape[:-1], 1)) < 0.5,
    "numbers": lambda rng, shape, dtype: rng.standard_normal(shape).astype(dtype),
    "wide": lambda rng, shape, dtype: rng.standard_normal(shape).astype(np.float32 if dtype.itemsize == 2 else dtype),
    "least": lambda rng, shape, dtype: np.where(rng.random((*shape[:-1], 1)) < 0.5, -1e38, 0).astype(np.float32),
    "of keys": lambda rng, shape, dtype: rng.random((*shape[:-2], 1, shape[-1])) < 0.7,
    "shared": lambda rng, shape, dtype: rng.standard_normal(shape[-2:]).astype(dtype),
}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    dtype=st.sampled_from(["float32", "float64", "float16", "bfloat16"]),
    heads=st.sampled_from([(1, 1), (2, 1), (1, 3)]),
    rows=st.integers(1, 90),
    keys=st.integers(1, 90),
    width=st.sampled_from([1, 8, 20, 64]),
    value_width=st.sampled_from([None, None, 3, 40]),
    mask=st.sampled_from(["none", "none", "none", *MASKS]),
    layout=st.sampled_from(["", "rows first", "part", "odd"]),
    is_causal=st.booleans(),
    query_start=st.sampled_from([0, 0, 1, 30, -4]),
    dropout_p=st.sampled_from([0.0, 0.0, 0.0, 0.3]),
    shared=st.booleans(),
)
def test_attention_is_that_of_the_lines(
    dtype: str,
    heads: tuple[int, int],
    rows: int,
    keys: int,
    width: int,
    value_width: int | None,
    mask: str,
    layout: str,
    is_causal: bool,
    query_start: int,
    dropout_p: float,
    shared: bool,
) -> None:
    of_keys = (heads[0], 1) if shared else heads
    query, key = drawn((*heads, rows, width), dtype, 1), drawn((*of_keys, keys, width), dtype, 2)
    value = drawn((*of_keys, keys, value_width or width), dtype, 3)
    masked = MASKS[mask](np.random.default_rng(4), (*heads, rows, keys), np.dtype(dtype_of(dtype)))
    if mask == "least" and dtype == "float64":
        masked = masked.astype(dtype)
    query, key, value = (laid_out(x, layout) for x in (query, key, value))
    launched = check(query, key, value, masked, is_causal=is_causal, query_start=query_start, dropout_p=dropout_p)
    assert len(launched) == 3


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("width", "length", "options"), [
    (64, 150, {"is_causal": True}),
    (96, 140, {}),
    (128, 70, {"dropout_p": 0.2}),
    (136, 70, {"is_causal": True}),
    (256, 70, {}),
    (256, 50, {"dropout_p": 0.5}),
    (300, 70, {"is_causal": True}),
])  # fmt: skip
def test_heads_of_every_size_take_several_tiles(dtype: str, width: int, length: int, options: dict[str, Any]) -> None:
    query, key, value = (drawn((1, length + 10 * i, width), dtype, i) for i in (0, 1, 1))
    launched = check(query, key, value, None, **options)
    on_tensor_cores = any("true" in name or "false" in name for name in launched)
    assert on_tensor_cores == (dtype != "float32" and width <= 256)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_grouped_queries_share_keys_and_sum_their_gradients(dtype: str) -> None:
    for outer, rows, keys in ((2, 18, 21), (1, 70, 75)):
        query = laid_out(drawn((outer, 4, rows, 16), dtype, 0), "rows first").reshape(outer, 2, 2, rows, 16)
        key, value = (laid_out(drawn((outer, 2, keys, 16), dtype, i), "rows first")[:, :, None] for i in (1, 2))
        check(query, key, value, None, is_causal=True)
    check(query[0], key[0], value[0], drawn((2, 1, 70, 75), dtype, 3), dropout_p=0.3)


def test_gradients_of_heads_are_written_where_they_come_together() -> None:
    x = np.random.default_rng(0).standard_normal((2, 9, 4 * 8)).astype(np.float32)
    for batch_first in (True, False):
        gradients = []
        for emulated in (False, True):
            tensor = pb.tensor(x, requires_grad=True)

            def run(tensor: Any = tensor, batch_first: bool = batch_first) -> Any:
                parts = split_heads(tensor, heads=(2, 1, 1), batch_first=batch_first)
                (pb.scaled_dot_product_attention(*parts, is_causal=True, enable_gqa=True) ** 2).sum().backward()
                return tensor.grad.numpy()

            if emulated:
                with numpy_with_cupys_kernels():
                    gradients.append(run())
            else:
                gradients.append(run())
        np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_gradient_of_parted_features_is_not_copied(batch_first: bool) -> None:
    with emulated_gpu() as gpu:
        x = gpu.xp.empty((3, 7, 3 * 2 * 4), np.float32)
        x[...] = np.random.default_rng(0).standard_normal(x.shape)
        parts = registry["split_heads"].function(np, x, heads=(2, 2, 2), batch_first=batch_first)
        y = kernels[NAME](*parts, scale=0.5)
        gradients = kernels[f"{NAME}.vjp(query,key,value)"](y, *parts, None, y, **{**OPTIONS, "scale": 0.5})
        whole = kernels["split_heads.vjp(x)"](gradients, x.shape, batch_first=batch_first)
        rebuilt = kernels["split_heads.vjp(x)"](tuple(g.copy() for g in gradients), x.shape, batch_first=batch_first)
    assert np.shares_memory(whole, gradients[1])
    again = registry["split_heads"].function(np, whole, heads=(2, 2, 2), batch_first=batch_first)
    for part, gradient in zip(again, gradients, strict=True):
        np.testing.assert_array_equal(part, gradient)
    np.testing.assert_array_equal(rebuilt, whole)


def test_a_row_that_attends_to_nothing_is_zero_and_infinite() -> None:
    for dtype in ("float32", "float16"):
        x = drawn((1, 3, 8), dtype, 0)
        with emulated_gpu():
            y, logarithms = kernels[NAME](x, x, x, None, scale=1.0, is_causal=True, query_start=-2)
        assert (y[0, :2] == 0).all()
        assert (logarithms[0, :2] == np.inf).all()
        np.testing.assert_array_equal(y[0, 2], x[0, 0])


def test_numbers_that_are_not_finite_stay_in_their_rows() -> None:
    x = drawn((1, 70, 16), "float16", 0)
    query = x.copy()
    query[0, 5, 3] = np.nan
    with emulated_gpu():
        y, logarithms = kernels[NAME](query, x, x, None, scale=0.25)
    assert np.isnan(y[0, 5]).all()
    assert np.isnan(logarithms[0, 5]).all()
    others = np.arange(70) != 5
    assert np.isfinite(y[0, others]).all()
