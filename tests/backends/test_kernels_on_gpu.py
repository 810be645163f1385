"""CuPy's kernels on a GPU, where there is one: what the device makes of every example, beside the op's own lines."""

from collections.abc import Callable, Iterator
from typing import Any

import feed_forward_cases
import numpy as np
import pytest
from kernel_cases import TOLERANCE, calls_of, draw, updates_of, what_the_lines_say

import pullback as pb
import pullback.optim  # its rules are ops too
from pullback.autodiff.op import Op, registry
from pullback.autodiff.tree import tree_map
from pullback.backends import Backend, open_backend
from pullback.backends.cupy_kernels import cudnn_graphs, kernels, launch, products

usable, reason = pb.backends()["cupy"]
pytestmark = [pytest.mark.on_numpy, pytest.mark.skipif(not usable, reason=reason)]


@pytest.fixture
def gpu() -> Iterator[Backend]:
    """The backend of the GPU."""
    with pb.use("cupy") as backend:
        yield backend


def there_and_back(kernel: Callable[..., Any], gpu: Backend) -> Callable[..., Any]:
    """A kernel of the GPU's arrays as one of NumPy's."""

    def send(x: Any) -> Any:
        return gpu.from_host(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) else x

    def call(*arguments: Any, **metadata: Any) -> Any:
        got = kernel(*(tree_map(send, x) for x in arguments), **metadata)
        return got if got is NotImplemented else tree_map(lambda x: x if x is None else gpu.to_host(x), got)

    return call


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("op", "rule", "example"), calls_of(kernels) if usable else [])
def test_kernels_on_the_gpu_agree_with_the_lines(
    op: Op[..., Any], rule: Any, example: Any, dtype: str, gpu: Backend
) -> None:
    table = {name: there_and_back(kernel, gpu) for name, kernel in kernels.items()}
    with pb.use("numpy"):
        pairs = zip(*what_the_lines_say(table, op, rule, example, dtype), strict=True)
    for a, b in pairs:
        assert a.shape == b.shape
        np.testing.assert_allclose(a.astype(b.dtype), b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "example"), updates_of(kernels) if usable else [])
def test_updates_on_the_gpu_are_the_rule_to_the_bit(op: Op[..., Any], example: Any, dtype: str, gpu: Backend) -> None:
    numpy = open_backend("numpy")
    inputs = draw(example, numpy, dtype)
    expected = op.function(numpy.namespace, *inputs, **example.metadata)
    buffers = [gpu.from_host(x) for x in inputs]
    kernels[f"{op.name}.in_place"](*buffers, **example.metadata)
    for got, value in zip((buffers[0], *buffers[2:]), expected, strict=True):
        np.testing.assert_array_equal(gpu.to_host(got), value)


def normal(*shape: int, dtype: str) -> Any:
    drawn = np.random.default_rng(0).standard_normal((2, *shape))
    return (drawn[0] + 1j * drawn[1] if dtype == "complex64" else drawn[0]).astype(dtype)


@pytest.mark.parametrize("through", ["cublaslt", "cublas"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "complex64"])
def test_a_gpu_multiplies_as_numpy_does(through: str, dtype: str, gpu: Backend, monkeypatch: Any) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")
    now: Any = launch.driver()
    if through == "cublas":
        monkeypatch.setitem(vars(now), "cublaslt", None)
    elif now.cublaslt is None:
        pytest.skip("nvmath-python is not installed")
    monkeypatch.setattr(products, "_plans", {})
    tolerance = {"float32": 1e-5, "float64": 1e-12, "complex64": 1e-5}.get(dtype, 2e-2)
    wide = "complex128" if dtype == "complex64" else "float64"
    shapes = [((33, 64), (64, 48)), ((3, 16, 64), (64, 48)), ((4, 16, 8), (4, 8, 24)), ((5, 1, 3, 4), (2, 4, 2))]
    for shape_a, shape_b in shapes:
        a, b = normal(*shape_a, dtype=dtype), normal(*shape_b, dtype=dtype)
        expected = a.astype(wide) @ b.astype(wide)
        bias = np.linspace(-1, 1, shape_b[-1]).astype(dtype)
        for transposed in (False, True):
            first, second = (
                gpu.from_host(x.swapaxes(-1, -2)).swapaxes(-1, -2) if transposed else gpu.from_host(x) for x in (a, b)
            )
            y = gpu.to_host(products.product(first, second)).astype(wide)
            np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance * 10)
            if dtype != "complex64":
                y = gpu.to_host(products.product(first, second, bias=gpu.from_host(bias), relu=True)).astype(wide)
                above = np.maximum(expected + bias.astype(wide), 0)
                np.testing.assert_allclose(y, above, rtol=tolerance, atol=tolerance * 10)


