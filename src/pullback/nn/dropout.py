"""Dropout: noise while training, nothing while evaluating."""

from typing import ClassVar

from ..backends import Array
from ..ops.random import alpha_dropout, drop_path, dropout
from .module import Module

__all__ = [
    "AlphaDropout", "DropPath", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout",
]  # fmt: skip


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout drops a share p between 0 and 1; got {p!r}")
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        """The share that is dropped."""
        return f"p={self.p}"


class Dropout(_Dropout):
    """While training, sets a share `p` of the elements to 0 and scales the others by 1 / (1 - p).

    inplace: has no effect; nothing is overwritten here.
    In evaluation mode it gives its input back. The elements are chosen by the default generator, so
    `pb.manual_seed` decides them (Srivastava et al., 2014).
    Raises ValueError when p lies outside [0, 1].

    >>> import pullback as pb
    >>> layer = Dropout(0.5)
    >>> layer.eval()(pb.ones(3))
    Tensor([1., 1., 1.], dtype=float32)
    """

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return dropout(x, p=self.p, training=self.training)


class _ChannelDropout(_Dropout):
    axes: ClassVar[dict[int, tuple[int, ...]]]
    """For each number of axes that the input may have, those along which is drawn."""
    shapes: ClassVar[str]

    def forward(self, x: Array) -> Array:
        """x: see the class. Returns the same shape and dtype."""
        axes = self.axes.get(len(x.shape))
        if axes is None:
            raise ValueError(f"{type(self).__name__} takes {self.shapes}, channels last; got shape {tuple(x.shape)}")
        return dropout(x, p=self.p, training=self.training, axes=axes)


class Dropout1d(_ChannelDropout):
    """`Dropout` of whole channels: (N, L, C), or (L, C) without a batch (Tompson et al., 2015).

    Raises ValueError for another shape.

    >>> import pullback as pb
    >>> dropped = Dropout1d()(pb.ones((1, 100, 3)))
    >>> bool(pb.all(dropped == dropped[:, :1]))
    True
    """

    axes, shapes = {3: (0, -1), 2: (-1,)}, "(N, L, C) or (L, C)"


class Dropout2d(_ChannelDropout):
    """As `Dropout1d`, for images: (N, H, W, C); and for (N, L, C), as PyTorch has it."""

    axes, shapes = {4: (0, -1), 3: (0, -1)}, "(N, H, W, C) or (N, L, C)"


class Dropout3d(_ChannelDropout):
    """As `Dropout1d`, for volumes: (N, D, H, W, C) or (D, H, W, C)."""

    axes, shapes = {5: (0, -1), 4: (-1,)}, "(N, D, H, W, C) or (D, H, W, C)"


class AlphaDropout(_Dropout):
    """Dropout for networks of SELU: it keeps mean 0 and variance 1 (Klambauer et al., 2017).

    A share `p` of the elements is set to the value that SELU saturates at; then all are scaled and shifted. Otherwise
    as `Dropout`.

    >>> import pullback as pb
    >>> AlphaDropout(0.2).eval()(pb.ones(2)).tolist()
    [1.0, 1.0]
    """

    def forward(self, x: Array) -> Array:
        """x: any shape, floating. Returns the same shape and dtype."""
        return alpha_dropout(x, p=self.p, training=self.training)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels: (N, ..., C)."""

    def forward(self, x: Array) -> Array:
        """x: (N, ..., C), floating. Returns the same shape and dtype."""
        return alpha_dropout(x, p=self.p, training=self.training, axes=(0, -1))


class DropPath(Module):
    """While training, sets whole samples to 0: a residual branch that is skipped at random (Huang et al., 2016).

    drop_prob: the share of the samples. scale_by_keep: the others grow by 1 / (1 - drop_prob).
    In evaluation mode it gives its input back. Arguments and meaning are those of the layer in `timm`.
    Raises ValueError when drop_prob lies outside [0, 1].

    >>> import pullback as pb
    >>> DropPath(0.1).eval()(pb.ones((2, 2))).shape
    (2, 2)
    """

    def __init__(self, drop_prob: float = 0.0, scale_by_keep: bool = True) -> None:
        super().__init__()
        if not 0 <= drop_prob <= 1:
            raise ValueError(f"DropPath drops a share drop_prob between 0 and 1; got {drop_prob!r}")
        self.drop_prob, self.scale_by_keep = drop_prob, scale_by_keep

    def forward(self, x: Array) -> Array:
        """x: (N, ...), floating. Returns the same shape and dtype."""
        return drop_path(x, drop_prob=self.drop_prob, training=self.training, scale_by_keep=self.scale_by_keep)

    def extra_repr(self) -> str:
        """The share that is dropped."""
        return f"drop_prob={self.drop_prob}, scale_by_keep={self.scale_by_keep}"
