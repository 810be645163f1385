"""Attention on cuDNN, without cuDNN: a stand-in for its frontend runs what it is told on the processor."""

import inspect
import logging
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from against_lines import check_gradients, check_values
from emulated_gpu import COMPILER, emulated_gpu, numpy_with_cupys_kernels
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in_cudnn import StandInCudnn, StandInGraph, aligned

import pullback as pb
from pullback.autodiff.op import registry
from pullback.backends import open_backend
from pullback.backends.cupy_kernels import cudnn_attention, kernels
from pullback.ops.heads import split_heads

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]

TOLERANCE = {"bfloat16": 2e-2, "float16": 2e-3, "float32": 1e-5}
NAME = "scaled_dot_product_attention"
RULE = next(rule for rule in registry[NAME].rules if "query" in rule.arguments)
OPTIONS = {"is_causal": False, "query_start": 0, "dropout_p": 0.0, "seed": 3, "offset": 5}
OURS = ["attention", "attention_queries_vjp", "attention_keys_vjp"]


def drawn(shape: tuple[int, ...], dtype: str, seed: int) -> Any:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")
    return aligned(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def laid_out(x: Any, layout: str) -> Any:
    """The same numbers, elsewhere in memory."""
    if layout == "rows first":
        return np.swapaxes(aligned(np.swapaxes(x, -3, -2)), -3, -2)
    if layout == "part":
        return aligned(np.concatenate([x, x], axis=-1))[..., : x.shape[-1]]
    if layout == "odd":
        return aligned(np.concatenate([x[..., :1], x, x[..., :7]], axis=-1))[..., 1:-7]
    if layout == "repeated":
        return np.broadcast_to(x[:1], x.shape)
    return x


def check(
    frontend: StandInCudnn, query: Any, key: Any, value: Any, mask: Any = None, *, of_logarithms: bool = False,
    layout: str = "", **options: Any,
) -> list[str]:  # fmt: skip
    """Compare forward and vjp with the lines. Returns which of our own functions were launched."""
    options = {"scale": query.shape[-1] ** -0.5, **OPTIONS, **options}
    op, xp, tolerance = registry[NAME], open_backend("numpy").namespace, TOLERANCE[query.dtype.name]
    with emulated_gpu() as gpu:
        gpu.cudnn = frontend
        y = kernels[NAME](query, key, value, mask, **options)
        of_y = laid_out(drawn(y[0].shape, query.dtype.name, 7), layout)
        g = of_y, drawn(y[1].shape, "float32", 8) if of_logarithms else None
        gradients = kernels[RULE.name](g, query, key, value, mask, y, **options)
    expected = op.function(xp, query, key, value, mask, **options)
    wanted = RULE.function(xp, g, query, key, value, mask, y, **options)
    check_values(y, expected, tolerance)
    check_gradients(gradients, wanted, (query, key, value), tolerance)
    return [name.split("<")[0] for name in gpu.launched]


def heads(
    batches: int, of_queries: int, of_keys: int, rows: int, keys: int, width: int, dtype: str, layout: str
) -> tuple[Any, Any, Any]:
    """Queries, keys and values, and as the op has them where heads are shared."""
    if layout == "one array" and rows == keys:
        x = drawn((batches, rows, (of_queries + 2 * of_keys) * width), dtype, 1)
        query, key, value = split_heads(x, heads=(of_queries, of_keys, of_keys), batch_first=True)
    else:
        query = laid_out(drawn((batches, of_queries, rows, width), dtype, 1), layout)
        key, value = (laid_out(drawn((batches, of_keys, keys, width), dtype, i), layout) for i in (2, 3))
    if of_queries == of_keys:
        return query, key, value
    query = query.reshape(batches, of_keys, of_queries // of_keys, rows, width)
    return query, key[:, :, None], value[:, :, None]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    dtype=st.sampled_from(["float16", "bfloat16"]),
    batches=st.integers(1, 3),
    of_keys=st.integers(1, 2),
    shared=st.integers(1, 3),
    rows=st.sampled_from([128, 256, 1, 37]),
    keys=st.sampled_from([128, 256, 1, 50]),
    width=st.sampled_from([8, 24, 64]),
    reach=st.sampled_from(["all", "own", "own", "last", "more", "beyond"]),
    layout=st.sampled_from(["", "rows first", "part", "one array", "one array"]),
)
def test_graphs_say_what_attention_is(
    dtype: str, batches: int, of_keys: int, shared: int, rows: int, keys: int, width: int, reach: str, layout: str
) -> None:
    frontend = StandInCudnn()
    keys = rows if layout == "one array" else keys
    starts = {"all": 0, "own": 0, "last": max(0, keys - rows), "more": 3, "beyond": keys + 5}
    given = heads(batches, shared * of_keys, of_keys, rows, keys, width, dtype, layout)
    launched = check(frontend, *given, is_causal=reach != "all", query_start=starts[reach])
    full = rows % 128 == keys % 128 == 0
    assert launched == ([] if full else OURS[1:]), "what is behind a tile that is not full is not for cuDNN"
    assert [graph.name for graph in frontend.made] == ["attention", "attention_backward"][: 1 + full]
    for graph in frontend.made:
        assert graph.runs == 1
        assert all(any(name.startswith(barred) for barred in graph.barred_engines) for name in PYTHON_ENGINES)


@pytest.mark.parametrize(
    ("query_start", "band"),
    [
        (0, ("top left", 0)),
        (128, ("bottom right", 0)),
        (129, ("top left", 129)),
        (254, ("top left", 254)),
        (255, None),
        (1000, None),
    ],
)
def test_a_causal_mask_is_a_band(query_start: int, band: Any) -> None:
    frontend = StandInCudnn()
    given = heads(1, 2, 1, 128, 256, 8, "float16", "rows first")
    assert check(frontend, *given, is_causal=True, query_start=query_start) == []
    assert [graph.band for graph in frontend.made] == [band] * 2


PYTHON_ENGINES = ["sdpa_fwd_prefill_sm90", "sdpa_fwd_prefill_sm100", "sdpa_bwd_sm100"]
"""What the frontend calls engines that import PyTorch."""

LEFT: dict[str, Any] = {
    "float32": {"dtype": "float32"},
    "a width that is no multiple of 8": {"width": 20},
    "values of another width": {"value_width": 8},
    "wide heads": {"width": 264},
    "a mask": {"mask": lambda rng, shape: rng.standard_normal(shape).astype(np.float16)},
    "booleans": {"mask": lambda rng, shape: rng.random(shape) < 0.5},
    "dropout": {"dropout_p": 0.3},
    "rows that attend to nothing": {"is_causal": True, "query_start": -3},
    "a negative scale": {"scale": -0.2},
    "an odd address": {"layout": "odd"},
    "keys that are repeated": {"layout": "repeated"},
    "a version with errors": {"version": 91400},
    "much workspace": {"workspace": 1 << 30},
}
"""What is left to our own kernels, and why."""
ASKED = {"wide heads", "much workspace"}
"""Where that is for cuDNN to say."""


@pytest.mark.parametrize("case", LEFT)
def test_what_is_not_for_cudnn_runs_on_our_own_kernels(case: str) -> None:
    options = {"dtype": "float16", "width": 16, "mask": lambda rng, shape: None, "layout": "", **LEFT[case]}
    dtype, width, layout, frontend = (*(options.pop(name) for name in ("dtype", "width", "layout")), StandInCudnn())
    frontend.version, frontend.workspace = options.pop("version", 99900), options.pop("workspace", 100)
    value_width, rows, keys = options.pop("value_width", width), 128, 128
    query, key = drawn((2, 1, rows, width), dtype, 1), laid_out(drawn((2, 1, keys, width), dtype, 2), layout)
    value = drawn((2, 1, keys, value_width), dtype, 3)
    mask = options.pop("mask")(np.random.default_rng(4), (2, 1, rows, keys))
    launched = check(frontend, query, key, value, mask, **options)
    assert launched == OURS
    assert len(frontend.made) == (2 if case in ASKED else 0)


def test_gradients_of_logarithms_are_for_our_own_kernels() -> None:
    frontend = StandInCudnn()
    launched = check(frontend, *heads(1, 1, 1, 128, 128, 16, "float16", ""), of_logarithms=True)
    assert launched == OURS[1:]
    assert [graph.name for graph in frontend.made] == ["attention"]


def test_a_gradient_that_is_repeated_is_for_our_own_kernels() -> None:
    launched = check(StandInCudnn(), *heads(2, 1, 1, 128, 128, 16, "float16", ""), layout="repeated")
    assert launched == OURS[1:]


def test_what_has_no_engine_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    frontend = StandInCudnn()
    frontend.refuses = lambda graph: graph.name == "attention_backward"
    given = heads(1, 2, 1, 128, 128, 16, "float16", "")
    with caplog.at_level(logging.INFO, "pullback"), emulated_gpu() as gpu:
        gpu.cudnn = frontend
        options: dict[str, Any] = {"scale": 0.25, **OPTIONS}
        for _ in range(2):
            y = kernels[NAME](*given, **options)
            kernels[RULE.name]((y[0], None), *given, None, y, **options)
    assert [name.split("<")[0] for name in gpu.launched] == OURS[1:] * 2
    assert [graph.runs for graph in frontend.made] == [2, 0]
    assert len(caplog.records) == 1
    assert "no engine takes this" in caplog.text


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_layer_runs_on_cudnn_there_and_back(batch_first: bool) -> None:
    x = np.random.default_rng(0).standard_normal((2, 128, 4 * 8) if batch_first else (128, 2, 4 * 8))
    frontend, gradients = StandInCudnn(), []

    def run() -> Any:
        tensor = pb.tensor(aligned(x.astype(np.float16)), requires_grad=True)
        parts = split_heads(tensor, heads=(2, 1, 1), batch_first=batch_first)
        y = pb.scaled_dot_product_attention(*parts, is_causal=True, enable_gqa=True)
        (pb.astype(y, "float32") ** 2).mean().backward()
        return tensor.grad.numpy()

    gradients.append(run())
    with numpy_with_cupys_kernels() as gpu:
        gpu.cudnn = frontend
        gradients.append(run())
    assert [graph.runs for graph in frontend.made] == [1, 1]
    assert not any(name.startswith("attention") for name in gpu.launched)
    np.testing.assert_allclose(*gradients, rtol=1e-2, atol=1e-2 * np.abs(gradients[0]).max())


def test_it_says_what_attention_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudnn_attention, "graphs", lambda: "cuDNN")
    with emulated_gpu() as gpu:
        gpu.cudnn = StandInCudnn()
        assert cudnn_attention.status() == "cuDNN"
        gpu.cudnn.version = 91002
        assert cudnn_attention.status() == "pullback's own kernels, as cuDNN 9.10.2 is older than 9.15"


