"""CuPy's kernels without a GPU: they compile for every one, and their arithmetic is that of the ops' own lines."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from emulated_gpu import COMPILER, emulated_gpu
from kernel_cases import TOLERANCE, calls_of, draw, updates_of, what_the_lines_say

import pullback.optim  # noqa: F401 (its rules are ops too)
from pullback.autodiff.op import Op
from pullback.backends import open_backend
from pullback.backends.cupy_kernels import kernels
from pullback.backends.cupy_kernels.launch import Source, sources

pytestmark = pytest.mark.on_numpy
on_the_processor = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++")


@pytest.fixture(params=["forwards", "backwards"])
def gpu(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The kernels run on the processor, threads in one order or the other: results may not depend on it."""
    with emulated_gpu(backwards=request.param == "backwards") as driver:
        yield driver


@on_the_processor
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "rule", "example"), calls_of(kernels))
def test_kernels_agree_with_the_reference(op: Op[..., Any], rule: Any, example: Any, dtype: str, gpu: Any) -> None:
    for a, b in zip(*what_the_lines_say(kernels, op, rule, example, dtype), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@on_the_processor
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("op", "rule", "example"), calls_of(kernels))
def test_half_precision_is_the_reference_rounded(op: Op[..., Any], rule: Any, example: Any, dtype: str) -> None:
    pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")
    with emulated_gpu():
        pairs = zip(*what_the_lines_say(kernels, op, rule, example, dtype), strict=True)
    for a, b in pairs:
        assert a.shape == b.shape
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0))) if b.dtype == np.float32 else 1.0
        np.testing.assert_allclose(a.astype(b.dtype), b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * scale)


@on_the_processor
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "example"), updates_of(kernels))
def test_updates_in_place_are_the_rule_to_the_bit(op: Op[..., Any], example: Any, dtype: str, gpu: Any) -> None:
    numpy = open_backend("numpy")
    inputs = draw(example, numpy, dtype)
    expected = op.function(numpy.namespace, *inputs, **example.metadata)
    buffers = [x.copy() for x in inputs]
    kernels[f"{op.name}.in_place"](*buffers, **example.metadata)
    for got, value in zip((buffers[0], *buffers[2:]), expected, strict=True):
        np.testing.assert_array_equal(got, value)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("source", [pytest.param(s, id=f"{s.name}.{s.functions[0]}") for s in sources])
def test_every_source_compiles_for_every_gpu(source: Source, architecture: str) -> None:
    nvrtc = compiler()
    names = [name for types in source.types for name in source.instances(types)]
    compile_source(nvrtc, source, names, f"-arch={architecture}", *hurried(nvrtc))


@pytest.mark.parametrize("source", [pytest.param(s, id=f"{s.name}.{s.functions[0]}") for s in sources])
def test_every_source_compiles_as_it_will_run(source: Source) -> None:
    compile_source(compiler(), source, source.instances(source.types[0]), "-arch=sm_90")


def compile_source(nvrtc: Any, source: Source, names: list[str], *options: str) -> None:
    """To machine code, and with no warning."""
    program = nvrtc.createProgram(source.code, f"{source.name}.cu", (), ())
    try:
        for name in names:
            nvrtc.addNameExpression(program, name)
        nvrtc.compileProgram(program, (*options, "-Werror", "all-warnings", *source.options))
        assert all(nvrtc.getLoweredName(program, name) for name in names)
        assert len(nvrtc.getCUBIN(program)) > 0
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    finally:
        nvrtc.destroyProgram(program)


@cache
def hurried(nvrtc: Any) -> tuple[str, ...]:
    """How NVRTC is told to optimize little, where it can be told: it finds the same mistakes in a fifth of the time."""
    program = nvrtc.createProgram("", "empty.cu", (), ())
    try:
        nvrtc.compileProgram(program, ("-Ofc=max",))
    except nvrtc.NVRTCError:
        return ()
    finally:
        nvrtc.destroyProgram(program)
    return ("-Ofc=max",)


def compiler() -> Any:
    """NVRTC, which needs no GPU; it is asked for by way of CuPy, as it will be when a kernel runs."""
    pytest.importorskip("cupy", reason="cupy is not installed: pip install 'pullback[cuda13]'")
    nvrtc = import_module("cupy_backends.cuda.libs.nvrtc")
    try:
        nvrtc.getVersion()
    except (RuntimeError, ImportError, OSError) as error:
        pytest.skip(f"NVRTC is not installed: pip install nvidia-cuda-nvrtc nvidia-cuda-runtime ({error})")
    return nvrtc
