"""Distances of vectors as modules."""

from ..backends import Array
from ..ops.loss import cosine_similarity, pairwise_distance
from .module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """The p-norm of the difference of vectors along the last axis.

    eps: added to each difference. keepdim: leave an axis of length 1 where the last one was.

    >>> import pullback as pb
    >>> round(PairwiseDistance()(pb.tensor([[0.0, 0.0]]), pb.tensor([[3.0, 4.0]])).item(), 4)
    5.0
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Array, x2: Array) -> Array:
        """x1, x2: (..., D), broadcast together. Returns (...), or (..., 1) with `keepdim`."""
        return pairwise_distance(x1, x2, p=self.norm, eps=self.eps, keepdims=self.keepdim)

    def extra_repr(self) -> str:
        """The norm."""
        return f"p={self.norm}"


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along the axis `dim`.

    eps: the least length; shorter vectors count as this long.

    >>> import pullback as pb
    >>> CosineSimilarity()(pb.tensor([[0.0, 2.0]]), pb.tensor([[0.0, 5.0]]))
    Tensor([1.], dtype=float32)
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Array, x2: Array) -> Array:
        """x1, x2: broadcast together. Returns their shape without the axis `dim`."""
        return cosine_similarity(x1, x2, axis=self.dim, eps=self.eps)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"
