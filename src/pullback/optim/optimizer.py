"""What every optimizer has in common: groups, flat buffers, and state that can be saved.

An optimizer itself is a rule: an op, elementwise, from (parameter, gradient, *state) to their new
values. Where the backend can write in place, parameters, gradients and state lie in one flat buffer
each, so that an update is a few calls and not a few for each layer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ..autodiff.op import Op
from ..autodiff.tensor import Tensor
from ..backends import Array, Backend, backend_of
from ..nn.module import Parameter
from .hyperparameters import check_hyperparameters

__all__ = ["Optimizer"]

Hyper = dict[str, float | bool]


class _Slab:
    """The parameters of a group, their gradients and their state, each in one flat buffer."""

    def __init__(self, owner: Backend, parameters: Sequence[Tensor], state: Sequence[dict[str, Array]]) -> None:
        xp = owner.namespace
        self.owner = owner
        self.ends: list[int] = []
        for p in parameters:
            self.ends.append((self.ends[-1] if self.ends else 0) + p.size)
        self.parameter = xp.concat([xp.reshape(p.array, (-1,)) for p in parameters])
        self.gradient = xp.empty_like(self.parameter)
        self.state = {name: xp.concat([xp.reshape(s[name], (-1,)) for s in state]) for name in state[0]}
        self.views = self._adopt(parameters, state)
        self.blocks = self._cut(owner.block or self.parameter.shape[0])

    def _adopt(self, parameters: Sequence[Tensor], state: Sequence[dict[str, Array]]) -> list[Array]:
        """Make the parameters' arrays, and those of their state, views of the buffers."""
        start, views = 0, []
        for p, own, end in zip(parameters, state, self.ends, strict=True):
            shape = p.shape
            p.array = self.owner.namespace.reshape(self.parameter[start:end], shape)
            for name, whole in self.state.items():
                own[name] = self.owner.namespace.reshape(whole[start:end], shape)
            views.append(p.array)
            start = end
        return views

    def _cut(self, length: int) -> list[list[Array]]:
        """Views of the buffers in blocks that stay in the processor's cache while a rule passes over them."""
        buffers = [self.parameter, self.gradient, *self.state.values()]
        return [[b[i : i + length] for b in buffers] for i in range(0, self.parameter.shape[0], max(length, 1))]

    def holds(self, parameters: Sequence[Tensor]) -> bool:
        """Whether the parameters are still where they were put."""
        return all(p.array is view for p, view in zip(parameters, self.views, strict=True))

    def update(self, rule: Op[..., Any], parameters: Sequence[Tensor], hyper: Mapping[str, Any]) -> None:
        """One call of the rule over everything, in place."""
        start = 0
        for p, end in zip(parameters, self.ends, strict=True):
            self.gradient[start:end] = p.grad.array.reshape(-1)  # type: ignore[union-attr]
            start = end
        apply = self.owner.implementation(rule)
        for block in self.blocks:
            new = apply(*block, **hyper)
            block[0][...] = new[0]
            for target, value in zip(block[2:], new[1:], strict=True):
                target[...] = value


