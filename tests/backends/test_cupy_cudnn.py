"""Convolutions on cuDNN, without cuDNN: a stand-in for its frontend runs what it is told on the processor.

It takes no arguments but those that the frontend's own methods take, reads and writes memory as it is told arrays lie
there, and refuses what it is set to refuse.
"""

import ctypes
import logging
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from emulated_gpu import COMPILER, emulated_gpu

from pullback.backends.cupy_kernels import cudnn, kernels
from pullback.backends.numpy_kernels import kernels as reference
from pullback.backends.precision import in_tf32

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]

STREAM = 23  # what the stand-in for a driver says is current


class Tensor:
    """An array of a graph, or a result in it."""

    def __init__(self, number: int, dim: list[int], stride: list[int], data_type: Any, compute: Any = None) -> None:
        self.number, self.dim, self.stride, self.data_type, self.compute = number, dim, stride, data_type, compute
        self.is_output = False

    def get_uid(self) -> int:
        return self.number

    def set_output(self, is_output: bool) -> None:
        self.is_output = is_output

    def set_data_type(self, data_type: Any) -> None:
        self.data_type = data_type

    def set_dim(self, dim: list[int]) -> None:
        self.dim = dim

    def set_stride(self, stride: list[int]) -> None:
        self.stride = stride

    def at(self, address: int) -> Any:
        """The memory there, channels last."""
        whole = sum((n - 1) * step for n, step in zip(self.dim, self.stride, strict=True)) + 1
        memory = (ctypes.c_char * (whole * self.data_type.itemsize)).from_address(address)
        flat = np.frombuffer(memory, self.data_type)
        strides = [step * self.data_type.itemsize for step in self.stride]
        return np.moveaxis(np.lib.stride_tricks.as_strided(flat, self.dim, strides), 1, -1)


