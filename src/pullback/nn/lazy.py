"""Lazy layers, which learn the length of the last axis, the channels, from their first input.

Until then a lazy layer has no parameters: its arguments, checked, and where and as what the parameters are to be. With
its first input it becomes the plain layer, of the plain layer's class.
"""

from collections.abc import Iterable, Mapping
from inspect import Signature, signature
from typing import Any, ClassVar

from ..autodiff.checkpoint import once
from ..backends import Array, backend_of
from ..ops.creation import empty
from ..ops.sizes import is_whole, shape_of
from .convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .module import Module
from .normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d", "LazyLinear",
]  # fmt: skip


class _Lazy(Module):
    """What lazy layers share; each names the plain layer as its last base."""

    _plain: ClassVar[Any]
    _defaults: ClassVar[dict[str, Any]]
    __signature__: ClassVar[Signature]

    def __init_subclass__(cls, **defaults: Any) -> None:
        """defaults: those that are not the plain layer's."""
        cls._plain, cls._defaults = cls.__bases__[-1], defaults
        _, *others = signature(cls._plain).parameters.values()  # without the size that is to be learnt
        cls.__signature__ = Signature([p.replace(default=defaults.get(p.name, p.default)) for p in others])

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options = self._defaults | self.__signature__.bind(*arguments, **options).arguments
        groups = options.get("groups", 1)
        size = groups if is_whole(groups) and groups > 0 else 1  # stands in, so that the other arguments are checked
        super().__init__(size, **options)  # type: ignore[call-arg]  # the plain layer's
        held = [(name, kind) for kind in ("_parameters", "_buffers") for name in self.__dict__[kind]]
        self._awaited = {name: kind for name, kind in held if getattr(self, name) is not None}
        self._awaited[next(iter(signature(self._plain).parameters))] = "size"
        for name in self._awaited:
            delattr(self, name)
        place = empty(0, dtype=options.pop("dtype", None), device=options.pop("device", None))
        self._keep("_buffers", "_place", place)  # goes where the layer is moved
        self._options = options

    def forward(self, x: Array, *others: Any, **options: Any) -> Any:
        """What the plain layer gives, which this one is from then on."""
        made = self._made((shape_of(type(self).__name__, x) or (0,))[-1])
        y = made.forward(x, *others, **options)
        self._become(made)
        return y

    def _made(self, size: int) -> Module:
        """The plain layer, where and as what this one is."""
        made: Module = once(lambda: self._plain(size, **self._options, dtype=self._place.dtype))
        return made.to(self._place.device, backend=backend_of(self._place.array).name).train(self.training)

    def _become(self, made: Module) -> None:
        """Be a plain layer, with the hooks that this one has."""
        for name in ("_awaited", "_options", "_place"):
            delattr(self, name)
        self.__dict__.update(made.__dict__)
        object.__setattr__(self, "__class__", self._plain)

    def _learn_sizes(self, state: Mapping[str, Any], prefix: str) -> None:
        """Become the plain layer whose weight, or running mean, has the shape of that in a state."""
        for name in ("weight", "running_mean"):
            shape = tuple(getattr(state.get(prefix + name), "shape", ()))
            if shape and name in self._awaited:
                transposed = isinstance(self, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d))
                made = self._made(shape[0] if transposed else shape[-1] * self._options.get("groups", 1))
                if getattr(made, name).shape == shape:
                    self._become(made)
                return

    def _own_tensors(self, kind: str) -> Iterable[tuple[str, Any]]:
        names = [name for name, value in self._awaited.items() if value == kind]
        if names:
            raise ValueError(self._not_yet(", ".join(names)))
        return ()

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_awaited", ()):
            raise AttributeError(self._not_yet(name))
        return object.__getattribute__(self, name)  # which raises

    def _not_yet(self, what: str) -> str:
        return (
            f"{type(self).__name__}({self.extra_repr()}) has no {what} yet: it learns its size from its first input. "
            "Call the network once on a batch first"
        )

    def reset_parameters(self) -> None:
        """Nothing: the parameters are drawn when they are made."""

    def extra_repr(self) -> str:
        """The arguments that were given."""
        return ", ".join(f"{name}={value!r}" for name, value in self._options.items())


class LazyLinear(_Lazy, Linear):
    """A `Linear` that learns `in_features` from its first input, the length of the last axis.

    Arguments as for `Linear`, without `in_features`. Before the first call there are no parameters: the layer may be
    moved (`to`, `double`), copied and given hooks, and `load_state_dict` gives it its size too, but what asks for
    parameters or the state, as an optimizer does, raises ValueError. A first call that fails changes nothing.

    >>> import pullback as pb
    >>> from pullback import nn
    >>> model = nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(1))
    >>> model[0]
    LazyLinear(out_features=3)
    >>> model(pb.ones((5, 2))).shape
    (5, 1)
    >>> model
    Sequential(  # 13 parameters
      (0): Linear(in_features=2, out_features=3, bias=True)  # 9 parameters
      (1): ReLU()
      (2): Linear(in_features=3, out_features=1, bias=True)  # 4 parameters
    )
    """


class LazyConv1d(_Lazy, Conv1d):
    """A `Conv1d` that learns `in_channels` from its first input, as `LazyLinear` does."""


class LazyConv2d(_Lazy, Conv2d):
    """A `Conv2d` that learns `in_channels` from its first input, as `LazyLinear` does."""


class LazyConv3d(_Lazy, Conv3d):
    """A `Conv3d` that learns `in_channels` from its first input, as `LazyLinear` does."""


class LazyConvTranspose1d(_Lazy, ConvTranspose1d):
    """A `ConvTranspose1d` that learns `in_channels` from its first input, as `LazyLinear` does."""


class LazyConvTranspose2d(_Lazy, ConvTranspose2d):
    """A `ConvTranspose2d` that learns `in_channels` from its first input, as `LazyLinear` does."""


class LazyConvTranspose3d(_Lazy, ConvTranspose3d):
    """A `ConvTranspose3d` that learns `in_channels` from its first input, as `LazyLinear` does."""


class LazyBatchNorm1d(_Lazy, BatchNorm1d):
    """A `BatchNorm1d` that learns `num_features` from its first input, as `LazyLinear` does."""


class LazyBatchNorm2d(_Lazy, BatchNorm2d):
    """A `BatchNorm2d` that learns `num_features` from its first input, as `LazyLinear` does."""


class LazyBatchNorm3d(_Lazy, BatchNorm3d):
    """A `BatchNorm3d` that learns `num_features` from its first input, as `LazyLinear` does."""


class LazyInstanceNorm1d(_Lazy, InstanceNorm1d, affine=True, track_running_stats=True):
    """An `InstanceNorm1d` that learns `num_features`; with PyTorch's defaults, which are those of `BatchNorm1d`."""


class LazyInstanceNorm2d(_Lazy, InstanceNorm2d, affine=True, track_running_stats=True):
    """An `InstanceNorm2d` that learns `num_features`; with PyTorch's defaults, which are those of `BatchNorm2d`."""


class LazyInstanceNorm3d(_Lazy, InstanceNorm3d, affine=True, track_running_stats=True):
    """An `InstanceNorm3d` that learns `num_features`; with PyTorch's defaults, which are those of `BatchNorm3d`."""