class Optimizer:
    """The base of the optimizers, with PyTorch's interface.

    params: parameters, or dicts of `params` and hyperparameters of their own.
    defaults: the hyperparameters of the groups that do not name them.
    Raises ValueError where there is nothing to learn, a parameter appears twice, or a hyperparameter is unknown.
    """

    rule: ClassVar[Op[..., Any]]

    def __init__(self, params: Iterable[Any], **defaults: Any) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._state: dict[int, dict[str, Array]] = {}
        self._steps: dict[int, int] = {}
        self._slabs: dict[int, _Slab] = {}
        given = list(params)
        if not given:
            raise ValueError(f"{type(self).__name__} was given no parameters")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """What the rule keeps for each element of a parameter, in its order, with the values at the start."""
        return {}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """The rule's numbers for one step, counted from 1, computed on the host in double precision."""
        raise NotImplementedError

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimize more parameters, with hyperparameters of their own."""
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        unknown = set(group) - {"params", *self.defaults}
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no {', '.join(sorted(unknown))}; it has {', '.join(self.defaults)}"
            )
        known = {id(p) for g in self.param_groups for p in g["params"]}
        check_hyperparameters(type(self).__name__, {**self.defaults, **group})
        for p in params:
            if not isinstance(p, Parameter) and not (isinstance(p, Tensor) and p.requires_grad):
                raise ValueError(f"an optimizer takes Tensors that require gradients; got {type(p).__name__}")
            if id(p) in known:
                raise ValueError("a parameter appears in more than one group")
            known.add(id(p))
        self.param_groups.append({**self.defaults, **group, "params": params})

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.requires_grad:  # one that was frozen has no gradient to forget
                    p.grad = None

    def next_hyper(self) -> list[Hyper]:
        """The rule's numbers for the coming step, for each group: what a traced step takes as its input."""
        return [
            self.hyper(group, 1 + max(self._steps.get(id(p), 0) for p in group["params"]))
            for group in self.param_groups
        ]

    def step(self, hyper: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Update every parameter that has a gradient.

        hyper: the rule's numbers for each group, where they are traced; by default `next_hyper()`.
        """
        for number, group in enumerate(self.param_groups):
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            steps = [self._steps.get(id(p), 0) + 1 for p in params]
            self._steps.update((id(p), step) for p, step in zip(params, steps, strict=True))
            slab = self._slab(number, group)
            if slab is not None and len(params) == len(group["params"]) and len(set(steps)) == 1:
                slab.update(self.rule, params, self.hyper(group, steps[0]) if hyper is None else hyper[number])
                continue
            for p, step in zip(params, steps, strict=True):
                self._update_one(p, group, self.hyper(group, step) if hyper is None else hyper[number])

    def _update_one(self, p: Tensor, group: Mapping[str, Any], hyper: Mapping[str, Any]) -> None:
        assert p.grad is not None
        owner, state = backend_of(p.array), self._state_of(p, group)
        new, *rest = self.rule(p.array, p.grad.array, *state.values(), **hyper)
        if owner.in_place:
            p.array[...] = new
            for name, value in zip(state, rest, strict=True):
                state[name][...] = value
        else:
            p.array = new
            state.update(zip(state, rest, strict=True))

    def _state_of(self, p: Tensor, group: Mapping[str, Any]) -> dict[str, Array]:
        """What the rule keeps for a parameter, in its dtype and place, also after it was moved."""
        known, full_like = self._state.get(id(p), {}), backend_of(p.array).namespace.full_like
        found = {
            name: _as_array_like(known[name], p.array) if name in known else full_like(p.array, start)
            for name, start in self.state_names(group).items()
        }
        self._state[id(p)] = found
        return found

    def _slab(self, number: int, group: Mapping[str, Any]) -> _Slab | None:
        """The group's flat buffers; None where it has more than one dtype or place, or no writing in place."""
        params = group["params"]
        slab = self._slabs.get(number)
        if slab is not None and slab.holds(params) and slab.state.keys() == self.state_names(group).keys():
            return slab
        owner = backend_of(params[0].array)
        first = (params[0].array.dtype, params[0].device)
        if not owner.in_place or any((p.array.dtype, p.device) != first for p in params):
            return None
        self._slabs[number] = _Slab(owner, params, [self._state_of(p, group) for p in params])
        return self._slabs[number]

    def state_dict(self) -> dict[str, Any]:
        """The state by the parameters' numbers, and the groups' hyperparameters; arrays are copies."""
        numbers = {id(p): i for i, p in enumerate(p for g in self.param_groups for p in g["params"])}
        state: dict[int, dict[str, Any]] = {}
        for group in self.param_groups:
            for p in group["params"]:
                if id(p) in self._steps:
                    kept = self._state_of(p, group)
                    copies = {name: Tensor(_as_array_like(a, a, copy=True)) for name, a in kept.items()}
                    state[numbers[id(p)]] = {"step": self._steps[id(p)], **copies}
        groups = [{**g, "params": [numbers[id(p)] for p in g["params"]]} for g in self.param_groups]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another optimizer of the same kind and parameters stood.

        Raises ValueError when the groups do not have as many parameters as here.
        """
        counts = [len(g["params"]) for g in self.param_groups], [len(g["params"]) for g in state["param_groups"]]
        if counts[0] != counts[1]:
            raise ValueError(f"the groups have {counts[0]} parameters here and {counts[1]} in the state")
        for own, saved in zip(self.param_groups, state["param_groups"], strict=True):
            own.update({name: value for name, value in saved.items() if name != "params"})
        self._slabs.clear()
        number = 0
        for group in self.param_groups:
            for p in group["params"]:
                saved = state["state"].get(number, state["state"].get(str(number)))
                number += 1
                self._state.pop(id(p), None)
                self._steps.pop(id(p), None)
                if saved is not None:
                    self._steps[id(p)] = int(saved["step"])
                    for name, array in self._state_of(p, group).items():
                        self._state[id(p)][name] = _as_array_like(saved[name], array, copy=True)

    def __repr__(self) -> str:
        lines = [
            ", ".join(f"{name}={value!r}" for name, value in group.items() if name != "params")
            + f", {sum(p.size for p in group['params']):,} parameters"
            for group in self.param_groups
        ]
        return f"{type(self).__name__}({'; '.join(lines)})"


def _as_array_like(value: Any, like: Array, copy: bool = False) -> Array:
    """An array's or Tensor's values in the dtype and place of another array; itself if it is so already."""
    array = value.array if isinstance(value, Tensor) else value
    owner, here = backend_of(array), backend_of(like)
    if owner is not here:
        array = here.from_host(owner.to_host(array), device=here.device_of(like))
    elif here.device_of(array) != here.device_of(like):
        array = here.to_device(array, here.device_of(like))
    return here.namespace.astype(array, like.dtype, copy=copy)
