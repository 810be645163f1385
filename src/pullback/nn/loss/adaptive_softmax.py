"""Adaptive softmax as a module: for many classes, of which most are rare."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...backends import Array
from ...ops.loss import adaptive_log_prob, adaptive_log_softmax_with_loss
from ...ops.searching import argmax
from ...ops.sizes import whole
from ..containers import ModuleList, Sequential
from ..linear import Linear
from ..module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class AdaptiveLogSoftmaxOutput(NamedTuple):
    """What an `AdaptiveLogSoftmaxWithLoss` gives."""

    output: Any
    """Each sample's log-probability of its class, (N,) or ()."""
    loss: Any
    """Their mean, negative: 0-d."""


class AdaptiveLogSoftmaxWithLoss(Module):
    """Adaptive softmax with its negative log-likelihood (Grave et al., 2017).

    The classes are sorted, the frequent ones first. Those below `cutoffs[0]` are scored for every sample; the rest
    stand in clusters, each scored only for the samples whose class falls into it.
    cutoffs: where the shortlist and each cluster but the last end, ascending, in (0, n_classes).
    div_value: the features of the i-th cluster are in_features // div_value ** i.
    head_bias: whether the head, the shortlist's and clusters' scores, has a bias.
    Raises ValueError for cutoffs that are none, TypeError for what is no whole number.

    >>> import pullback as pb
    >>> model = AdaptiveLogSoftmaxWithLoss(8, 100, cutoffs=[10, 50])
    >>> model.log_prob(pb.zeros((3, 8))).shape
    (3, 100)
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        in_features, n_classes = whole(in_features, "in_features", least=0), whole(n_classes, "n_classes")
        cutoffs = [whole(c, "each of cutoffs") for c in cutoffs]
        ascending = all(low < high for low, high in zip([0, *cutoffs], [*cutoffs, n_classes], strict=True))
        if not cutoffs or not ascending:
            raise ValueError(f"cutoffs are whole numbers that ascend between 0 and {n_classes}; got {cutoffs}")
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        place = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.shortlist_size + self.n_clusters, bias=head_bias, **place)
        self.tail = ModuleList()
        for number, (low, high) in enumerate(zip(cutoffs, self.cutoffs[1:], strict=True), 1):
            features = int(in_features // div_value**number)
            projection = Linear(in_features, features, bias=False, **place)
            self.tail.append(Sequential(projection, Linear(features, high - low, bias=False, **place)))

    def forward(self, input: Array, target: Array) -> AdaptiveLogSoftmaxOutput:
        """input: (N, in_features), or (in_features,). target: (N,) or (), integer classes.

        Returns (output, loss). Raises ValueError for a class outside [0, n_classes).
        """
        return AdaptiveLogSoftmaxOutput(
            *adaptive_log_softmax_with_loss(input, target, *self._weights(), cutoffs=self.cutoffs)
        )

    def log_prob(self, input: Array) -> Any:
        """The log-probabilities of all classes: (N, in_features) gives (N, n_classes)."""
        return adaptive_log_prob(input, *self._weights(), cutoffs=self.cutoffs)

    def predict(self, input: Array) -> Any:
        """The most probable class of each sample: (N, in_features) gives (N,)."""
        return argmax(self.log_prob(input), axis=-1)

    def _weights(self) -> tuple[Any, Any]:
        tails: list[Any] = list(self.tail)
        return (self.head.weight, self.head.bias), [(tail[0].weight, tail[1].weight) for tail in tails]

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_features={self.in_features}, n_classes={self.n_classes}, cutoffs={self.cutoffs[:-1]}"
