"""Standardizing: columns brought to mean 0 and standard deviation 1."""

from collections.abc import Mapping
from typing import Any

from ..autodiff.tensor import Tensor
from ..backends import Array, find_backend_of
from ..backends.host import host

__all__ = ["Standardizer"]


class Standardizer:
    """Columns of a host array brought to mean 0 and standard deviation 1, and back.

    Learn mean and scale from the training data with `fit`, then `transform` all data with them. They are
    computed in float64. A column that is constant is centred and left unscaled.

    >>> standardizer = Standardizer()
    >>> standardizer.fit_transform([[1.0, 7.0], [3.0, 7.0]])
    array([[-1., 0.], [ 1., 0.]], dtype=float32)
    >>> standardizer.inverse_transform([[1.0, 0.0]])
    array([[3., 7.]], dtype=float32)
    """

    def __init__(self) -> None:
        self.mean: Array | None = None
        self.scale: Array | None = None

    def fit(self, X: Any) -> "Standardizer":
        """Learn the mean and scale of each column.

        X: (n, ...) host array or nested lists, n at least 1; everything behind the first axis is a column.
        Raises ValueError, naming the place, where a value is NaN or infinite, and for values whose squares
        float64 cannot hold.
        """
        X = _on_host(X)
        if len(X.shape) == 0 or X.shape[0] == 0:
            raise ValueError(f"fit expects samples along the first axis; got the shape {X.shape}")
        wrong = host.argwhere(~host.isfinite(X))
        if len(wrong):
            place = ", ".join(map(str, wrong[0]))
            raise ValueError(f"X[{place}] is {X[tuple(wrong[0])]}; fill or leave out such samples first")
        with host.errstate(over="ignore", invalid="ignore"):
            mean = X.mean(axis=0, dtype=host.float64)
            deviation = X.std(axis=0, dtype=host.float64)
        huge = host.argwhere(~host.isfinite(mean + deviation))
        if len(huge):
            place = "".join(f", {i}" for i in huge[0])
            raise ValueError(f"the values of X[:{place}] are too large to be standardized; rescale them first")
        self.mean = mean
        # Rounding gives a constant column a tiny deviation, so constancy is asked of the values.
        constant = (X.max(axis=0) == X.min(axis=0)) | (deviation == 0)
        self.scale = host.where(constant, 1.0, deviation)
        return self

    def transform(self, X: Any) -> Array:
        """(X - mean) / scale, in the dtype of X where that is floating, else in float32."""
        X = _on_host(X)
        mean, scale = self._learnt(X)
        return ((X - mean) / scale).astype(_floating(X), copy=False)

    def fit_transform(self, X: Any) -> Array:
        """`fit`, then `transform`, of the same data."""
        return self.fit(X).transform(X)

    def inverse_transform(self, X: Any) -> Array:
        """X * scale + mean: what `transform` took away, put back."""
        X = _on_host(X)
        mean, scale = self._learnt(X)
        return (X * scale + mean).astype(_floating(X), copy=False)

    def state_dict(self) -> dict[str, Array]:
        """Copies of the mean and the scale, float64.

        Raises ValueError before `fit`.
        """
        if self.mean is None or self.scale is None:
            raise ValueError("this Standardizer has learnt nothing yet; call fit first")
        return {"mean": self.mean.copy(), "scale": self.scale.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the mean and scale of another."""
        mean, scale = (host.array(state[name], dtype=host.float64) for name in ("mean", "scale"))
        if mean.shape != scale.shape:
            raise ValueError(f"the mean has shape {mean.shape}, the scale {scale.shape}; they belong together")
        self.mean, self.scale = mean, scale

    def _learnt(self, X: Array) -> tuple[Array, Array]:
        """The mean and the scale, when they fit."""
        if self.mean is None or self.scale is None:
            raise ValueError("this Standardizer has learnt nothing yet; call fit first")
        if X.shape[1:] != self.mean.shape:
            raise ValueError(f"fit saw samples of shape {self.mean.shape}; these have {X.shape[1:]}")
        return self.mean, self.scale

    def __repr__(self) -> str:
        learnt = "not fitted" if self.mean is None else f"fitted to samples of shape {self.mean.shape}"
        return f"Standardizer({learnt})"


def _on_host(X: Any) -> Array:
    owner = find_backend_of(X)
    if isinstance(X, Tensor) or (owner is not None and owner.name != "numpy"):
        raise TypeError("a Standardizer works on host arrays; pass x.numpy(), or standardize before x is moved")
    array = host.asarray(X)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a Standardizer takes real numbers; got {array.dtype}")
    return array.astype(host.float32) if array.dtype == host.float64 and not hasattr(X, "__array__") else array


def _floating(X: Array) -> Any:
    return X.dtype if X.dtype.kind == "f" else host.float32
