"""Normalization layers, with channels last."""

from collections.abc import Container, Sequence
from math import prod
from typing import Any, ClassVar

from ..autodiff.checkpoint import repeatable
from ..backends import Array, backend_of
from ..ops.creation import asarray, empty, ones, zeros
from ..ops.manipulation import expand_dims, squeeze
from ..ops.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    instance_statistics,
    layer_norm,
    local_response_norm,
    rms_norm,
    running_statistics,
    standardize,
)  # fmt: skip
from ..ops.sizes import shape_of, whole
from .init import ones_, zeros_
from .module import Module, Parameter

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
    "LayerNorm", "LocalResponseNorm", "RMSNorm",
]  # fmt: skip


class _Affine(Module):
    """What normalization layers share: a weight of ones and a bias of zeros, or None in their place."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_parameters(self, shape: Any, weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            made = Parameter(empty(shape, dtype=dtype, device=device)) if wanted else None
            self.register_parameter(name, made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The weight is 1 and the bias 0 again."""
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)

    def _check(self, x: Array, channels: int, ranks: Container[int], shapes: str) -> None:
        """Raises TypeError for what is no array, ValueError for other axes or channels. shapes: what is taken."""
        shape = shape_of(type(self).__name__, x)
        if len(shape) not in ranks or shape[-1] != channels:
            raise ValueError(
                f"{type(self).__name__}({self.extra_repr()}) takes {shapes.format(channels)}, channels last; "
                f"got shape {shape}. pb.moveaxis(x, 1, -1) moves channels"
            )


