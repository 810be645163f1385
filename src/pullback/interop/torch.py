"""Weights in PyTorch's layout, and back: the same names, with channels second."""

from collections.abc import Mapping
from typing import Any

from ..autodiff.tensor import Tensor, array_of
from ..backends import Array, backend, backend_of, dtype_name, find_backend_of
from ..nn.convolution import Convolution
from ..nn.module import Module
from ..nn.normalization import LayerNorm, RMSNorm
from ..ops.sizes import whole

__all__ = ["channels_moved", "first_names", "from_torch_state_dict", "tensor_of", "to_torch_state_dict"]


def from_torch_state_dict(
    model: Module,
    state: Mapping[str, Any],
    flattened: Mapping[str, int] | None = None,
    unflattened: Mapping[str, int] | None = None,
) -> dict[str, Tensor]:
    """A state of PyTorch's as one that `model.load_state_dict` takes: names kept, layouts transposed.

    model: says which of the tensors have channels last here: the weights of convolutions, and of `LayerNorm` and
        `RMSNorm` over three axes or more, whole images, (C, H, W) there. Over two axes, (L, features) of sequences,
        they lie as they do there.
    state: arrays or PyTorch's tensors by dotted name, as a module there gives them, or `load_safetensors` reads them.
    flattened: the weights of maps (`Linear`) behind a `Flatten` of images, by name, each with the number of channels
        that these images had: such a map sees the channels of a pixel side by side here, and a channel's pixels there.
    unflattened: the layers before an `Unflatten` to images, by name, each with their number of channels: the map, whose
        weight and bias are exchanged, and a `BatchNorm1d` behind it; one behind a `Flatten` too.
    Returns Tensors on the current backend and its device; PyTorch's bfloat16 as float32, which has all of its values.
    Raises TypeError for what is no array, ValueError for names that the state has not, and for a number of channels
    that does not divide what is exchanged.

    >>> from pullback import nn
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 5), nn.Flatten(), nn.Linear(8 * 4, 10))
    >>> theirs = to_torch_state_dict(model, flattened={"2.weight": 8})
    >>> theirs["0.weight"].shape
    (8, 3, 5, 5)
    >>> model.load_state_dict(from_torch_state_dict(model, theirs, flattened={"2.weight": 8}))
    <All keys matched successfully>
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"a state is a module's state_dict(), arrays by name; got {type(state).__name__}")
    moved, found = channels_moved(model), {name: tensor_of(value) for name, value in state.items()}
    for name, value in found.items():
        if name in moved and value.ndim > 2:  # what is not is refused by load_state_dict
            found[name] = _moved(value, moved[name], -1)
    return _exchanged(found, flattened, unflattened, first=True)


def to_torch_state_dict(
    model: Module, flattened: Mapping[str, int] | None = None, unflattened: Mapping[str, int] | None = None
) -> dict[str, Tensor]:
    """A model's state as PyTorch has it: names kept, layouts transposed.

    flattened, unflattened: as for `from_torch_state_dict`.
    Returns Tensors; `torch.from_dlpack` of each, or `save_safetensors` of all, takes them there.
    """
    moved = channels_moved(model)
    state = model.state_dict()
    found = {name: _moved(value, -1, moved[name]) if name in moved else value for name, value in state.items()}
    return _exchanged(found, flattened, unflattened, first=False)


def _exchanged(
    found: dict[str, Tensor], flattened: Mapping[str, int] | None, unflattened: Mapping[str, int] | None, first: bool
) -> dict[str, Tensor]:
    """A state with channels and pixels exchanged in the inputs or outputs of layers; first: the channels came first."""
    for what, given, axis in (("flattened", flattened, 1), ("unflattened", unflattened, 0)):
        if not isinstance(given, Mapping | None):
            raise TypeError(f"{what} is a dict, the number of channels by name; got {given!r}")
        for name, channels in (given or {}).items():
            below = [key for key in found if axis == 0 and key.startswith(f"{name}.") and found[key].ndim]
            chosen = [name] if name in found else below
            if not chosen:
                raise ValueError(f"{what} has {name!r}, which the state has not: it has {first_names(found)}")
            count = whole(channels, f"{what}: the number of channels of {name}")
            for key in chosen:
                found[key] = _exchanged_along(key, found[key], axis, count, first)
    return found


def _exchanged_along(name: str, value: Tensor, axis: int, channels: int, first: bool) -> Tensor:
    shape = value.shape
    if len(shape) <= axis or shape[axis] % channels:
        raise ValueError(f"{name} of shape {shape} has no axis {axis} of the pixels of images with {channels} channels")
    pixels = shape[axis] // channels
    parted = (channels, pixels) if first else (pixels, channels)
    apart: Tensor = Tensor.namespace.reshape(value, (*shape[:axis], *parted, *shape[axis + 1 :]))
    return Tensor.namespace.reshape(_moved(apart, axis, axis + 1), shape)  # type: ignore[no-any-return]


def channels_moved(model: Module) -> dict[str, int]:
    """The names of a model's tensors that have channels last here, each with the axis they are in PyTorch.

    They are the kernels of convolutions, parametrized ones too, and the weights of norms over images.
    Raises TypeError for what is no Module.
    """
    if not isinstance(model, Module):
        raise TypeError(f"the model is a module of pullback.nn; got {type(model).__name__}")
    return {
        f"{prefix}.{name}" if prefix else name: 1 if isinstance(module, Convolution) else 0
        for prefix, module in model.named_modules()
        if isinstance(module, (Convolution, LayerNorm, RMSNorm))
        for name, value in module.state_dict().items()
        if len(value.shape) > 2
    }


def _moved(value: Tensor, source: int, destination: int) -> Tensor:
    return Tensor.namespace.moveaxis(value, source, destination)  # type: ignore[no-any-return]


def first_names(state: Mapping[str, Any]) -> str:
    """The first few names of a state, for messages."""
    names = list(state)
    return ", ".join(names[:4]) + (f", ... ({len(names)} in all)" if len(names) > 4 else "") or "nothing"


def tensor_of(value: Any) -> Tensor:
    """A Tensor on the current backend from an array of any; raises TypeError for what is none."""
    array: Array = array_of(value)
    owner = find_backend_of(array)
    if owner is None:
        raise TypeError(f"a state holds Tensors or arrays; got {type(value).__name__}")
    here = backend()
    if owner is here:
        return Tensor(array)
    if dtype_name(array.dtype) == "bfloat16":  # which has no way to the host
        array = owner.namespace.astype(array, owner.namespace.float32)
    return Tensor(here.from_host(backend_of(array).to_host(array)))
