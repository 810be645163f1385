"""CUDA convolutions on the processor: every geometry gives what products of windows give, in whole tiles and parts."""

from typing import Any

import numpy as np
import pytest
from emulated_gpu import COMPILER, emulated_gpu
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.backends.cupy_kernels import convolution, kernels
from pullback.backends.numpy_kernels import kernels as reference

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]

TOLERANCE = {"bfloat16": 1e-2, "float16": 1.5e-3, "float32": 1e-5, "float64": 1e-12}
DTYPES = ["float32", "float64", "float16", "bfloat16"]

Geometry = dict[str, Any]


def number_type(name: str) -> Any:
    """A data type by name; bfloat16 is one that NumPy is taught."""
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16) if name == "bfloat16" else np.dtype(name)


@st.composite
def geometries(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...], Geometry]:
    """Shapes and arguments of a convolution over one to three axes, some with a rest behind the last position."""
    axes = draw(st.integers(1, 3))

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(axes))

    kernel, stride, dilation, positions = each(1, 3), each(1, 3), each(1, 3), each(1, 4)
    padding = tuple((draw(st.integers(-1, 3)), draw(st.integers(-1, 3))) for _ in range(axes))
    every = zip(positions, kernel, stride, dilation, padding, strict=True)
    lengths = [(n - 1) * s + d * (k - 1) + 1 - a - b + draw(st.integers(0, s - 1)) for n, k, s, d, (a, b) in every]
    lengths = [max(n, max(-a, 0) + max(-b, 0), 1) for n, (a, b) in zip(lengths, padding, strict=True)]
    groups = draw(st.integers(1, 3))
    channels = st.one_of(st.integers(1, 6), st.just(8))
    ins, out = groups * draw(channels), groups * draw(channels)
    x, weight = (draw(st.integers(0, 3)), *lengths, ins), (out, *kernel, ins // groups)
    return x, weight, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def padding_of_the_transpose(
    x: tuple[int, ...],
    y: tuple[int, ...],
    kernel: tuple[int, ...],
    *,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Any:
    """The padding behind which the last position ends."""
    each = zip(x[1:-1], y[1:-1], kernel, stride, dilation, padding, strict=True)
    return tuple((a, (n - 1) * s + d * (k - 1) + 1 - a - m) for m, n, k, s, d, (a, _) in each)


def check(x_shape: tuple[int, ...], weight_shape: tuple[int, ...], geometry: Geometry, dtype: str) -> list[str]:
    """All three kernels, with a bias, against products of windows in float64; returns what was launched."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> Any:
        return (rng.standard_normal(shape) / 2).astype(number_type(dtype))

    x, weight, kernel = drawn(*x_shape), drawn(*weight_shape), weight_shape[1:-1]
    bias, bias_of_x = drawn(weight_shape[0]), drawn(x_shape[-1])
    wide = [a.astype(np.float64) for a in (x, weight, bias, bias_of_x)]
    y = reference["conv"](*wide[:3], **geometry)
    exact = {**geometry, "padding": padding_of_the_transpose(x_shape, y.shape, kernel, **geometry)}
    g = drawn(*y.shape)
    of_weight = reference["conv_weight"](wide[0], g.astype(np.float64), kernel=kernel, **geometry)
    expected = [
        (y, weight[0].size),
        (reference["conv_transpose"](g.astype(np.float64), wide[1], wide[3], **exact), weight.size // weight_shape[-1]),
        (of_weight, max(1, y.size // y.shape[-1])),
    ]
    with emulated_gpu() as gpu:
        found = [
            kernels["conv"](x, weight, bias, **geometry),
            kernels["conv_transpose"](g, weight, bias_of_x, **exact),
            kernels["conv_weight"](x, g, kernel=kernel, **geometry),
        ]
    for got, (wanted, terms) in zip(found, expected, strict=True):
        assert (got.shape, got.dtype) == (wanted.shape, x.dtype)
        scale = max(1.0, float(np.abs(wanted).max(initial=0)), terms**0.5 / 4)
        np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=0, atol=TOLERANCE[dtype] * scale)
    return gpu.launched


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_geometry_gives_what_windows_give(dtype: str) -> None:
    @settings(deadline=None, max_examples=8 if number_type(dtype).itemsize == 2 else 25)
    @given(geometries())
    def run(shapes: tuple[Any, Any, Geometry]) -> None:
        check(*shapes, dtype)

    run()


PLAIN: Geometry = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
STRIDED: Geometry = {"stride": (2, 3), "padding": ((1, 0), (2, 1)), "dilation": (1, 2), "groups": 1}
IN_TWO: Geometry = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 2}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("x", "weight", "geometry"),
    [
        pytest.param((2, 9, 8, 8), (72, 3, 3, 8), PLAIN, id="wide tiles"),
        pytest.param((1, 13, 14, 5), (67, 2, 2, 5), PLAIN, id="one channel at a time"),
        pytest.param((3, 18, 29, 16), (8, 3, 2, 16), STRIDED, id="strides"),
        pytest.param((2, 70, 144), (16, 1, 72), IN_TWO, id="groups of many channels"),
        pytest.param((1, 66, 8), (136, 1, 8), {**IN_TWO, "groups": 1, "padding": ((1, 0),)}, id="several tiles wide"),
    ],
)
def test_tiles_that_are_not_alone(x: tuple[int, ...], weight: tuple[int, ...], geometry: Geometry, dtype: str) -> None:
    launched = check(x, weight, geometry, dtype)
    assert not any("grouped" in name for name in launched)
    if weight[-1] % 8 == 0 and dtype != "float64":
        assert any(f", {16 // number_type(dtype).itemsize}, 2>" in name for name in launched)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("channels", "kernel", "stride"), [(7, 3, 2), (24, 3, 1), (8, 4, 3), (264, 1, 2)], ids=lambda n: str(n)
)
def test_depthwise_convolutions_go_by_the_window(channels: int, kernel: int, stride: int, dtype: str) -> None:
    geometry = {"stride": (1, stride), "padding": ((1, 1), (2, 0)), "dilation": (2, 1), "groups": channels}
    launched = check((2, 5, 9, channels), (channels, kernel, kernel, 1), geometry, dtype)
    names = [name.split("<")[0] for name in launched[:3]]
    assert names == ["conv_grouped", "conv_transpose_grouped", "conv_weight_grouped"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_groups_of_few_channels_go_by_the_window(dtype: str) -> None:
    launched = check((2, 6, 7, 6), (12, 3, 2, 2), {**STRIDED, "groups": 3}, dtype)
    names = [name.split("<")[0] for name in launched[:3]]
    assert names == ["conv_grouped", "transpose_weight", "conv_transpose_grouped"]


def test_where_no_windows_overlap_it_is_a_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "product", lambda a, b, bias=None: a @ b if bias is None else a @ b + bias)
    points = {**PLAIN, "padding": ((0, 0), (0, 0))}
    assert check((2, 4, 3, 5), (7, 1, 1, 5), points, "float32") == []


def test_memory_need_not_be_in_order() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 6, 9, 5)), rng.standard_normal((7, 3, 3, 5))
    odd = np.asfortranarray(x), weight.copy()[:, ::-1], np.broadcast_to(np.float64(2), 7)
    with emulated_gpu():
        got = kernels["conv"](*odd, **PLAIN)
    np.testing.assert_allclose(got, reference["conv"](x, weight[:, ::-1], np.full(7, 2.0), **PLAIN), atol=1e-12)


def test_infinity_and_nan_stay_where_they_are() -> None:
    x = np.zeros((1, 4, 5, 3), np.float32)
    x[0, 0, 0, 0], x[0, 3, 4, 2] = np.inf, np.nan
    weight = np.ones((2, 2, 2, 3), np.float32)
    geometry = {**PLAIN, "padding": ((0, 1), (0, 0))}
    with emulated_gpu():
        got = kernels["conv"](x, weight, **geometry)
    np.testing.assert_array_equal(got, reference["conv"](x, weight, **geometry))


def test_a_gradient_of_a_weight_is_the_same_to_the_bit_every_time() -> None:
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((4, 12, 12, 4), np.float32), rng.standard_normal((4, 12, 12, 8), np.float32)
    found = []
    for backwards in (False, True):
        with emulated_gpu(backwards) as gpu:
            found.append(kernels["conv_weight"](x, g, kernel=(3, 3), **PLAIN))
        assert any("sum_of_parts" in name for name in gpu.launched)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (np.zeros((1, 4, 2), np.complex64), np.zeros((3, 2, 2), np.complex64)),
        (np.zeros((1, 4, 2), np.float64), np.zeros((3, 2, 2), np.float32)),
    ],
    ids=["complex", "two types"],
)
def test_other_numbers_are_left_to_the_lines(x: Any, weight: Any) -> None:
    with emulated_gpu():
        assert kernels["conv"](x, weight, **{**IN_TWO, "groups": 1}) is NotImplemented