class Graph:
    """A graph of one convolution, and perhaps a bias."""

    refuses: ClassVar[Any] = staticmethod(lambda graph: False)
    made: ClassVar[list[Any]] = []

    def __init__(
        self, name: str, io_data_type: Any, intermediate_data_type: Any, compute_data_type: Any, handle: Any
    ) -> None:
        assert intermediate_data_type == compute_data_type == np.float32
        self.kind, self.handle, self.tensors, self.steps, self.barred = io_data_type, handle, [], [], []
        self.biased = False
        self.made.append(self)

    def tensor(self, dim: list[int], stride: list[int], data_type: Any, name: str) -> Tensor:
        assert data_type == self.kind
        self.tensors.append(Tensor(len(self.tensors), dim, stride, data_type))
        return self.tensors[-1]

    def _result(self, compute: Any) -> Tensor:
        self.tensors.append(Tensor(len(self.tensors), [], [], None, compute))
        return self.tensors[-1]

    def _window(self, pre_padding: Any, post_padding: Any, stride: Any, dilation: Any) -> dict[str, Any]:
        assert all(n >= 0 for n in (*pre_padding, *post_padding)), "cuDNN pads with no negative number of zeros"
        assert 2 <= len(stride) <= 3, "cuDNN has images of two and three axes"
        pairs = tuple(zip(pre_padding, post_padding, strict=True))
        return {"padding": pairs, "stride": tuple(stride), "dilation": tuple(dilation)}

    def conv_fprop(
        self, image: Tensor, weight: Tensor, pre_padding: Any, post_padding: Any, stride: Any, dilation: Any
    ) -> Tensor:
        window = self._window(pre_padding, post_padding, stride, dilation)
        groups = image.dim[1] // weight.dim[1]
        return self._result(lambda of: reference["conv"](of(image), of(weight), **window, groups=groups))

    def conv_dgrad(
        self, loss: Tensor, filter: Tensor, pre_padding: Any, post_padding: Any, stride: Any, dilation: Any
    ) -> Tensor:
        window = self._window(pre_padding, post_padding, stride, dilation)

        def compute(of: Any) -> Any:
            whole = {**window, "padding": ((0, 0),) * len(stride)}
            y = reference["conv_transpose"](of(loss), of(filter), **whole, groups=result.dim[1] // filter.dim[1])
            lengths, firsts = result.dim[2:], pre_padding
            # What is behind the last window has no gradient.
            behind = [(0, max(0, first + n - m)) for m, n, first in zip(y.shape[1:-1], lengths, firsts, strict=True)]
            inside = [slice(first, first + n) for n, first in zip(lengths, firsts, strict=True)]
            return np.pad(y, [(0, 0), *behind, (0, 0)])[(slice(None), *inside)]

        result = self._result(compute)
        return result

    def conv_wgrad(
        self, image: Tensor, loss: Tensor, pre_padding: Any, post_padding: Any, stride: Any, dilation: Any
    ) -> Tensor:
        window = self._window(pre_padding, post_padding, stride, dilation)
        result = self._result(
            lambda of: reference["conv_weight"](
                of(image), of(loss), **window, kernel=tuple(result.dim[2:]), groups=image.dim[1] // result.dim[1]
            )
        )
        return result

    def bias(self, input: Tensor, bias: Tensor, name: str) -> Tensor:
        self.biased = True
        return self._result(lambda of: input.compute(of) + of(bias))

    def deselect_numeric_notes(self, notes: list[str]) -> None:
        assert self.steps[-1] == "create_execution_plans", "there is nothing to be barred before"
        self.barred = notes

    def __getattr__(self, name: str) -> Any:
        if name not in ("validate", "build_operation_graph", "create_execution_plans", "check_support", "build_plans"):
            raise AttributeError(name)

        def step(*arguments: Any) -> None:
            self.steps.append(name)
            if name == "check_support" and self.refuses(self):
                raise RuntimeError("no engine takes this")

        return step

    def get_workspace_size(self) -> int:
        return 100

    def execute(self, places: dict[int, int], workspace: int, handle: Any) -> None:
        assert self.steps[-1] == "build_plans"
        assert handle.stream == STREAM
        by_number = {tensor.number: tensor for tensor in self.tensors}
        (output,) = (tensor for tensor in self.tensors if tensor.is_output)
        wide = {n: by_number[n].at(address).astype(np.float64) for n, address in places.items() if n != output.number}
        y = output.compute(lambda tensor: wide[tensor.number])
        output.at(places[output.number])[...] = y.astype(self.kind)


class Notes:
    TENSOR_CORE, DOWN_CONVERT_INPUTS = "tensor cores", "inputs are rounded"
    NONDETERMINISTIC, REDUCED_PRECISION_REDUCTION = "differs from run to run", "sums are rounded"


@pytest.fixture
def frontend(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for the frontend."""
    monkeypatch.setattr(Graph, "made", [])
    monkeypatch.setattr(Graph, "refuses", staticmethod(lambda graph: False))
    kinds = SimpleNamespace(FLOAT=np.dtype("float32"), HALF=np.dtype("float16"))
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kinds.BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

    def set_stream(handle: Any, stream: int) -> None:
        handle.stream = stream

    return SimpleNamespace(
        pygraph=Graph,
        data_type=kinds,
        heur_mode=SimpleNamespace(A=0, FALLBACK=1),
        numerical_note=Notes,
        create_handle=lambda: SimpleNamespace(stream=0),
        set_stream=set_stream,
        backend_version_string=lambda: "9.99.0",
    )


def aligned(a: Any) -> Any:
    """A copy that begins where CuPy's arrays begin."""
    block = np.empty(a.nbytes + 64, np.uint8)
    start = -block.ctypes.data % 64
    copy = block[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    copy[...] = a
    return copy


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
def test_graphs_say_what_the_convolution_is(case: str, dtype: str, frontend: Any) -> None:
    arrays, geometry, expected = given(case, getattr(frontend.data_type, cudnn._TYPES[dtype]))
    with emulated_gpu() as gpu:
        gpu.cudnn = frontend
        found = [all_three(arrays, geometry) for _ in range(2)]
    assert gpu.launched == []
    assert len(Graph.made) == 3, "a plan is made once"
    for got in found:
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a.astype(np.float64), b, atol=0.1 if dtype == "bfloat16" else 1e-2)


def test_what_has_no_engine_runs_on_our_own_kernels(frontend: Any, caplog: pytest.LogCaptureFixture) -> None:
    Graph.refuses = staticmethod(lambda graph: True)
    arrays, geometry, expected = given("two axes", np.float32)
    with emulated_gpu() as gpu, caplog.at_level(logging.INFO, "pullback"):
        gpu.cudnn = frontend
        for _ in range(2):
            for a, b in zip(all_three(arrays, geometry), expected, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-5)
    launched = [name.split("<")[0] for name in gpu.launched]
    assert [name for name in launched if name != "turn"] == ["conv", "conv_transpose", "conv_weight"] * 2
    asked = len(caplog.records)
    assert asked == len(Graph.made) == 4, "with and without the bias, and both gradients, once each"
    assert "no engine takes this" in caplog.text


def test_a_bias_that_no_engine_adds_is_added_after(frontend: Any) -> None:
    Graph.refuses = staticmethod(lambda graph: graph.biased)
    arrays, geometry, expected = given("two axes", np.float32)
    with emulated_gpu() as gpu:
        gpu.cudnn = frontend
        np.testing.assert_allclose(all_three(arrays, geometry)[0], expected[0], atol=1e-5)
    assert [name.split("<")[0] for name in gpu.launched] == ["add_bias"]


def test_float32_is_rounded_only_where_that_is_asked_for(frontend: Any) -> None:
    arrays, geometry, _ = given("two axes", np.float32)
    with emulated_gpu() as gpu:
        gpu.cudnn = frontend
        kernels["conv"](*arrays[:2], **geometry["there"])
        token = in_tf32.set(True)
        try:
            kernels["conv"](*arrays[:2], **geometry["there"])
        finally:
            in_tf32.reset(token)
    exact, rounded = (set(graph.barred) for graph in Graph.made)
    assert exact - rounded == {Notes.TENSOR_CORE, Notes.DOWN_CONVERT_INPUTS}
    assert Notes.NONDETERMINISTIC in rounded


@pytest.mark.parametrize("padding", [((1, -1), (0, 0)), ((-1, 1), (0, 0))])
def test_what_cuts_off_is_not_for_cudnn(padding: Any, frontend: Any) -> None:
    x, weight = np.ones((1, 6, 6, 8), np.float32), np.ones((8, 2, 2, 8), np.float32)
    geometry = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}
    with emulated_gpu() as gpu:
        gpu.cudnn = frontend
        kernels["conv"](x, weight, **geometry)
    assert Graph.made == []
    assert len(gpu.launched) == 1


def test_it_says_what_convolutions_run_on(frontend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudnn, "version", lambda name: "1.2.3")
    with emulated_gpu() as gpu:
        assert cudnn.status() == "pullback's own kernels"
        gpu.cudnn = frontend
        assert cudnn.status() == "cuDNN 9.99.0 through nvidia-cudnn-frontend 1.2.3"


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
    call = cudnn._Call(function, ports, shapes, *lengths, ones, pairs, ones, "float16", False, biased)
    window = call.window()
    assert window is not None
    plan = cudnn._Plan(library, None, call, window)
    assert len(steps) == 5
    assert len(set(plan.numbers)) == 3 + biased
