"""The layer of a perceptron, an affine map and its activation, as one op; and that with another map behind it.

They are what `linear` and the activations give; but a backend can add the bias and rectify while the product is still
at hand, and on the way back pull a gradient through the activation, and sum it for the bias, while it has that of the
product behind it.
"""

from typing import Any, Final

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, normal
from ..autodiff.op import op
from ..autodiff.tensor import Tensor
from ..backends import Array, Namespace
from .activation import gelu, relu
from .activation.smooth import pulled_through_gelu
from .linear_algebra import linear, matmul, pulled_to_weight

__all__ = ["feed_forward", "linear_relu"]

ACTIVATIONS: Final = {"relu": None, "gelu": "none", "gelu_tanh": "tanh"}
"""Those of `feed_forward`, and how `gelu` is told of its own."""


@autocasts_to("low")
@op(
    examples=[
        example(normal(5, 3), normal(4, 3), normal(4)),
        example(normal(5, 3), normal(4, 3)),
        example(normal(2, 5, 3), normal(4, 3), normal(4)),
        example(normal(3), normal(4, 3), normal(4)),
    ]
)
def _linear_relu(xp: Namespace, x: Array, weight: Array, bias: Array | None = None, /, *, pull_x: bool = True) -> Array:
    """What `linear_relu` gives. pull_x: False where x needs no gradient, which then is not computed."""
    return relu(linear(x, weight, bias))


@_linear_relu.vjp("x", "weight", "bias")
def _(
    xp: Namespace, g: Array, x: Array, weight: Array, bias: Array | None, y: Array, *, pull_x: bool
) -> tuple[Array | None, Array, Array]:
    g = xp.where(y > 0, g, xp.zeros_like(g))
    return matmul(g, weight) if pull_x else None, pulled_to_weight(xp, g, x), g


def linear_relu(x: Array, weight: Array, bias: Array | None = None) -> Any:
    """x @ weight.T + bias where that is positive, else 0: a layer of a perceptron.

    x: (..., in). weight: (out, in). bias: (out,), or None. Returns (..., out).

    >>> import pullback as pb
    >>> linear_relu(pb.asarray([[1.0, 2.0]]), pb.asarray([[1.0, 1.0], [1.0, -1.0]]))
    Tensor([[3., 0.]], dtype=float32)
    """
    return _linear_relu(x, weight, bias, pull_x=not isinstance(x, Tensor) or x.requires_grad)


_MAPS = (normal(4, 3), normal(4), normal(2, 4), normal(2))


@autocasts_to("low")
@op(
    examples=[
        example(normal(5, 3), *_MAPS, approximate=None),
        example(normal(5, 3), *_MAPS, approximate="none"),
        example(normal(5, 3), *_MAPS, approximate="tanh"),
        example(normal(2, 5, 3), normal(4, 3), None, normal(2, 4), normal(2), approximate="tanh"),
        example(normal(3), normal(4, 3), normal(4), normal(2, 4), None, approximate=None),
        example(normal(3), normal(4, 3), None, normal(2, 4), None, approximate="none"),
    ]
)
def _feed_forward(
    xp: Namespace,
    x: Array,
    weight1: Array,
    bias1: Array | None,
    weight2: Array,
    bias2: Array | None,
    /,
    *,
    approximate: str | None,
    frozen: tuple[str, ...] = (),
) -> tuple[Array, Array, Array]:
    """What `feed_forward` gives; what is between its maps; and of what the activation's gradient is found.

    That is GELU's input, or relu's result. approximate: of GELU; None has relu in its place.
    frozen: the inputs that need no gradient.
    """
    kept = linear(x, weight1, bias1)
    if approximate is None:
        hidden = kept = relu(kept)
    else:
        hidden = gelu(kept, approximate=approximate)
    return linear(hidden, weight2, bias2), hidden, kept


@_feed_forward.vjp("x", "weight1", "bias1", "weight2", "bias2", zeros=False)
def _(
    xp: Namespace,
    g: tuple[Array | None, ...],
    x: Array,
    weight1: Array,
    weight2: Array,
    y1: Array,
    y2: Array,
    *,
    approximate: str | None,
    frozen: tuple[str, ...],
) -> tuple[Array | None, ...]:
    of_y, of_hidden, of_kept = g
    if of_y is None:
        of_y = xp.zeros((*y1.shape[:-1], weight2.shape[0]), dtype=y1.dtype, device=y1.device)
    of_weight2 = None if "weight2" in frozen else pulled_to_weight(xp, of_y, y1)
    of_hidden = _sum(matmul(of_y, weight2), of_hidden)
    if approximate is None:
        of_before = xp.where(y2 > 0, _sum(of_hidden, of_kept), xp.zeros_like(y2))
    else:
        of_before = _sum(pulled_through_gelu(xp, of_hidden, y2, approximate=approximate), of_kept)
    of_x = None if "x" in frozen else matmul(of_before, weight1)
    of_weight1 = None if "weight1" in frozen else pulled_to_weight(xp, of_before, x)
    return of_x, of_weight1, of_before, of_weight2, of_y


def _sum(a: Array, b: Array | None) -> Array:
    return a if b is None else a + b


def feed_forward(
    x: Array,
    weight1: Array,
    bias1: Array | None,
    weight2: Array,
    bias2: Array | None = None,
    *,
    activation: str = "relu",
) -> Any:
    """An affine map, an activation and another map: a transformer's feed-forward network (Vaswani et al., 2017).

    x: (..., in). weight1: (hidden, in). bias1: (hidden,), or None. weight2: (out, hidden). bias2: (out,), or None.
    activation: `"relu"`, `"gelu"`, or `"gelu_tanh"`, GELU's approximation by tanh.
    Returns (..., out). Raises ValueError for another activation.

    >>> import pullback as pb
    >>> eye = pb.eye(2)
    >>> feed_forward(pb.asarray([[1.0, -2.0]]), eye, None, 3.0 * eye, pb.asarray([0.5, 0.5]))
    Tensor([[3.5, 0.5]], dtype=float32)
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is one of {', '.join(map(repr, ACTIVATIONS))}; got {activation!r}")
    given = (x, weight1, bias1, weight2, bias2)
    pairs = zip(_INPUTS, given, strict=True)
    frozen = tuple([name for name, a in pairs if not isinstance(a, Tensor) or a.node is None])
    return _feed_forward(*given, approximate=ACTIVATIONS[activation], frozen=frozen)[0]


_INPUTS: Final = ("x", "weight1", "bias1", "weight2", "bias2")
