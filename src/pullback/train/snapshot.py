"""A model's values, set aside to go back to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..autodiff.tensor import Tensor
from ..backends import Array, Backend, backend_of, dtype_name
from ..nn.module import Module

__all__ = ["Snapshot", "buffers_kept"]


class Snapshot:
    """A copy of what a model has learnt and its buffers, cheap enough to take before every update.

    Where arrays are written in place, the parameters of one dtype and place are copied into one flat
    array. Elsewhere an update makes new arrays, and keeping the old ones is enough.
    """

    def __init__(self, model: Module) -> None:
        self.model = model
        groups: dict[Any, tuple[Backend, list[Tensor]]] = {}
        for p in model.parameters():
            if p.requires_grad:
                owner = backend_of(p.array)
                key = owner.name, str(p.device), dtype_name(p.array.dtype)
                groups.setdefault(key, (owner, []))[1].append(p)
        self._groups = list(groups.values())
        self._has_buffers = any(True for _ in model.buffers())
        self.take()

    def take(self) -> None:
        """Set the present values aside in place of those kept before."""
        parameters: list[Any] = []
        for owner, group in self._groups:
            arrays = [p.array for p in group]
            reshape = owner.namespace.reshape
            flat = owner.in_place and owner.namespace.concat([reshape(a, (-1,)) for a in arrays])
            parameters.append(flat if owner.in_place else arrays)
        self._parameters, self._buffers = parameters, _buffers(self.model) if self._has_buffers else {}

    def restore(self) -> None:
        """Give the model back the values that were set aside."""
        for (owner, group), kept in zip(self._groups, self._parameters, strict=True):
            start = 0
            for number, p in enumerate(group):
                if owner.in_place:
                    p.array = _copy(owner.namespace.reshape(kept[start : start + p.size], p.shape))
                    start += p.size
                else:
                    p.array = kept[number]
        _put(self.model, self._buffers)


@contextmanager
def buffers_kept(model: Module) -> Iterator[None]:
    """Leaves a model's buffers as they were before the block."""
    kept = _buffers(model)
    try:
        yield
    finally:
        _put(model, kept)


def _buffers(model: Module) -> dict[str, Array]:
    return {name: _copy(value.array) for name, value in model.named_buffers()}


def _put(model: Module, buffers: dict[str, Array]) -> None:
    for name, value in model.named_buffers():
        if name in buffers:
            value.array = _copy(buffers[name])


def _copy(array: Array) -> Array:
    return backend_of(array).namespace.astype(array, array.dtype, copy=True)
