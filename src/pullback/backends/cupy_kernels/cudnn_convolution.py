"""Convolutions on cuDNN; engines whose results differ from run to run are not for us."""

from typing import Any, NamedTuple, TypeAlias

from ..backend import Array
from ..precision import products_in_tf32
from .columns import add_bias
from .cudnn_graphs import TYPES, Layout, Lengths, Plan, fill
from .launch import driver, type_of

__all__ = ["convolve", "pull_image", "pull_weight"]

Pairs: TypeAlias = tuple[tuple[int, int], ...]


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

    def plan(self, cudnn: Any, handle: Any) -> Plan | None:
        window = self.window()
        if window is None:
            return None
        plan = Plan(cudnn, handle, self.function, self.dtype)
        each = zip(self.ports, self.shapes, strict=False)
        result = getattr(plan.graph, self.function)(
            **{port: plan.given(port, _channels_second(shape)) for port, shape in each}, **window
        )
        shape = self.shapes[-1]
        if self.biased:
            bias = plan.given("bias", _channels_second((*[1] * (len(shape) - 1), shape[-1])))
            result = plan.graph.bias(name="add_bias", input=result, bias=bias)
        plan.gives(result, _channels_second(shape))
        note = cudnn.numerical_note
        rounding = [note.TENSOR_CORE, note.DOWN_CONVERT_INPUTS] if self.dtype == "float" and not self.tf32 else []
        plan.finish(
            barred_notes=[note.NONDETERMINISTIC, note.REDUCED_PRECISION_REDUCTION, *rounding], barred_engines=[]
        )
        return plan

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


def _channels_second(shape: Lengths) -> Layout:
    """How a contiguous array (N, *lengths, C) lies, its axes as cuDNN counts them: N, C, *lengths."""
    n, *lengths, c = shape
    lengths = [1, *lengths] if len(lengths) == 1 else lengths
    steps = [c]
    for length in lengths[:0:-1]:
        steps.insert(0, steps[0] * length)
    return (n, c, *lengths), (steps[0] * lengths[0], 1, *steps)


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
    dtype = type_of(y.dtype)
    if driver().cudnn is None or dtype not in TYPES:
        return False
    shapes = *(a.shape for a in inputs), y.shape
    lengths = image[1:-1], places[1:-1], weight[1:-1]
    call = _Call(function, ports, shapes, *lengths, stride, padding, dilation, dtype, products_in_tf32(), False)
    if bias is not None and function == "conv_fprop" and fill(call._replace(biased=True), [*inputs, bias, y]):
        return True
    if not fill(call, [*inputs, y]):
        return False
    if bias is not None:
        add_bias(y, bias, relu=False)
    return True