class _RunningNorm(_Affine):
    """What batch and instance normalization share: running statistics as buffers."""

    ranks: ClassVar[tuple[int, ...]]
    """How many axes the input may have."""
    lengths: ClassVar[str]
    """Those axes, as they are written."""
    counts: ClassVar[bool] = True
    """Whether the batches are counted."""
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool, track_running_stats: bool,
        bias: bool, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        num_features = whole(num_features, "num_features", least=0)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._make_parameters(num_features, affine, affine and bias, device, dtype)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, dtype=dtype, device=device) if tracked else None)
        self.register_buffer("running_var", ones(num_features, dtype=dtype, device=device) if tracked else None)
        self.register_buffer("num_batches_tracked", asarray(0, dtype="int64", device=device) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget what was tracked: the mean is 0 again, the variance 1."""
        if self.track_running_stats:
            zeros_(self.running_mean)
            ones_(self.running_var)
            zeros_(self.num_batches_tracked)

    def _track(self, batch_mean: Array, batch_var: Array, size: int, momentum: float | None) -> None:
        """Take the statistics of one more batch into the running ones; where a checkpoint runs again, not again."""
        repeatable(lambda: self._take(batch_mean, batch_var, size, momentum))

    def _take(self, batch_mean: Array, batch_var: Array, size: int, momentum: float | None) -> None:
        buffers = self.running_mean, self.running_var, self.num_batches_tracked
        renewed = running_statistics(*buffers, batch_mean, batch_var, size=size, momentum=momentum)
        if backend_of(renewed[0].array) is not backend_of(buffers[0].array):
            raise TypeError(
                f"{type(self).__name__} cannot keep the statistics of a batch that is being traced or mapped over: "
                "pass its buffers as the trace's state, or to functional_call; or choose track_running_stats=False"
            )
        for buffer, value in zip(buffers[: 3 if self.counts else 2], renewed, strict=False):
            buffer.array = value.array

    def extra_repr(self) -> str:
        """The channels, and how the statistics are taken."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_RunningNorm):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, device, dtype)

    def forward(self, x: Array) -> Array:
        """x: see the class. Returns the same shape and dtype."""
        self._check(x, self.num_features, self.ranks, self.lengths)
        if not self.training and self.track_running_stats:
            return standardize(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        size = prod(x.shape[:-1])
        if self.training and size == 1:
            raise ValueError(
                f"{type(self).__name__} takes more than one value for each channel in training, since one has no "
                f"variance; got shape {tuple(x.shape)}. Leave out the last batch (drop_last=True), or call eval()"
            )
        y, batch_mean, batch_var = batch_norm(x, self.weight, self.bias, eps=self.eps)
        if self.training and self.track_running_stats and size:
            self._track(batch_mean, batch_var, size, self.momentum)
        return y


class BatchNorm1d(_BatchNorm):
    """Brings each channel to mean 0 and variance 1 over the batch, times weight, plus bias (Ioffe and Szegedy, 2015).

    num_features: the number of channels C. Input: (N, C) or (N, L, C).
    eps: added to the variance.
    momentum: the share of a new batch in the running statistics; None averages over all batches alike.
    affine: False leaves weight and bias out; bias: False leaves the bias out.
    track_running_stats: False normalizes by the batch in evaluation mode too.
    device, dtype: where and as what parameters and buffers are made; by default on the current backend, float32.

    In training mode the statistics are the batch's own, and the running ones follow them (the variance corrected for
    the size of the batch); in evaluation mode they are the running ones.
    Raises ValueError for another shape, and in training for a batch of one value for each channel.

    >>> import pullback as pb
    >>> layer = BatchNorm1d(2)
    >>> layer(pb.tensor([[0.0, 1.0], [2.0, 5.0]])).shape
    (2, 2)
    >>> layer.running_mean.tolist()
    [0.10000000149011612, 0.30000001192092896]
    """

    ranks, lengths = (2, 3), "(N, {0}) or (N, L, {0})"


class BatchNorm2d(_BatchNorm):
    """As `BatchNorm1d`, for images: (N, H, W, C)."""

    ranks, lengths = (4,), "(N, H, W, {0})"


class BatchNorm3d(_BatchNorm):
    """As `BatchNorm1d`, for volumes: (N, D, H, W, C)."""

    ranks, lengths = (5,), "(N, D, H, W, {0})"


class _InstanceNorm(_RunningNorm):
    counts = False

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, device, dtype)

    def forward(self, x: Array) -> Array:
        """x: see the class. Returns the same shape and dtype."""
        self._check(x, self.num_features, self.ranks, self.lengths)
        if len(x.shape) == self.ranks[0]:
            return squeeze(self._of_batch(expand_dims(x, axis=0)), axis=0)
        return self._of_batch(x)

    def _of_batch(self, x: Array) -> Array:
        if not self.training and self.track_running_stats:
            return standardize(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        size = prod(x.shape[1:-1])
        if size == 1:
            raise ValueError(
                f"{type(self).__name__} takes more than one position, since one has no variance; got shape "
                f"{tuple(x.shape)}"
            )
        if self.training and self.track_running_stats:
            self._track(*instance_statistics(x), size, self.momentum or 0.0)
        return instance_norm(x, self.weight, self.bias, eps=self.eps)


class InstanceNorm1d(_InstanceNorm):
    """Brings each channel of each sample to mean 0 and variance 1 (Ulyanov, Vedaldi and Lempitsky, 2016).

    num_features: the number of channels C. Input: (N, L, C), or (L, C) without a batch.
    affine: True learns a weight and a bias, unless `bias` is False.
    track_running_stats: True keeps running statistics with the share `momentum`, which then serve in evaluation mode.
    Other arguments as for `BatchNorm1d`.
    Raises ValueError for another shape, and where there is one position only.

    >>> import pullback as pb
    >>> InstanceNorm1d(1, eps=0.0)(pb.tensor([[[1.0], [3.0]], [[0.0], [4.0]]])).tolist()
    [[[-1.0], [1.0]], [[-1.0], [1.0]]]
    """

    ranks, lengths = (2, 3), "(N, L, {0}) or (L, {0})"


class InstanceNorm2d(_InstanceNorm):
    """As `InstanceNorm1d`, for images: (N, H, W, C) or (H, W, C)."""

    ranks, lengths = (3, 4), "(N, H, W, {0}) or (H, W, {0})"


class InstanceNorm3d(_InstanceNorm):
    """As `InstanceNorm1d`, for volumes: (N, D, H, W, C) or (D, H, W, C)."""

    ranks, lengths = (4, 5), "(N, D, H, W, {0}) or (D, H, W, {0})"


class LayerNorm(_Affine):
    """Brings each sample to mean 0 and variance 1 over its last axes, times weight, plus bias (Ba et al., 2016).

    normalized_shape: the lengths of those axes; a number for the last one alone. Of whole images it is (H, W, C).
    eps: added to the variance.
    elementwise_affine: False leaves weight and bias out; bias: False leaves the bias out.
    device, dtype: where and as what the parameters are made; by default on the current backend, float32.
    Raises ValueError for an input whose last axes have other lengths.

    >>> import pullback as pb
    >>> LayerNorm(2, eps=0.0)(pb.tensor([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make_parameters(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, x: Array) -> Array:
        """x: (..., *normalized_shape). Returns the same shape and dtype."""
        return layer_norm(x, self.weight, self.bias, normalized_shape=self.normalized_shape, eps=self.eps)

    def extra_repr(self) -> str:
        """The shape, and what is learnt."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(_Affine):
    """Divides each sample by its root mean square along its last axes, times weight (Zhang and Sennrich, 2019).

    normalized_shape: the lengths of those axes; a number for the last one alone.
    eps: added to the mean square; None for the dtype's own, by which 1 and the next number differ.
    elementwise_affine: False leaves the weight out.
    device, dtype: where and as what the weight is made; by default on the current backend, float32.
    Raises ValueError for an input whose last axes have other lengths.

    >>> import pullback as pb
    >>> RMSNorm(2)(pb.tensor([[3.0, -3.0]])).tolist()
    [[1.0, -1.0]]
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make_parameters(self.normalized_shape, elementwise_affine, False, device, dtype)
        del self.bias  # there never is one

    def forward(self, x: Array) -> Array:
        """x: (..., *normalized_shape). Returns the same shape and dtype."""
        return rms_norm(x, self.weight, normalized_shape=self.normalized_shape, eps=self.eps)

    def extra_repr(self) -> str:
        """The shape, and what is learnt."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """Brings groups of channels to mean 0 and variance 1 in each sample, times weight, plus bias (Wu and He, 2018).

    num_groups: into how many groups the num_channels are parted, in order. Input: (N, ..., num_channels).
    eps: added to the variance.
    affine: False leaves weight and bias out; bias: False leaves the bias out.
    device, dtype: where and as what the parameters are made; by default on the current backend, float32.
    Raises ValueError where the groups would not be of one size, and for an input with other channels.

    >>> import pullback as pb
    >>> GroupNorm(2, 4)(pb.ones((8, 5, 5, 4))).shape
    (8, 5, 5, 4)
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Any = None,
        dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        num_groups, num_channels = whole(num_groups, "num_groups"), whole(num_channels, "num_channels", least=0)
        if num_channels % num_groups:
            raise ValueError(f"num_channels is a multiple of num_groups; got GroupNorm({num_groups}, {num_channels})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._make_parameters(num_channels, affine, affine and bias, device, dtype)

    def forward(self, x: Array) -> Array:
        """x: (N, ..., num_channels). Returns the same shape and dtype."""
        self._check(x, self.num_channels, range(2, 1 << 16), "(N, ..., {0})")
        return group_norm(x, self.weight, self.bias, num_groups=self.num_groups, eps=self.eps)

    def extra_repr(self) -> str:
        """The groups, the channels, and what is learnt."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LocalResponseNorm(Module):
    """Divides by (k + alpha * the mean square of `size` neighbouring channels)**beta (Krizhevsky et al., 2012).

    Input: (N, ..., C). Channels beyond the ends count as 0.

    >>> import pullback as pb
    >>> LocalResponseNorm(2)(pb.ones((1, 4, 4, 8))).shape
    (1, 4, 4, 8)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = whole(size, "size")
        self.alpha, self.beta, self.k = alpha, beta, k

    def forward(self, x: Array) -> Array:
        """x: (N, ..., C), floating. Returns the same shape and dtype."""
        return local_response_norm(x, size=self.size, alpha=self.alpha, beta=self.beta, k=self.k)

    def extra_repr(self) -> str:
        """The four numbers."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    given = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    return tuple(whole(length, "normalized_shape", least=0) for length in given)
