"""Weights in PyTorch's layout, and back: the same names, with channels second."""

from collections.abc import Mapping
from typing import Any

from ..autodiff.tensor import Tensor, array_of
from ..backends import Array, backend, backend_of, find_backend_of
from ..nn.convolution import Convolution
from ..nn.module import Module

__all__ = ["from_torch_state_dict", "to_torch_state_dict"]


def from_torch_state_dict(
    model: Module, state: Mapping[str, Any], flattened: Mapping[str, int] | None = None
) -> dict[str, Tensor]:
    """A state of PyTorch's as one that `model.load_state_dict` takes: names kept, layouts transposed.

    model: says which of the tensors are weights of convolutions, which have channels last here.
    state: arrays or PyTorch's tensors by dotted name, as a module there gives them, or `load_safetensors` reads them.
    flattened: the weights of maps (`Linear`) behind a `Flatten` of images, by name, each with the number of channels
        that these images had: such a map sees the channels of a pixel side by side here, and a channel's pixels there.
    Returns Tensors on the current backend and its device.
    Raises TypeError for what is no array, ValueError for a number of channels that does not divide a map's inputs.

    >>> from pullback import nn
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 5), nn.Flatten(), nn.Linear(8 * 4, 10))
    >>> theirs = to_torch_state_dict(model, flattened={"2.weight": 8})
    >>> theirs["0.weight"].shape
    (8, 3, 5, 5)
    >>> model.load_state_dict(from_torch_state_dict(model, theirs, flattened={"2.weight": 8}))
    """
    moved, found = channels_moved(model), {name: _own(value) for name, value in state.items()}
    found = {name: _moved(value, 1, -1) if name in moved else value for name, value in found.items()}
    for name, channels in (flattened or {}).items():
        found[name] = _exchanged(name, found[name], channels, first=True)
    return found


def to_torch_state_dict(model: Module, flattened: Mapping[str, int] | None = None) -> dict[str, Tensor]:
    """A model's state as PyTorch has it: names kept, layouts transposed.

    flattened: as for `from_torch_state_dict`.
    Returns Tensors; `torch.from_dlpack` of each, or `save_safetensors` of all, takes them there.
    """
    moved = channels_moved(model)
    found = {name: _moved(value, -1, 1) if name in moved else value for name, value in model.state_dict().items()}
    for name, channels in (flattened or {}).items():
        found[name] = _exchanged(name, found[name], channels, first=False)
    return found


def _exchanged(name: str, weight: Tensor, channels: int, first: bool) -> Tensor:
    """A map's weight (out, in) with channels and pixels exchanged in its inputs; first: the channels came first."""
    xp, (outputs, inputs) = Tensor.namespace, weight.shape
    if inputs % channels:
        raise ValueError(f"{name} has {inputs} inputs, which are not the pixels of images with {channels} channels")
    parted = (outputs, channels, inputs // channels) if first else (outputs, inputs // channels, channels)
    return xp.reshape(xp.matrix_transpose(xp.reshape(weight, parted)), (outputs, inputs))  # type: ignore[no-any-return]


def channels_moved(model: Module) -> set[str]:
    """The names of a model's tensors that have channels second in PyTorch: kernels, parametrized ones too."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if isinstance(module, Convolution)
        for name, value in module.state_dict().items()
        if len(value.shape) > 2
    }


def _moved(value: Tensor, source: int, destination: int) -> Tensor:
    return Tensor.namespace.moveaxis(value, source, destination)  # type: ignore[no-any-return]


def _own(value: Any) -> Tensor:
    """A Tensor on the current backend."""
    array: Array = array_of(value)
    owner = find_backend_of(array)
    if owner is None:
        raise TypeError(f"a state holds Tensors or arrays; got {type(value).__name__}")
    here = backend()
    return Tensor(array if owner is here else here.from_host(backend_of(array).to_host(array)))