def test_a_gpu_lets_relu_keep_what_is_not_a_number(gpu: Backend) -> None:
    ones = np.ones((16, 16), "float32")
    x = ones.copy()
    x[3, 3] = np.nan
    bias = gpu.from_host(ones[0])
    y = gpu.to_host(products.product(gpu.from_host(x), gpu.from_host(ones), bias=bias, relu=True))
    np.testing.assert_array_equal(np.isnan(y).any(axis=1), np.arange(16) == 3)


@pytest.mark.parametrize("approximate", [None, "none", "tanh"])
@pytest.mark.parametrize("dtype", feed_forward_cases.TOLERANCE)
def test_a_feed_forward_network_on_the_gpu_is_that_of_the_lines(
    dtype: str, approximate: str | None, gpu: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: dict[Any, Any] = {}
    monkeypatch.setattr(products, "_plans", plans)
    table = {
        name: there_and_back(kernels[name], gpu) for name in (feed_forward_cases.OP.name, feed_forward_cases.RULE.name)
    }
    given = feed_forward_cases.drawn(dtype, (2, 128), hidden=256)
    with pb.use("numpy"):
        feed_forward_cases.compare(table, given, approximate)
    if launch.driver().cublaslt is None:
        pytest.skip("nvmath-python is not installed: it ran without epilogues")
    found = [plan.on_cublaslt._found for plan in plans.values() if plan.on_cublaslt is not None]
    missing = {key[-1] for known in found for key, plan in known.items() if plan is None or plan._broken}
    if missing:
        pytest.skip(f"cuBLASLt has no {', '.join(sorted(missing))} here: it ran without")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    ("of_queries", "of_keys", "rows", "keys", "width", "options"),
    [
        (4, 4, 256, 256, 64, {}),
        (4, 4, 256, 256, 64, {"is_causal": True}),
        (6, 2, 128, 384, 128, {"is_causal": True, "query_start": 256}),
        (4, 1, 128, 256, 64, {"is_causal": True, "query_start": 5}),
        (2, 2, 1, 300, 80, {"is_causal": True, "query_start": 299}),
    ],
)
def test_attention_on_cudnn_is_that_of_the_lines(
    of_queries: int, of_keys: int, rows: int, keys: int, width: int, options: Any, dtype: str, gpu: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if launch.driver().cudnn is None:
        pytest.skip("nvidia-cudnn-frontend is not installed")
    plans: dict[Any, Any] = {}
    monkeypatch.setattr(cudnn_graphs, "_plans", plans)
    op = registry["scaled_dot_product_attention"]
    rule = next(rule for rule in op.rules if "query" in rule.arguments)
    options = {**op.defaults, "scale": width**-0.5, **options}

    def parts(x: Any) -> list[Any]:
        x = x.transpose(0, 2, 1, 3)
        query, key, value = x[:, :of_queries, :rows], x[:, of_queries:-of_keys, :keys], x[:, -of_keys:, :keys]
        if of_queries == of_keys:
            return [query, key, value]
        return [query.reshape(2, of_keys, -1, rows, width), key[:, :, None], value[:, :, None]]

    x = normal(2, max(rows, keys), of_queries + 2 * of_keys, width, dtype="float32").astype(dtype)
    given, wide = parts(gpu.from_host(x)), parts(x.astype("float64"))
    g = normal(*wide[0].shape, dtype="float32").astype(dtype)
    with pb.use("numpy"):
        xp = open_backend("numpy").namespace
        expected = op.function(xp, *wide, None, **options)
        slopes = rule.function(xp, (g.astype("float64"), None), *wide, None, expected, **options)
    y, tolerance = kernels[op.name](*given, **options), TOLERANCE[dtype]
    for got, value in zip(y, expected, strict=True):
        np.testing.assert_allclose(gpu.to_host(got).astype("float64"), value, atol=tolerance, rtol=tolerance)
    of_y = gpu.from_host(g)
    gradients, again = (kernels[rule.name]((of_y, None), *given, None, y, **options) for _ in range(2))
    for got, same, value in zip(gradients, again, slopes, strict=True):
        found = gpu.to_host(got)
        np.testing.assert_array_equal(found, gpu.to_host(same), "the same call gives the same bits")
        value = value.sum(axis=tuple(i for i, n in enumerate(found.shape) if n != value.shape[i]), keepdims=True)
        np.testing.assert_allclose(found.astype("float64"), value, atol=2 * tolerance * np.abs(value).max())
    left = [call.forward for (_, _, call), plan in plans.items() if plan is None]
    if left != [False] * (rows == 1):
        pytest.skip(f"cuDNN has no engine here for {['the gradient', 'attention'][left[0]]}: it ran on our own kernels")
