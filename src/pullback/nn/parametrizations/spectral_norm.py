"""Spectral normalization."""

from typing import Any, TypeVar

from ...autodiff.checkpoint import repeatable
from ...autodiff.tape import no_grad
from ...autodiff.tensor import Tensor
from ...backends import Array, backend_of
from ...ops.normalization import normalize
from ...ops.parametrization import power_iteration
from ...ops.parametrization import spectral_norm as weight_of
from ...ops.random import normal
from ..convolution import Convolution, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Module
from .registration import register_parametrization

__all__ = ["spectral_norm"]

M = TypeVar("M", bound=Module)


class _SpectralNorm(Module):
    _u: Any
    _v: Any

    def __init__(self, weight: Any, n_power_iterations: int, order: tuple[int, ...], eps: float) -> None:
        super().__init__()
        self.n_power_iterations, self.eps = n_power_iterations, eps
        self.order = None if order == tuple(range(len(order))) else order
        if len(weight.shape) == 1:
            return
        rows = weight.shape[order[0]]
        like = {"dtype": weight.dtype, "device": weight.device}
        for name, length in (("_u", rows), ("_v", weight.size // rows)):
            self.register_buffer(name, normalize(normal((length,), **like), eps=eps))
        self._iterate(weight.detach(), 15)

    def _iterate(self, weight: Any, steps: int) -> tuple[Any, Any]:
        found = power_iteration(weight, self._u, self._v, order=self.order, steps=steps, eps=self.eps)
        if backend_of(found[0].array) is not backend_of(self._u.array):
            raise TypeError(
                "spectral_norm cannot keep the singular vectors of a weight that is being traced or mapped over: pass "
                "the module's buffers as the trace's state, or to functional_call; or call eval()"
            )
        self._u.array, self._v.array = found[0].array, found[1].array
        return found

    def forward(self, weight: Any) -> Array:
        if len(weight.shape) == 1:
            return normalize(weight, eps=self.eps)
        if not self.training:
            return weight_of(weight, self._u, self._v, order=self.order)
        u, v = repeatable(lambda: self._iterate(weight, self.n_power_iterations))
        return weight_of(weight, u, v, order=self.order)

    def right_inverse(self, weight: Any) -> Any:
        return weight


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Divide a parameter by its largest singular value, so that a layer stretches nothing (Miyato et al., 2018).

    module: is changed in place, and returned. name: the parameter's. It is seen as a matrix whose rows are along `dim`.
    n_power_iterations: how many steps towards the singular vectors each reading of the parameter takes in training.
    eps: the least length that a vector is divided by.
    dim: the axis of the layer's outputs, counted in the layout that weights have here: by default the last for
        transposed convolutions, else the first.
    Raises ValueError where there is no such parameter, no such axis, or for less than one iteration.

    The weight is `parametrizations.weight.original`, the singular vectors the buffers `parametrizations.weight.0._u`
    and `_v`, with a convolution's axes in PyTorch's order.

    >>> import pullback as pb
    >>> from pullback import nn
    >>> layer = spectral_norm(nn.Linear(20, 40))
    >>> abs(pb.linalg.matrix_norm(layer.weight, ord=2).item() - 1) < 0.1
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {name!r}")
    ndim = len(weight.shape)
    transposed = isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d))
    dim = dim if dim is not None else -1 if transposed else 0
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm takes one power iteration or more; got {n_power_iterations!r}")
    if not -ndim <= dim < ndim:
        raise ValueError(f"the parameter {name!r} of shape {weight.shape} has no axis {dim}")
    theirs = (0, ndim - 1, *range(1, ndim - 1)) if isinstance(module, Convolution) and ndim > 2 else tuple(range(ndim))
    order = (dim % ndim, *(axis for axis in theirs if axis != dim % ndim))
    with no_grad():
        made = _SpectralNorm(weight, n_power_iterations, order, eps)
    return register_parametrization(module, name, made)
