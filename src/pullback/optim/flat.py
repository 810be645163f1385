"""Flat buffers: the parameters of a group, their gradients and their state, each in one array."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any

from ..autodiff.op import Op
from ..autodiff.tensor import Tensor
from ..backends import Array, backend_of
from ..backends.flat_layout import places_of

__all__ = ["FlatGroup"]


class FlatGroup:
    """Parameters of one dtype in one place, whose arrays become views of one buffer; likewise their state.

    The update rule then runs a few times over long arrays, and not a few times for each layer, and it
    runs block by block where the backend asks for it, so that each block stays in the processor's cache.
    """

    def __init__(self, parameters: Sequence[Tensor], state: Sequence[dict[str, Tensor]]) -> None:
        self.owner = backend_of(parameters[0].array)
        self.parameters = parameters
        self.names = tuple(state[0])
        shapes = [p.shape for p in parameters]
        values, self._views = self._join([p.array for p in parameters], shapes)
        self._values, self._state = values, [self._join_state(name, state, shapes) for name in self.names]
        for p, view in zip(parameters, self._views, strict=True):
            p.array = view

    def _join_state(self, name: str, state: Sequence[dict[str, Tensor]], shapes: Sequence[tuple[int, ...]]) -> Array:
        buffer, views = self._join([s[name].array for s in state], shapes)
        for s, view in zip(state, views, strict=True):
            s[name].array = view
        return buffer

    @cached_property
    def _gradients(self) -> tuple[Array, list[Array]]:
        """A buffer for all gradients, and each one's place in it."""
        return self._join([p.array for p in self.parameters], [p.shape for p in self.parameters])

    def _join(self, arrays: Sequence[Array], shapes: Sequence[tuple[int, ...]]) -> tuple[Array, list[Array]]:
        xp, sizes = self.owner.namespace, list(map(prod, shapes))
        places = places_of(sizes, self.owner.flat_alignment or 1)
        pieces = []
        for array, size, (at, following) in zip(arrays, sizes, pairwise(places), strict=True):
            pieces.append(xp.reshape(array, (-1,)))
            if at + size < following:
                gap = (following - at - size,)
                pieces.append(xp.zeros(gap, dtype=array.dtype, device=self.owner.device_of(array)))
        buffer = xp.concat(pieces)
        spans = zip(places, sizes, shapes, strict=False)  # the last place is the end
        return buffer, [xp.reshape(buffer[at : at + size], shape) for at, size, shape in spans]

    def holds(self) -> bool:
        """Whether the parameters are still where they were put; somebody may have given them other arrays."""
        return all(p.array is view for p, view in zip(self.parameters, self._views, strict=True))

    def update(self, rule: Op[..., Any], hyper: dict[str, Any], maximize: bool = False) -> None:
        """One step of the rule over everything, in place. Every parameter must have a gradient."""
        with self.owner.at(self._values):
            self._update(rule, hyper, maximize)

    def _update(self, rule: Op[..., Any], hyper: dict[str, Any], maximize: bool) -> None:
        in_place = self.owner.kernels.get(f"{rule.name}.in_place")
        if in_place is not None and self.owner.flat_alignment is not None:
            apart = [p.grad.array for p in self.parameters]  # type: ignore[union-attr]
            if in_place(self._values, apart, *self._state, **hyper, maximize=maximize) is not NotImplemented:
                return
            in_place = None
        gradient, views = self._gradients
        for p, view in zip(self.parameters, views, strict=True):
            view[...] = p.grad.array  # type: ignore[union-attr]
        if maximize:
            gradient[...] = -gradient
        buffers = [self._values, gradient, *self._state]
        if in_place is not None:
            in_place(*buffers, **hyper)
            return
        apply, length = self.owner.implementation(rule), gradient.shape[0]
        step = max(self.owner.block or length, 1)
        for start in range(0, length, step):
            parameter, _, *state = block = [buffer[start : start + step] for buffer in buffers]
            for target, new in zip((parameter, *state), apply(*block, **hyper), strict=True):
                target[...] = new
