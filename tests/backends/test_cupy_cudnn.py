"""Convolutions on cuDNN, without cuDNN: a stand-in for its frontend runs what it is told on the processor."""

import logging
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from emulated_gpu import COMPILER, emulated_gpu
from stand_in_cudnn import StandInCudnn, aligned

from pullback.backends.cupy_kernels import cudnn_convolution, cudnn_graphs, kernels
from pullback.backends.numpy_kernels import kernels as reference
from pullback.backends.precision import in_tf32

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]

CASES: dict[str, Any] = {
    "one axis": ((2, 9, 5), (6, 3, 5), ((2,), ((1, 0),), (1,), 1)),
    "two axes": ((2, 6, 7, 4), (8, 3, 2, 4), ((1, 2), ((1, 1), (0, 1)), (2, 1), 1)),
    "three axes": ((1, 4, 5, 4, 3), (4, 2, 3, 1, 3), ((2, 1, 2), ((0, 0), (1, 1), (0, 0)), (1, 1, 1), 1)),
    "groups": ((2, 6, 7, 16), (12, 3, 3, 8), ((2, 3), ((1, 1), (1, 1)), (1, 1), 2)),
}
"""Shapes of an image and a weight, and the stride, padding, dilation and groups."""


def given(case: str, dtype: Any) -> tuple[list[Any], dict[str, Any], list[Any]]:
    """Arrays, the geometry, and what all three kernels give for them in float64."""
    x_shape, weight_shape, (stride, padding, dilation, groups) = CASES[case]
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    rng, kernel = np.random.default_rng(0), weight_shape[1:-1]

    def drawn(*shape: int) -> Any:
        return aligned((rng.standard_normal(shape) / 2).astype(dtype))

    x, weight, bias = drawn(*x_shape), drawn(*weight_shape), drawn(weight_shape[0])
    y = reference["conv"](*(a.astype(np.float64) for a in (x, weight, bias)), **geometry)
    g = drawn(*y.shape)
    each = zip(x_shape[1:-1], y.shape[1:-1], kernel, stride, dilation, padding, strict=True)
    exact = tuple((a, (n - 1) * s + d * (k - 1) + 1 - a - m) for m, n, k, s, d, (a, _) in each)
    back, wide = {**geometry, "padding": exact}, g.astype(np.float64)
    of_x = reference["conv_transpose"](wide, weight.astype(np.float64), **back)
    of_weight = reference["conv_weight"](x.astype(np.float64), wide, kernel=kernel, **geometry)
    return [x, weight, bias, g], {"there": geometry, "back": back}, [y, of_x, of_weight]


def all_three(arrays: list[Any], geometry: dict[str, Any]) -> list[Any]:
    x, weight, bias, g = arrays
    return [
        kernels["conv"](x, weight, bias, **geometry["there"]),
        kernels["conv_transpose"](g, weight, **geometry["back"]),
        kernels["conv_weight"](x, g, kernel=weight.shape[1:-1], **geometry["there"]),
    ]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("case", CASES)
def test_graphs_say_what_the_convolution_is(case: str, dtype: str) -> None:
    frontend = StandInCudnn()
    arrays, geometry, expected = given(case, np.dtype(dtype))
    with emulated_gpu() as gpu:
        gpu.cudnn = frontend
        found = [all_three(arrays, geometry) for _ in range(2)]
    assert gpu.launched == []
    assert len(frontend.made) == 3, "a plan is made once"
    for got in found:
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a.astype(np.float64), b, atol=0.1 if dtype == "bfloat16" else 1e-2)


@pytest.mark.parametrize("when", ["planned", "run"])
def test_what_has_no_engine_runs_on_our_own_kernels(when: str, caplog: pytest.LogCaptureFixture) -> None:
    frontend = StandInCudnn()
    frontend.refuses, frontend.fails = lambda graph: when == "planned", when == "run"
    arrays, geometry, expected = given("two axes", np.float32)
    with emulated_gpu() as gpu, caplog.at_level(logging.INFO, "pullback"):
        gpu.cudnn = frontend
        for _ in range(2):
            for a, b in zip(all_three(arrays, geometry), expected, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-5)
    launched = [name.split("<")[0] for name in gpu.launched]
    assert [name for name in launched if name != "transpose_weight"] == ["conv", "conv_transpose", "conv_weight"] * 2
    asked = len(caplog.records)
    assert asked == len(frontend.made) == 4, "with and without the bias, and both gradients, once each"
    assert ("no engine takes this" if when == "planned" else "an engine failed") in caplog.text


