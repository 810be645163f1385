"""CuPy's kernels on a GPU, where there is one: what the device makes of every example, beside the op's own lines."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from kernel_cases import calls_of, draw, updates_of, what_the_lines_say

import pullback as pb
import pullback.optim  # its rules are ops too
from pullback.autodiff.op import Op
from pullback.autodiff.tree import tree_map
from pullback.backends import Backend, open_backend
from pullback.backends.cupy_kernels import kernels

usable, reason = pb.backends()["cupy"]
pytestmark = [pytest.mark.on_numpy, pytest.mark.skipif(not usable, reason=reason)]

TOLERANCE = {"bfloat16": 2e-2, "float16": 3e-3, "float32": 2e-5, "float64": 1e-12}


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
