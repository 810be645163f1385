"""Kernels of normalization in each of their ways, against the ops' own lines in float64."""

import numpy as np
import pytest

import pullback as pb
from pullback.autodiff.op import registry
from pullback.backends import memory, open_backend
from pullback.backends.numba_kernels import compiling
from pullback.backends.numpy_kernels import kernels, normalization


@pytest.fixture(params=["compiled", "by blocks", "in few calls"])
def way(request, monkeypatch):
    if request.param == "compiled":
        pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
    monkeypatch.setattr(compiling, "WORTHWHILE", 1 if request.param == "compiled" else 10**12)
    monkeypatch.setattr(normalization, "_SMALL", 10**12 if request.param == "in few calls" else 0)
    return request.param


SHAPES = [(33, 5), (4, 8, 8, 3), (3, 7, 5, 6), (64, 2, 2, 4), (1, 32, 32, 16), (2, 300, 4), (2048, 6), (5, 130, 1)]
CALLS = [
    ("batch_norm", {"eps": 1e-3}, True),
    ("group_norm", {"num_groups": 1, "eps": 1e-3}, True),
    ("group_norm", {"num_groups": None, "eps": 1e-3}, True),
    ("layer_norm", {"normalized_shape": None, "eps": 1e-3}, True),
    ("rms_norm", {"normalized_shape": None, "eps": None}, False),
    ("standardize", {"eps": 1e-3}, True),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factors", [True, False], ids=["weighted", "bare"])
@pytest.mark.parametrize(("name", "options", "has_bias"), CALLS)
def test_every_way_gives_what_the_op_says(way, name, options, has_bias, factors, dtype):
    rng = np.random.default_rng(0)
    xp, op = open_backend("numpy").namespace, registry[name]
    for shape in SHAPES:
        x, g = (rng.standard_normal(shape) * 2 + 5).astype(dtype), rng.standard_normal(shape).astype(dtype)
        channels = shape[-1]
        drawn = [rng.uniform(0.5, 1.5, channels).astype(dtype) for _ in range(4)]
        extra = drawn[2:] if name == "standardize" else []
        learnt = [*drawn[: 1 + has_bias]] if factors else [None] * (1 + has_bias)
        metadata = {**options}
        if "num_groups" in options:
            metadata["num_groups"] = options["num_groups"] or channels
        if "normalized_shape" in options:
            metadata["normalized_shape"] = (channels,)
        inputs = [x, *extra, *learnt]
        doubles = [a if a is None else a.astype("float64") for a in inputs]
        close(kernels[name](*inputs, **metadata), op.function(xp, *doubles, **metadata), dtype, f"{name} of {shape}")
        given = g if name != "batch_norm" else (g, *(rng.standard_normal(channels).astype(dtype) for _ in range(2)))
        double_g = tuple(a.astype("float64") for a in given) if isinstance(given, tuple) else g.astype("float64")
        for rule in op.rules:
            if rule.name in kernels:
                values = dict(zip(op.inputs, inputs, strict=True))
                saved = [values[key] for key in rule.saves]
                expected = rule.function(
                    xp, double_g, *(a if a is None else a.astype("float64") for a in saved), **metadata
                )
                close(kernels[rule.name](given, *saved, **metadata), expected, dtype, f"{rule.name} of {shape}")


def close(got, expected, dtype, what):
    got, expected = ([a] if not isinstance(a, tuple) else list(a) for a in (got, expected))
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        b = b.sum(axis=tuple(range(b.ndim - a.ndim)))
        assert a.dtype == dtype
        scale = max(1.0, np.abs(b).max())
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def test_long_rows_and_columns_keep_their_precision(way):
    x = np.random.default_rng(0).standard_normal((200_001, 1)).astype("float32") + 30
    expected = (x - x.mean(dtype="float64")) / np.sqrt(x.var(dtype="float64") + 1e-5)
    tolerance = 3e-4 if way == "in few calls" else 3e-5
    np.testing.assert_allclose(kernels["batch_norm"](x)[0], expected, atol=tolerance)
    rows = kernels["layer_norm"](np.ascontiguousarray(x[:65536].T), normalized_shape=65536)
    x = x[:65536]
    expected = (x - x.mean(dtype="float64")) / np.sqrt(x.var(dtype="float64") + 1e-5)
    np.testing.assert_allclose(rows, expected.T, atol=3e-5)


def test_gradients_reach_the_input_without_a_copy():
    x = pb.random.normal((16, 32, 32, 8)).requires_grad_()
    pb.batch_norm(x)[0].sum().backward()
    assert memory.is_owned(x.grad.array)  # a copy would own its data