def test_a_bias_that_no_engine_adds_is_added_after() -> None:
    frontend = StandInCudnn()
    frontend.refuses = lambda graph: graph.biased
    arrays, geometry, expected = given("two axes", np.float32)
    with emulated_gpu() as gpu:
        gpu.cudnn = frontend
        np.testing.assert_allclose(all_three(arrays, geometry)[0], expected[0], atol=1e-5)
    assert [name.split("<")[0] for name in gpu.launched] == ["add_bias"]


def test_float32_is_rounded_only_where_that_is_asked_for() -> None:
    frontend = StandInCudnn()
    arrays, geometry, _ = given("two axes", np.float32)
    with emulated_gpu() as gpu:
        gpu.cudnn = frontend
        kernels["conv"](*arrays[:2], **geometry["there"])
        token = in_tf32.set(True)
        try:
            kernels["conv"](*arrays[:2], **geometry["there"])
        finally:
            in_tf32.reset(token)
    exact, rounded = (set(graph.barred) for graph in frontend.made)
    notes = frontend.numerical_note
    assert exact - rounded == {notes.TENSOR_CORE, notes.DOWN_CONVERT_INPUTS}
    assert notes.NONDETERMINISTIC in rounded


@pytest.mark.parametrize("padding", [((1, -1), (0, 0)), ((-1, 1), (0, 0))])
def test_what_cuts_off_is_not_for_cudnn(padding: Any) -> None:
    frontend = StandInCudnn()
    x, weight = np.ones((1, 6, 6, 8), np.float32), np.ones((8, 2, 2, 8), np.float32)
    geometry = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}
    with emulated_gpu() as gpu:
        gpu.cudnn = frontend
        kernels["conv"](x, weight, **geometry)
    assert frontend.made == []
    assert len(gpu.launched) == 1


def test_it_says_what_convolutions_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudnn_graphs, "version", lambda name: "1.2.3")
    with emulated_gpu() as gpu:
        assert cudnn_graphs.status() == "pullback's own kernels"
        gpu.cudnn = StandInCudnn()
        assert cudnn_graphs.status() == "cuDNN 9.99.0 through nvidia-cudnn-frontend 1.2.3"


@pytest.mark.skipif(find_spec("cudnn") is None, reason="nvidia-cudnn-frontend is not installed")
@pytest.mark.parametrize("function", ["conv_fprop", "conv_dgrad", "conv_wgrad"])
def test_the_frontend_itself_takes_these_arguments(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import cudnn as library

    steps: list[Any] = []
    for name in ("validate", "build_operation_graph", "create_execution_plans", "check_support", "build_plans"):
        assert hasattr(library.pygraph, name)
        monkeypatch.setattr(library.pygraph, name, lambda graph, *arguments: steps.append(arguments))
    monkeypatch.setattr(library.pygraph, "get_workspace_size", lambda graph: 0)
    x, weight, y = (2, 6, 6, 8), (16, 3, 3, 8), (2, 6, 6, 16)
    ports, shapes = {
        "conv_fprop": (("image", "weight"), (x, weight, y)),
        "conv_dgrad": (("loss", "filter"), (y, weight, x)),
        "conv_wgrad": (("image", "loss"), (x, y, weight)),
    }[function]
    lengths, ones, pairs = ((6, 6), (6, 6), (3, 3)), (1, 1), ((1, 1), (1, 1))
    biased = function == "conv_fprop"
    call = cudnn_convolution._Call(function, ports, shapes, *lengths, ones, pairs, ones, "float16", False, biased)
    plan = call.plan(library, None)
    assert plan is not None
    assert len(steps) == 5
    assert len(set(plan._numbers)) == 3 + biased
