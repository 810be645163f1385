"""Flat buffers: the parameters of a group, their gradients and their state, each in one array."""

from collections.abc import Sequence
from math import prod
from typing import Any

from ..autodiff.op import Op
from ..autodiff.tensor import Tensor
from ..backends import Array, backend_of

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
        gradients, self._gradients = self._join([p.array for p in parameters], shapes)
        self._buffers = buffers = [values, gradients]
        for p, view in zip(parameters, self._views, strict=True):
            p.array = view
        for name in self.names:
            buffer, views = self._join([s[name].array for s in state], shapes)
            buffers.append(buffer)
            for s, view in zip(state, views, strict=True):
                s[name].array = view
        length, block = values.shape[0], self.owner.block or values.shape[0]
        self._blocks = [[b[i : i + block] for b in buffers] for i in range(0, length, max(block, 1))]

    def _join(self, arrays: Sequence[Array], shapes: Sequence[tuple[int, ...]]) -> tuple[Array, list[Array]]:
        xp = self.owner.namespace
        buffer = xp.concat([xp.reshape(a, (-1,)) for a in arrays])
        ends = [sum(map(prod, shapes[: i + 1])) for i in range(len(shapes))]
        return buffer, [xp.reshape(buffer[end - prod(s) : end], s) for s, end in zip(shapes, ends, strict=True)]

    def holds(self) -> bool:
        """Whether the parameters are still where they were put; somebody may have given them other arrays."""
        return all(p.array is view for p, view in zip(self.parameters, self._views, strict=True))

    def update(self, rule: Op[..., Any], hyper: dict[str, Any], maximize: bool = False) -> None:
        """One step of the rule over everything, in place. Every parameter must have a gradient."""
        for p, view in zip(self.parameters, self._gradients, strict=True):
            view[...] = p.grad.array  # type: ignore[union-attr]
        if maximize:
            self._buffers[1][...] = -self._buffers[1]
        in_place = self.owner.kernels.get(f"{rule.name}.in_place")
        if in_place is not None:
            in_place(*self._buffers, **hyper)
            return
        apply = self.owner.implementation(rule)
        for block in self._blocks:
            parameter, _, *state = block
            for target, new in zip((parameter, *state), apply(*block, **hyper), strict=True):
                target[...] = new
