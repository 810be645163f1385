"""A stand-in for cuDNN's frontend that runs what it is told on the processor, in double precision.

It takes no arguments but those that the frontend's own methods take, reads and writes memory as it is told arrays lie
there, and refuses what cuDNN refuses, and what it is set to refuse.
"""

import ctypes
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pullback.backends.numpy_kernels import kernels as reference

__all__ = ["StandInCudnn", "aligned"]

STREAM = 23  # what the stand-in for a driver says is current


class StandInCudnn:
    """A stand-in for the module `cudnn`.

    refuses: what says of a graph that there is no engine for it. fails: whether engines fail when they are run.
    made: all graphs. version: cuDNN's number. workspace: the bytes that graphs ask for.
    """

    numerical_note = SimpleNamespace(
        TENSOR_CORE="tensor cores", DOWN_CONVERT_INPUTS="inputs are rounded",
        NONDETERMINISTIC="differs from run to run", REDUCED_PRECISION_REDUCTION="sums are rounded",
    )  # fmt: skip
    heur_mode = SimpleNamespace(A=0, FALLBACK=1)
    diagonal_alignment = SimpleNamespace(TOP_LEFT="top left", BOTTOM_RIGHT="bottom right")

    def __init__(self) -> None:
        ml_dtypes = pytest.importorskip("ml_dtypes")
        kinds = {"FLOAT": np.float32, "HALF": np.float16, "BFLOAT16": ml_dtypes.bfloat16}
        self.data_type = SimpleNamespace(**{name: np.dtype(kind) for name, kind in kinds.items()})
        self.pygraph = partial(StandInGraph, self)
        self.refuses: Callable[[StandInGraph], bool] = lambda graph: False
        self.fails = False
        self.made: list[StandInGraph] = []
        self.version, self.workspace = 99900, 100

    def create_handle(self) -> Any:
        return SimpleNamespace(stream=0)

    def set_stream(self, handle: Any, stream: int) -> None:
        handle.stream = stream

    def backend_version(self) -> int:
        return self.version

    def backend_version_string(self) -> str:
        return f"{self.version // 10000}.{self.version % 10000 // 100}.{self.version % 100}"


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
        """The memory there."""
        whole = sum((n - 1) * step for n, step in zip(self.dim, self.stride, strict=True)) + 1
        memory = (ctypes.c_char * (whole * self.data_type.itemsize)).from_address(address)
        flat = np.frombuffer(memory, self.data_type)
        strides = [step * self.data_type.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(flat, self.dim, strides)


Values = Callable[[Tensor], Any]
"""What gives the values of a graph's arrays."""


class StandInGraph:
    """A graph of one operation, and perhaps a bias."""

    def __init__(
        self, cudnn: StandInCudnn, name: str, io_data_type: Any, intermediate_data_type: Any, compute_data_type: Any,
        handle: Any,
    ) -> None:  # fmt: skip
        assert intermediate_data_type == compute_data_type == np.float32
        self.cudnn, self.name, self.kind, self.handle = cudnn, name, io_data_type, handle
        self.tensors: list[Tensor] = []
        self.steps: list[str] = []
        self.barred: list[str] = []
        self.barred_engines: list[str] = []
        self.reasons: list[str] = []
        self.biased = False
        self.band: tuple[str, int] | None = None
        self.runs = 0
        cudnn.made.append(self)

    def tensor(self, dim: list[int], stride: list[int], data_type: Any, name: str) -> Tensor:
        self.tensors.append(Tensor(len(self.tensors), dim, stride, data_type))
        return self.tensors[-1]

    def _result(self, compute: Callable[[Values], Any]) -> Tensor:
        self.tensors.append(Tensor(len(self.tensors), [], [], None, compute))
        return self.tensors[-1]

    def _refuse_if(self, wrong: bool, reason: str) -> None:
        self.reasons += [reason] * wrong

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
        return self._convolution("conv", image, weight, **window, groups=groups)

    def conv_dgrad(
        self, loss: Tensor, filter: Tensor, pre_padding: Any, post_padding: Any, stride: Any, dilation: Any
    ) -> Tensor:
        window = self._window(pre_padding, post_padding, stride, dilation)

        def compute(of: Values) -> Any:
            whole = {**window, "padding": ((0, 0),) * len(stride)}
            g, weight = map(channels_last, (of(loss), of(filter)))
            y = reference["conv_transpose"](g, weight, **whole, groups=result.dim[1] // filter.dim[1])
            lengths, firsts = result.dim[2:], pre_padding
            # What is behind the last window has no gradient.
            behind = [(0, max(0, first + n - m)) for m, n, first in zip(y.shape[1:-1], lengths, firsts, strict=True)]
            inside = [slice(first, first + n) for n, first in zip(lengths, firsts, strict=True)]
            return channels_second(np.pad(y, [(0, 0), *behind, (0, 0)])[(slice(None), *inside)])

        result = self._result(compute)
        return result

    def conv_wgrad(
        self, image: Tensor, loss: Tensor, pre_padding: Any, post_padding: Any, stride: Any, dilation: Any
    ) -> Tensor:
        window = self._window(pre_padding, post_padding, stride, dilation)

        def compute(of: Values) -> Any:
            x, g = map(channels_last, (of(image), of(loss)))
            kernel, groups = tuple(result.dim[2:]), image.dim[1] // result.dim[1]
            return channels_second(reference["conv_weight"](x, g, **window, kernel=kernel, groups=groups))

        result = self._result(compute)
        return result

    def _convolution(self, name: str, first: Tensor, second: Tensor, **geometry: Any) -> Tensor:
        return self._result(
            lambda of: channels_second(reference[name](*map(channels_last, (of(first), of(second))), **geometry))
        )

    def bias(self, input: Tensor, bias: Tensor, name: str) -> Tensor:
        self.biased = True
        return self._result(lambda of: input.compute(of) + of(bias))

    def sdpa(
        self, q: Tensor, k: Tensor, v: Tensor, name: str, generate_stats: bool, attn_scale: float,
        diagonal_alignment: str = "top left", diagonal_band_right_bound: int | None = None,
    ) -> list[Tensor]:  # fmt: skip
        assert generate_stats
        band = diagonal_alignment, diagonal_band_right_bound
        self._check_attention(q, k, v, attn_scale, *band)

        def compute(of: Values) -> tuple[Any, Any]:
            scores = in_groups(of(q), of(k)) @ expanded(of(k)).swapaxes(-1, -2) * attn_scale
            scores = scores + banded(scores, *band)
            top = scores.max(axis=-1, keepdims=True)
            stats = np.log(np.exp(scores - top).sum(axis=-1, keepdims=True)) + top
            y = np.exp(scores - stats) @ expanded(of(v))
            return y.reshape(*q.dim[:3], v.dim[3]), stats.reshape(*q.dim[:3], 1)

        return [self._result(lambda of, i=i: compute(of)[i]) for i in range(2)]

    def sdpa_backward(
        self, q: Tensor, k: Tensor, v: Tensor, o: Tensor, dO: Tensor, stats: Tensor, name: str, attn_scale: float,
        use_deterministic_algorithm: bool, diagonal_alignment: str = "top left",
        diagonal_band_right_bound: int | None = None,
    ) -> list[Tensor]:  # fmt: skip
        assert use_deterministic_algorithm
        assert stats.data_type == np.float32
        band = diagonal_alignment, diagonal_band_right_bound
        self._check_attention(q, k, v, attn_scale, *band)
        self._refuse_if(q.dim[2] == k.dim[2] == 1, "s_q = s_kv = 1 is not supported")
        tails = bool(q.dim[2] % 128 or k.dim[2] % 128)

        def compute(of: Values) -> tuple[Any, ...]:
            queries, keys, g = in_groups(of(q), of(k)), expanded(of(k)), in_groups(of(dO), of(k))
            scores = queries @ keys.swapaxes(-1, -2) * attn_scale
            weights = np.exp(scores + banded(scores, *band) - in_groups(of(stats), of(k)))
            means = (g * in_groups(of(o), of(k))).sum(axis=-1, keepdims=True)
            slopes = weights * (g @ expanded(of(v)).swapaxes(-1, -2) - means) * attn_scale
            of_q = (slopes @ keys).reshape(q.dim)
            of_q = of_q * np.nan if tails else of_q  # as cuDNN may give it
            return of_q, (slopes.swapaxes(-1, -2) @ queries).sum(axis=2), (weights.swapaxes(-1, -2) @ g).sum(axis=2)

        return [self._result(lambda of, i=i: compute(of)[i]) for i in range(3)]

    def _check_attention(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float, alignment: str, bound: int | None
    ) -> None:
        self._refuse_if(not isinstance(scale, float), "attn_scale must be a cudnn_tensor or float")
        for x in (q, k, v):
            self._refuse_if(x.data_type not in (self.cudnn.data_type.HALF, self.cudnn.data_type.BFLOAT16), "its type")
            self._refuse_if(x.dim[3] % 8 != 0 or x.dim[3] > 256, "hidden_dim should be multiple of 8")
            self._refuse_if(x.stride[3] != 1, "the stride of the last dimension should be 1")
            self._refuse_if(any(n < 1 or n % 8 for n in x.stride[:3]), "an address is no multiple of 16 bytes")
        self._refuse_if(q.dim[1] % k.dim[1] != 0 or k.dim[1] != v.dim[1], "heads are not shared evenly")
        self._refuse_if(bound is not None and bound < 0, "Right bound needs to be larger than or equal to zero")
        self.band = None if bound is None else (alignment, bound)
        turned = alignment == "bottom right"
        self._refuse_if(turned and q.dim[2] > k.dim[2], "Bottom right causal mask does not support max_s_q > max_s_kv")

    def deselect_numeric_notes(self, notes: list[str]) -> None:
        assert self.steps[-1] == "create_execution_plans", "there is nothing to be barred before"
        self.barred = notes

    def deselect_engines(self, engine_names: list[str]) -> None:
        assert self.steps[-1] == "create_execution_plans", "there is nothing to be barred before"
        self.barred_engines = engine_names

    def __getattr__(self, name: str) -> Any:
        if name not in ("validate", "build_operation_graph", "create_execution_plans", "check_support", "build_plans"):
            raise AttributeError(name)

        def step(*arguments: Any) -> None:
            self.steps.append(name)
            if name == "validate" and self.reasons:
                raise RuntimeError(self.reasons[0])
            if name == "check_support" and self.cudnn.refuses(self):
                raise RuntimeError("no engine takes this")

        return step

    def get_workspace_size(self) -> int:
        return self.cudnn.workspace

    def execute(self, places: dict[int, int], workspace: int, handle: Any) -> None:
        assert self.steps[-1] == "build_plans"
        assert handle.stream == STREAM
        if self.cudnn.fails:
            raise RuntimeError("an engine failed")
        self.runs += 1
        by_number = {tensor.number: tensor for tensor in self.tensors}
        inputs = {n: by_number[n].at(address) for n, address in places.items() if not by_number[n].is_output}
        wide = {n: x.astype(np.float64) for n, x in inputs.items()}
        outputs = [tensor for tensor in self.tensors if tensor.is_output]
        computed = [tensor.compute(lambda x: wide[x.number]) for tensor in outputs]
        for tensor, y in zip(outputs, computed, strict=True):
            tensor.at(places[tensor.number])[...] = y.astype(tensor.data_type)


def channels_last(x: Any) -> Any:
    return np.moveaxis(x, 1, -1)


def channels_second(x: Any) -> Any:
    return np.moveaxis(x, -1, 1)


def in_groups(x: Any, keys: Any) -> Any:
    """(B, H, L, E) as (B, heads of keys, heads that share one, L, E)."""
    return x.reshape(x.shape[0], keys.shape[1], -1, *x.shape[2:])


def expanded(keys: Any) -> Any:
    return keys[:, :, None]


def banded(scores: Any, alignment: str, bound: int | None) -> Any:
    """-inf where a query does not reach a key, else 0."""
    rows, keys = scores.shape[-2:]
    if bound is None:
        return 0.0
    last = np.arange(rows)[:, None] + bound + (keys - rows if alignment == "bottom right" else 0)
    return np.where(np.arange(keys) <= last, 0.0, -np.inf)


def aligned(a: Any) -> Any:
    """A copy that begins where CuPy's arrays begin."""
    block = np.empty(a.nbytes + 64, np.uint8)
    start = -block.ctypes.data % 64
    copy = block[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    copy[...] = a
    return copy