@pytest.mark.skipif(find_spec("cudnn") is None, reason="nvidia-cudnn-frontend is not installed")
@pytest.mark.parametrize("forward", [True, False])
def test_the_frontend_itself_takes_these_arguments(forward: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import cudnn as library

    binding = getattr(getattr(library, "_pybind_module", None), "backend_graph", library.pygraph)
    function = "sdpa" if forward else "sdpa_backward"
    for name in list(inspect.signature(getattr(StandInGraph, function)).parameters)[1:]:
        assert f"{name}: " in getattr(binding, function).__doc__
    steps: list[Any] = []
    for name in ("validate", "build_operation_graph", "create_execution_plans", "check_support", "build_plans"):
        monkeypatch.setattr(library.pygraph, name, lambda graph, *arguments: steps.append(arguments))
    monkeypatch.setattr(library.pygraph, "deselect_engines", lambda graph, names: steps.append(names))
    monkeypatch.setattr(library.pygraph, "get_workspace_size", lambda graph: 0)
    monkeypatch.setattr(library, "backend_version", lambda: 99900)
    layout = (2, 4, 128, 64), (4 * 128 * 64, 128 * 64, 64, 1)
    call = cudnn_attention._Call(forward, "float16", (layout,) * (4 if forward else 8), 0.125, 0)
    plan = call.plan(library, None)
    assert plan is not None
    assert len(steps) == 6
    assert len(set(plan._numbers)) == (5 if forward else 9)
