"""Convolutions on cuDNN, by the graphs of nvidia-cudnn-frontend: planned once for each geometry.

What cuDNN has no engine for, or only engines whose results differ from run to run, is left to our own kernels, and
cuDNN is not asked for it again.
"""

import logging
from importlib.metadata import version
from threading import Lock, local
from typing import Any, Final, NamedTuple, TypeAlias

from ..backend import Array
from ..precision import products_in_tf32
from .columns import add_bias
from .launch import Driver, driver

__all__ = ["convolve", "pull_image", "pull_weight", "status"]

_log = logging.getLogger("pullback")

Lengths: TypeAlias = tuple[int, ...]
Pairs: TypeAlias = tuple[tuple[int, int], ...]

_TYPES: Final = {"float32": "FLOAT", "float16": "HALF", "bfloat16": "BFLOAT16"}
_ALIGNED: Final = 16
"""The bytes at whose multiples arrays begin, as graphs take for granted."""
_KEPT: Final = 4096
"""Plans that are kept at most."""


class _Call(NamedTuple):
    """What a plan is made for."""

    function: str
    """The name that the convolution, or its gradient, has as a method of graphs."""
    ports: tuple[str, ...]
    """What that calls its arrays."""
    shapes: tuple[Lengths, ...]
    """Theirs, and the result's, in our order."""
    image: Lengths
    places: Lengths
    """The lengths of the convolution's image and of its result."""
    kernel: Lengths
    stride: Lengths
    padding: Pairs
    dilation: Lengths
    dtype: str
    tf32: bool
    biased: bool

    def window(self) -> dict[str, list[int]] | None:
        """How the kernel lies over the image, for cuDNN; None where it knows no such thing."""
        each = zip(self.image, self.places, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        before, after = [], []
        for length, places, size, step, (first, _), apart in each:
            exact = (places - 1) * step + apart * (size - 1) + 1 - length - first
            before.append(first)
            # Up to a stride more is padded to no effect: best as much as before, which more engines know.
            after.append(min(max(first, exact), exact + step - 1))
        if min(*before, *after) < 0:
            return None
        flat = len(self.kernel) == 1  # it has no images of one axis
        return {
            "pre_padding": [0] * flat + before,
            "post_padding": [0] * flat + after,
            "stride": [1] * flat + list(self.stride),
            "dilation": [1] * flat + list(self.dilation),
        }


class _Plan:
    """A graph that was built, and the numbers of its arrays. Raises cuDNN's errors where there is no engine."""

    def __init__(self, cudnn: Any, handle: Any, call: _Call, window: dict[str, list[int]]) -> None:
        kind, single = getattr(cudnn.data_type, _TYPES[call.dtype]), cudnn.data_type.FLOAT
        kinds = {"io_data_type": kind, "intermediate_data_type": single, "compute_data_type": single}
        graph = self.graph = cudnn.pygraph(name=call.function, handle=handle, **kinds)

        def given(name: str, shape: Lengths) -> Any:
            dim, stride = _channels_second(shape)
            return graph.tensor(name=name, dim=dim, stride=stride, data_type=kind)

        arrays = {port: given(port, shape) for port, shape in zip(call.ports, call.shapes, strict=False)}
        result = getattr(graph, call.function)(**arrays, **window)
        shape = call.shapes[-1]
        if call.biased:
            arrays["bias"] = given("bias", (*[1] * (len(shape) - 1), shape[-1]))
            result = graph.bias(name="add_bias", input=result, bias=arrays["bias"])
        dim, stride = _channels_second(shape)
        result.set_output(True)  # one by one: what these methods return is in some versions a copy
        result.set_data_type(kind)
        result.set_dim(dim)
        result.set_stride(stride)
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        note = cudnn.numerical_note
        rounding = [note.TENSOR_CORE, note.DOWN_CONVERT_INPUTS] if call.dtype == "float32" and not call.tf32 else []
        graph.deselect_numeric_notes([note.NONDETERMINISTIC, note.REDUCED_PRECISION_REDUCTION, *rounding])
        graph.check_support()
        graph.build_plans()
        self.numbers = [tensor.get_uid() for tensor in (*arrays.values(), result)]
        self.workspace = max(1, graph.get_workspace_size())

    def run(self, now: Driver, handle: Any, arrays: list[Array]) -> None:
        """Fill the last of the arrays."""
        scratch = now.xp.empty((self.workspace,), now.xp.uint8)
        places = dict(zip(self.numbers, map(now.address, arrays), strict=True))
        self.graph.execute(places, now.address(scratch), handle=handle)


def _channels_second(shape: Lengths) -> tuple[list[int], list[int]]:
    """The lengths and steps of an array (N, *lengths, C) as cuDNN counts its axes: N, C, *lengths."""
    n, *lengths, c = shape
    lengths = [1, *lengths] if len(lengths) == 1 else lengths
    steps = [c]
    for length in lengths[:0:-1]:
        steps.insert(0, steps[0] * length)
    return [n, c, *lengths], [steps[0] * lengths[0], 1, *steps]


_plans: dict[Any, _Plan | None] = {}
_building = Lock()
_handles = local()


def convolve(
    x: Array, weight: Array, bias: Array | None, y: Array, stride: Lengths, padding: Pairs, dilation: Lengths
) -> bool:
    """Fill y with a convolution, and say whether that was possible.

    x: (N, *lengths, in). weight: (out, *kernel, in/groups). bias: (out,), or None. All are contiguous.
    """
    call = "conv_fprop", ("image", "weight"), x.shape, y.shape, weight.shape, stride, padding, dilation
    return _filled(*call, [x, weight], bias, y)


def pull_image(
    g: Array, weight: Array, bias: Array | None, y: Array, stride: Lengths, padding: Pairs, dilation: Lengths
) -> bool:
    """Fill y with the gradient of a convolution's image, for the gradient g of its result; see `convolve`."""
    call = "conv_dgrad", ("loss", "filter"), y.shape, g.shape, weight.shape, stride, padding, dilation
    return _filled(*call, [g, weight], bias, y)


def pull_weight(x: Array, g: Array, y: Array, stride: Lengths, padding: Pairs, dilation: Lengths) -> bool:
    """Fill y with the gradient of a convolution's weight, for the gradient g of its result; see `convolve`."""
    call = "conv_wgrad", ("image", "loss"), x.shape, g.shape, y.shape, stride, padding, dilation
    return _filled(*call, [x, g], None, y)


def _filled(
    function: str, ports: tuple[str, ...], image: Lengths, places: Lengths, weight: Lengths, stride: Lengths,
    padding: Pairs, dilation: Lengths, inputs: list[Array], bias: Array | None, y: Array,
) -> bool:  # fmt: skip
    now = driver()
    if now.cudnn is None or y.dtype.name not in _TYPES:
        return False
    given = inputs if bias is None else [*inputs, bias]
    if any(now.address(a) % _ALIGNED for a in (*given, y)):
        return False
    device, stream = now.place()
    shapes = *(a.shape for a in inputs), y.shape
    lengths = image[1:-1], places[1:-1], weight[1:-1]
    call = _Call(
        function, ports, shapes, *lengths, stride, padding, dilation, y.dtype.name, products_in_tf32(),
        bias is not None and function == "conv_fprop",
    )  # fmt: skip
    plan = _plan(now, device, stream, call)
    if plan is None and call.biased:
        plan = _plan(now, device, stream, call._replace(biased=False))
        given = inputs
    elif not call.biased:
        given = inputs
    if plan is None:
        return False
    plan.run(now, _handle(now, device, stream), [*given, y])
    if bias is not None and given is inputs:
        add_bias(y, bias, relu=False)
    return True


def _plan(now: Driver, device: int, stream: int, call: _Call) -> _Plan | None:
    """The plan for a call; None where cuDNN has none."""
    key = now, device, call
    try:
        return _plans[key]
    except KeyError:
        pass
    with _building:
        if key not in _plans:
            if len(_plans) >= _KEPT:
                _plans.clear()
            _plans[key] = None
            window = call.window()
            if window is not None:
                try:
                    _plans[key] = _Plan(now.cudnn, _handle(now, device, stream), call, window)
                except Exception as error:  # what graphs are refused with differs from version to version
                    _log.info("cuDNN does not take %s of %s: %s", call.function, call.shapes, error)
        return _plans[key]


def _handle(now: Driver, device: int, stream: int) -> Any:
    """This thread's handle on a device, set to a stream."""
    known = _handles.__dict__.setdefault("known", {})
    handle = known.get((now, device))
    if handle is None:
        handle = known[now, device] = now.cudnn.create_handle()
    now.cudnn.set_stream(handle=handle, stream=stream)
    return handle


def status() -> str:
    """What convolutions run on: the library and its version, for people to read."""
    cudnn = driver().cudnn
    if cudnn is None:
        return "pullback's own kernels"
    return f"cuDNN {cudnn.backend_version_string()} through nvidia-cudnn-frontend {version('nvidia-cudnn-frontend')}"
