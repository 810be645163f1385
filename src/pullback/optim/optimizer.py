"""What every optimizer has in common: groups, flat buffers, and state that can be saved.

An optimizer itself is a rule: an op, elementwise, from (parameter, gradient, *state) to their new
values. Where the backend can write in place, parameters, gradients and state lie in one flat buffer
each, so that an update is a few calls and not a few for each layer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ..autodiff.op import Op
from ..autodiff.tensor import Tensor
from ..backends import Array, backend_of
from ..nn.module import Parameter
from .flat import FlatGroup
from .hyperparameters import check_hyperparameters

__all__ = ["Optimizer"]

Hyper = dict[str, float | bool]


class _Entry:
    """A parameter with what its rule keeps for it, and how many steps it has taken."""

    __slots__ = ("parameter", "state", "step")

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.state: dict[str, Tensor] = {}
        self.step = 0

    def prepare(self, names: Mapping[str, float]) -> dict[str, Tensor]:
        """The state by name, in the parameter's dtype and place also after it was moved."""
        like = self.parameter.array
        full_like = backend_of(like).namespace.full_like
        for name, start in names.items():
            known = self.state.get(name)
            if known is None:
                self.state[name] = Tensor(full_like(like, start))
            else:
                known.array = _as_array_like(known.array, like)
        return {name: self.state[name] for name in names}

    def update(self, rule: Op[..., Any], state: Mapping[str, Tensor], hyper: Mapping[str, Any]) -> None:
        """One step of the rule for this parameter alone."""
        p = self.parameter
        assert p.grad is not None
        results = rule(p.array, p.grad.array, *(s.array for s in state.values()), **hyper)
        for target, new in zip((p, *state.values()), results, strict=True):
            if backend_of(target.array).in_place:
                target.array[...] = new  # it may be a view of a flat buffer
            else:
                target.array = new


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
        self._entries: list[list[_Entry]] = []  # for each group
        self._flat: dict[int, FlatGroup] = {}  # by the group's number
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
        self._entries.append([_Entry(p) for p in params])

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.requires_grad:  # one that was frozen has no gradient to forget
                    p.grad = None

    def next_hyper(self) -> list[Hyper]:
        """The rule's numbers for the coming step, for each group: what a traced step takes as its input."""
        groups = zip(self.param_groups, self._entries, strict=True)
        return [self.hyper(group, 1 + max(entry.step for entry in entries)) for group, entries in groups]

    def state_tensors(self) -> list[Tensor]:
        """All that the rule keeps, made where it is not there yet: what a traced step reads and replaces."""
        groups = zip(self.param_groups, self._entries, strict=True)
        return [s for group, entries in groups for e in entries for s in e.prepare(self.state_names(group)).values()]

    def step(self, hyper: Sequence[Hyper] | None = None) -> None:
        """Update every parameter that has a gradient.

        hyper: the rule's numbers for each group where they are traced, which leaves the count of steps alone;
            by default those of the coming step.
        """
        for number, (group, entries) in enumerate(zip(self.param_groups, self._entries, strict=True)):
            ready = [entry for entry in entries if entry.parameter.grad is not None]
            if hyper is None:
                for entry in ready:
                    entry.step += 1
            flat = self._flat_group(number) if ready and len(ready) == len(entries) else None
            if flat is not None and all(entry.step == ready[0].step for entry in ready):
                flat.update(self.rule, self.hyper(group, ready[0].step) if hyper is None else hyper[number])
                continue
            names = self.state_names(group)
            for entry in ready:
                numbers = self.hyper(group, entry.step) if hyper is None else hyper[number]
                entry.update(self.rule, entry.prepare(names), numbers)

    def _flat_group(self, number: int) -> FlatGroup | None:
        """A group's flat buffers; None where it has more than one dtype or place, or no writing in place."""
        group, entries = self.param_groups[number], self._entries[number]
        names = self.state_names(group)
        flat = self._flat.get(number)
        if flat is not None and flat.names == tuple(names) and flat.holds():
            return flat
        first = entries[0].parameter
        if not backend_of(first.array).in_place:
            return None
        if any((e.parameter.array.dtype, e.parameter.device) != (first.array.dtype, first.device) for e in entries):
            return None
        self._flat[number] = FlatGroup([e.parameter for e in entries], [e.prepare(names) for e in entries])
        return self._flat[number]

    def state_dict(self) -> dict[str, Any]:
        """The state by the parameters' numbers, and the groups' hyperparameters; arrays are copies."""
        state: dict[int, dict[str, Any]] = {}
        groups: list[dict[str, Any]] = []
        number = 0
        for group, entries in zip(self.param_groups, self._entries, strict=True):
            groups.append({**group, "params": list(range(number, number + len(entries)))})
            for entry in entries:
                if entry.step:
                    kept = entry.prepare(self.state_names(group))
                    copies = {n: Tensor(_as_array_like(s.array, s.array, copy=True)) for n, s in kept.items()}
                    state[number] = {"step": entry.step, **copies}
                number += 1
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
        self._flat.clear()
        entries = [(group, e) for group, es in zip(self.param_groups, self._entries, strict=True) for e in es]
        for number, (group, entry) in enumerate(entries):
            saved = state["state"].get(number, state["state"].get(str(number), {"step": 0}))
            entry.step = int(saved["step"])
            entry.state = {
                name: Tensor(_as_array_like(saved[name], entry.parameter.array, copy=True))
                for name in self.state_names(group)
                if name in saved
            }

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
    return here.namespace.astype(array, like.dtype, copy=True) if copy or array.dtype != like.dtype else array
