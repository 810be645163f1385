"""Embedding, a table whose rows are learnt; and EmbeddingBag, which puts rows together."""

from typing import Any

from ..autodiff.tape import no_grad
from ..autodiff.tensor import Tensor, array_of
from ..backends import Array
from ..ops.creation import empty
from ..ops.embedding import Mode, embedding, embedding_bag, renormalized_rows
from ..ops.sizes import whole
from .init import normal_
from .module import Module, Parameter

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """What both have in common: the table, a row that is padding, and rows that are held short."""

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Array | None,
        frozen: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        kind = type(self).__name__
        if sparse:
            raise ValueError(f"{kind}: there are no sparse gradients here; leave sparse=False")
        num_embeddings = whole(num_embeddings, "num_embeddings", least=0)
        embedding_dim = whole(embedding_dim, "embedding_dim", least=0)
        padding_idx = None if padding_idx is None else whole(padding_idx, "padding_idx", least=None)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"padding_idx is one of {num_embeddings} rows; got {padding_idx!r}")
        if weight is not None and tuple(weight.shape) != (num_embeddings, embedding_dim):
            raise ValueError(f"{kind} of {num_embeddings} rows of {embedding_dim} got weights of {tuple(weight.shape)}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        if weight is None:
            self.weight = Parameter(empty((num_embeddings, embedding_dim), dtype=dtype, device=device), not frozen)
            self.reset_parameters()
        else:
            self.weight = Parameter(weight, not frozen)

    def reset_parameters(self) -> None:
        """Draw the rows anew, normal, from the default generator; zeros for the one that is padding."""
        normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx, :] = 0.0

    def _hold(self, indices: Array) -> None:
        """Shorten the rows that are too long, among those that are named."""
        if self.max_norm is not None:
            rows = renormalized_rows(
                self.weight.detach(), Tensor(array_of(indices)), max_norm=self.max_norm, norm_type=self.norm_type
            )
            with no_grad():
                self.weight[:, :] = rows

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        shown = f"{self.num_embeddings}, {self.embedding_dim}"
        defaults = {"padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                shown += f", {name}={getattr(self, name)}"
        return shown


class Embedding(_Table):
    """A table whose rows are learnt: integers in, rows out.

    num_embeddings, embedding_dim: how many rows, and how long.
    padding_idx: a row that starts as zeros and gets no gradient.
    max_norm: rows that are named are shortened to this `norm_type`-norm in place, in every call.
    scale_grad_by_freq: divide each row's gradient by how often it is named in the call.
    sparse: must be False: there are no sparse gradients here.

    weight, (num_embeddings, embedding_dim), starts normal, as PyTorch's does.
    Raises ValueError for sizes below 0, a padding row there is not, and sparse=True, TypeError for sizes not whole.

    >>> import pullback as pb
    >>> Embedding(10, 3, padding_idx=0)(pb.asarray([[0, 2], [5, 9]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Array | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight,
            _freeze, device, dtype,
        )  # fmt: skip

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Array,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> "Embedding":
        """A layer with this table, (n, size); its memory is shared. freeze: it does not learn."""
        return cls(
            *_sizes(embeddings),
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def forward(self, input: Array) -> Array:
        """input: integers of any shape, in [0, num_embeddings). Returns (*input.shape, embedding_dim).

        Raises TypeError for what is no integers, and IndexError for one that is out of range.
        """
        self._hold(input)
        return embedding(input, self.weight, padding_idx=self.padding_idx, scale_grad_by_freq=self.scale_grad_by_freq)


class EmbeddingBag(_Table):
    """Sums, means or maxima of bags of rows of a table that are learnt.

    mode: `"sum"`, `"mean"` or `"max"`.
    include_last_offset: the offsets end with how many indices there are.
    padding_idx: a row that starts as zeros, gets no gradient, and is not counted in any bag.
    The rest as for `Embedding`.

    >>> import pullback as pb
    >>> EmbeddingBag(10, 3)(pb.asarray([1, 2, 4, 5, 4]), pb.asarray([0, 2])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: Mode = "mean",
        sparse: bool = False,
        _weight: Array | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f"mode is 'sum', 'mean' or 'max'; got {mode!r}")
        if mode == "max" and scale_grad_by_freq:
            raise ValueError("scale_grad_by_freq goes with mode='sum' or 'mean'")
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight,
            False, device, dtype,
        )  # fmt: skip
        self.mode, self.include_last_offset = mode, include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Array,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: Mode = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> "EmbeddingBag":
        """A layer with this table, (n, size); its memory is shared. freeze: it does not learn."""
        layer = cls(
            *_sizes(embeddings),
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            mode=mode,
            sparse=sparse,
            _weight=embeddings,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(self, input: Array, offsets: Array | None = None, per_sample_weights: Array | None = None) -> Array:
        """input: integers, (B, N), a bag in each row, or (M,), with `offsets`, (B,), where each bag begins.

        per_sample_weights: like the input: what each row is multiplied by, for the sum only.
        Returns (B, embedding_dim). Raises what `pullback.embedding_bag` raises.
        """
        self._hold(input)
        return embedding_bag(
            input,
            self.weight,
            offsets,
            per_sample_weights,
            mode=self.mode,
            padding_idx=self.padding_idx,
            scale_grad_by_freq=self.scale_grad_by_freq,
            include_last_offset=self.include_last_offset,
        )

    def extra_repr(self) -> str:
        """The sizes, what differs from the defaults, and the mode."""
        return f"{super().extra_repr()}, mode={self.mode!r}"


def _sizes(embeddings: Array) -> tuple[int, int]:
    if len(embeddings.shape) != 2:
        raise ValueError(f"a table of embeddings has rows and columns; got shape {tuple(embeddings.shape)}")
    return int(embeddings.shape[0]), int(embeddings.shape[1])
