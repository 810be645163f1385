"""Compiled convolutions: every geometry gives what products of windows give, with whole tiles and parts of them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.backends.numba_kernels import compiling, convolution, tiles
from pullback.backends.numpy_kernels import kernels

pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
pytestmark = pytest.mark.on_numpy

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


@st.composite
def geometries(draw: Any, channels: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Shapes and arguments of a convolution over one to three axes, some with a rest behind the last position."""
    axes = draw(st.integers(1, 3))

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(axes))

    kernel, stride, dilation, positions = each(1, 3), each(1, 3), each(1, 2), each(1, 4)
    positions = (*positions[:-1], draw(st.integers(1, 30)))
    padding = tuple((draw(st.integers(-1, 3)), draw(st.integers(-1, 3))) for _ in range(axes))
    every = zip(positions, kernel, stride, dilation, padding, strict=True)
    lengths = [(n - 1) * s + d * (k - 1) + 1 - a - b + draw(st.integers(0, s - 1)) for n, k, s, d, (a, b) in every]
    lengths = [max(n, max(-a, 0) + max(-b, 0), 1) for n, (a, b) in zip(lengths, padding, strict=True)]
    groups = draw(st.integers(1, 2))
    ins, out = groups * draw(channels), groups * draw(channels)
    x, weight = (draw(st.integers(0, 3)), *lengths, ins), (out, *kernel, ins // groups)
    return x, weight, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def all_three(x: Any, weight: Any, bias: Any, geometry: dict[str, Any]) -> list[Any]:
    """A convolution, its transpose, and the gradient of its weight."""
    kernel = weight.shape[1:-1]
    y = kernels["conv"](x, weight, bias, **geometry)
    each = zip(
        x.shape[1:-1], y.shape[1:-1], kernel, *(geometry[k] for k in ("stride", "dilation", "padding")), strict=True
    )
    exact = tuple((a, (n - 1) * s + d * (k - 1) + 1 - a - m) for m, n, k, s, d, (a, _) in each)
    cotangent = np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype)
    back = kernels["conv_transpose"](cotangent, weight, None, **{**geometry, "padding": exact})
    return [y, back, kernels["conv_weight"](x, cotangent, kernel=kernel, **geometry)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [st.integers(1, 20), st.sampled_from([16, 32, 64])], ids=["parts", "whole"])
def test_tiles_give_what_windows_give(channels: Any, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "FEWEST", 1)
    monkeypatch.setattr(compiling, "LEAST", 100)

    @settings(deadline=None, max_examples=60)
    @given(geometries(channels), st.booleans())
    def check(shapes: tuple[Any, Any, dict[str, Any]], biased: bool) -> None:
        rng = np.random.default_rng(0)
        x, weight = (rng.standard_normal(shape).astype(dtype) for shape in shapes[:2])
        weight /= np.sqrt(weight[0].size, dtype=dtype)
        bias = rng.standard_normal(len(weight)).astype(dtype) if biased else None
        found = []
        for worthwhile in (0, 10**18):
            monkeypatch.setattr(compiling, "WORTHWHILE", worthwhile)
            found.append(all_three(x, weight, bias, shapes[2]))
        for got, expected in zip(*found, strict=True):
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
            scale = max(1.0, float(np.abs(expected).max(initial=0)))
            np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE[dtype] * scale)

    check()


@pytest.mark.parametrize("wide", [1, 3])
def test_sums_run_over_chunks_of_an_image(wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "WORTHWHILE", 1)
    geometry = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, wide), "groups": 1}
    rng = np.random.default_rng(0)
    x, cotangent = rng.standard_normal((2, 9, 20, 5)), rng.standard_normal((2, 9, 22 - 2 * wide, 7))
    found = []
    for size in (1, 10**6):
        convolution._gradient.cache_clear()
        monkeypatch.setattr(convolution, "CHUNK", size)
        found.append(kernels["conv_weight"](x, cotangent, kernel=(3, 3), **geometry))
    convolution._gradient.cache_clear()
    np.testing.assert_allclose(*found, atol=1e-12)


@pytest.mark.parametrize("order", ["F", "reversed", "read-only"])
def test_memory_need_not_be_in_order(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal((2, 6, 9, 5)), rng.standard_normal((7, 3, 3, 5)), rng.standard_normal(7)
    geometry = {"stride": (1, 2), "padding": ((1, 1), (0, 1)), "dilation": (1, 1), "groups": 1}
    monkeypatch.setattr(compiling, "WORTHWHILE", 10**18)
    expected = all_three(x, weight, bias, geometry)
    if order == "F":
        x, weight = np.asfortranarray(x), np.asfortranarray(weight)
    elif order == "reversed":
        x, weight, bias = (np.ascontiguousarray(a[..., ::-1])[..., ::-1] for a in (x, weight, bias))
    else:
        x.flags.writeable = weight.flags.writeable = bias.flags.writeable = False
    monkeypatch.setattr(compiling, "WORTHWHILE", 1)
    for got, wanted in zip(all_three(x, weight, bias, geometry), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-12)


@pytest.mark.parametrize(("columns", "vectors"), [(32, tiles.vectors_of_tile(32, 4)), (16, 1), (5, 0)])
def test_a_tile_is_what_its_definition_says(columns: int, vectors: int) -> None:
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(n).astype("float32") for n in (500, 2000, 100))
    a_blocks, b_blocks = np.asarray([3, 120]), np.asarray([0, 600])
    operands = (c, 4, 1, a, 7, 11, 2, a_blocks, b, 9, columns + 3, b_blocks, 6)
    wide = min(columns, max(vectors, 1) * tiles.VECTOR // 4)

    def run(rows: int, y: Any, c: Any, a: Any, a_blocks: Any, b: Any, b_blocks: Any) -> None:
        tiles.add_products(
            rows, wide, vectors, y, 5, 40, c, 4, 1, a, 7, 11, 2, a_blocks, b, 9, columns + 3, b_blocks, 6
        )

    compiled = compiling.compiled(run)
    for rows in range(1, tiles.rows_of_tile() + 1):
        got, expected = np.full(600, np.nan, "float32"), np.full(600, np.nan, "float32")
        compiled(rows, got, c, a, a_blocks, b, b_blocks)
        tiles.add_products(rows, wide, vectors, expected, 5, 40, *operands)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
