"""Distances and similarities of vectors."""

from ...autodiff.autocast import autocasts_to
from ...autodiff.examples import example, normal, uniform, values
from ...autodiff.tensor import array_of
from ...backends import Array, Namespace, array_beside
from ...backends.host import host
from ..floating import check_floating, floating_op
from ..indexing import take
from ..linalg import vector_norm
from ..precision import in_float32

__all__ = ["cdist", "cosine_similarity", "pairwise_distance", "pdist"]


@autocasts_to("float32")
@floating_op(
    examples=[
        example(normal(5, 3), normal(5, 3)),
        example(normal(2, 5, 3), normal(3), p=3.0, keepdims=True),
        *(example(normal(5, 3), normal(5, 3), p=p, eps=0.0) for p in (1.0, float("inf"))),
    ]
)
@in_float32
def pairwise_distance(
    xp: Namespace, x1: Array, x2: Array, /, *, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False
) -> Array:
    """The p-norm of the difference of vectors along the last axis.

    x1, x2: (..., D), broadcast together. eps: added to each difference, so that equal vectors have a gradient.
    keepdims: leave an axis of length 1 where the last one was. Returns (...), or (..., 1).

    >>> import pullback as pb
    >>> round(pairwise_distance(pb.tensor([0.0, 0.0]), pb.tensor([3.0, 4.0])).item(), 4)
    5.0
    """
    check_floating("pairwise_distance", x2)
    return vector_norm(x1 - x2 + eps, ord=p, axis=-1, keepdims=keepdims)


@autocasts_to("float32")
@floating_op(
    examples=[
        example(normal(4, 3), normal(4, 3)),
        example(normal(2, 3, 4), normal(4), axis=-1),
        example(normal(3), normal(3), axis=0, eps=10.0),
    ]
)
@in_float32
def cosine_similarity(xp: Namespace, x1: Array, x2: Array, /, *, axis: int = 1, eps: float = 1e-8) -> Array:
    """The cosine of the angle between vectors along an axis.

    x1, x2: broadcast together. eps: the least length; shorter vectors count as this long.
    Returns the broadcast shape without that axis.
    """
    check_floating("cosine_similarity", x2)
    x1, x2 = (x / xp.maximum(vector_norm(x, axis=axis, keepdims=True), eps) for x in xp.broadcast_arrays(x1, x2))
    return xp.sum(x1 * x2, axis=axis)


@autocasts_to("float32")
@floating_op(
    examples=[
        example(normal(4, 3), normal(5, 3)),
        *(example(uniform(2, 4, 3, low=-2, high=0), uniform(5, 3, low=0.1), p=p) for p in (1.0, 3.0, float("inf"))),
        example(values([[0.0, 1.0], [2.0, 3.0]]), values([[0.5, 1.5]])),
    ]
)
def cdist(xp: Namespace, x1: Array, x2: Array, /, *, p: float = 2.0) -> Array:
    """The p-norm of the difference of each vector of one set and each of another.

    x1: (..., P, D). x2: (..., R, D). Returns (..., P, R). Equal vectors have a gradient of 0.
    All differences are held at once, which takes the memory of (..., P, R, D).

    >>> import pullback as pb
    >>> cdist(pb.tensor([[0.0], [1.0]]), pb.tensor([[0.0], [2.0], [4.0]]))
    Tensor([[0., 2., 4.],
            [1., 1., 3.]], dtype=float32)
    """
    check_floating("cdist", x2)
    if len(x1.shape) < 2 or len(x2.shape) < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"cdist takes (..., P, D) and (..., R, D); got {tuple(x1.shape)} and {tuple(x2.shape)}")
    return vector_norm(xp.expand_dims(x1, axis=-2) - xp.expand_dims(x2, axis=-3), ord=p, axis=-1)


@autocasts_to("float32")
@floating_op(examples=[example(normal(5, 3)), example(normal(4, 2), p=1.0), example(normal(1, 2))])
def pdist(xp: Namespace, x: Array, /, *, p: float = 2.0) -> Array:
    """The p-norm of the difference of each two vectors of a set.

    x: (N, D). Returns (N * (N - 1) / 2,): the distances of 0 to 1, 0 to 2, ..., 1 to 2, ...
    """
    if len(x.shape) != 2:
        raise ValueError(f"pdist takes (N, D); got {tuple(x.shape)}")
    first, second = (array_beside(array_of(x), i) for i in host.triu_indices(x.shape[0], 1))
    return vector_norm(take(x, first, axis=0) - take(x, second, axis=0), ord=p, axis=-1)
