"""What every optimizer has in common: groups, flat buffers, and state that can be saved.

An optimizer itself is a rule: an op, elementwise, from (parameter, gradient, *state) to their new
values. Where the backend can write in place, parameters, gradients and state lie in one flat buffer
each, so that an update is a few calls and not a few for each layer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ..autodiff.op import Op
from ..autodiff.tape import Leaf, enable_grad
from ..autodiff.tensor import Tensor
from ..backends import backend_of, is_complex
from ..nn.loading import array_like, misfit
from ..nn.module import Parameter, forget_gradients
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
                known.array = array_like(known.array, like)
        return {name: self.state[name] for name in names}

    def update(self, rule: Op[..., Any], state: Mapping[str, Tensor], hyper: Mapping[str, Any], in_place: bool) -> None:
        """One step of the rule for this parameter alone; in place where its arrays are the optimizer's own."""
        p = self.parameter
        assert p.grad is not None
        results = rule(p.array, p.grad.array, *(s.array for s in state.values()), **hyper)
        for target, new in zip((p, *state.values()), results, strict=True):
            if in_place:
                target.array[...] = new
            else:
                target.array = array_like(backend_of(target.array).from_scalar(new), target.array)


class Optimizer:
    """The base of the optimizers, with PyTorch's interface.

    params: parameters, or dicts of `params` and hyperparameters of their own.
    defaults: the hyperparameters of the groups that do not name them.
    Raises ValueError where there is nothing to learn, a parameter appears twice or is no variable, or a
    hyperparameter is unknown; TypeError for a Tensor that is not in a list.
    """

    rule: ClassVar[Op[..., Any]]
    linear: ClassVar[bool] = False
    """Whether a step is linear in the gradients, and so as right for complex parameters as for real ones."""

    def __init__(self, params: Iterable[Any], **defaults: Any) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._entries: list[list[_Entry]] = []  # for each group
        self._flat: dict[int, FlatGroup] = {}  # by the group's number
        if isinstance(params, Tensor):
            raise TypeError(f"{type(self).__name__} takes a list of parameters; for one Tensor w, pass [w]")
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
        if "params" not in group:
            raise ValueError(f"a group is a dict with its parameters as 'params'; got {', '.join(map(repr, group))}")
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        unknown = set(group) - {"params", *self.defaults}
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no {', '.join(sorted(unknown))}; it has {', '.join(self.defaults)}"
            )
        known = {id(p) for g in self.param_groups for p in g["params"]}
        check_hyperparameters(type(self).__name__, {**self.defaults, **group})
        for p in params:
            if isinstance(p, Tensor) and p.requires_grad and not isinstance(p.node, Leaf):
                raise ValueError(
                    "an optimizer takes variables; got a Tensor that was computed from others. Pass those, "
                    "or make it a variable of its own with .detach().requires_grad_()"
                )
            if not isinstance(p, Parameter) and not (isinstance(p, Tensor) and p.requires_grad):
                raise ValueError(f"an optimizer takes Tensors that require gradients; got {type(p).__name__}")
            if is_complex(p.dtype) and not self.linear:
                raise TypeError(
                    f"{type(self).__name__} scales real numbers by their gradients' sizes; got a {p.dtype.name} "
                    "parameter. Keep its real and imaginary parts as two, or use SGD"
                )
            if id(p) in known:
                raise ValueError("a parameter appears in more than one group")
            known.add(id(p))
        self.param_groups.append({**self.defaults, **group, "params": params})
        self._entries.append([_Entry(p) for p in params])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; with False, those that are there become zeros."""
        for group in self.param_groups:
            forget_gradients(group["params"], set_to_none)

    def next_hyper(self) -> list[Hyper]:
        """The rule's numbers for the coming step, for each group: what a traced step takes as its input."""
        groups = zip(self.param_groups, self._entries, strict=True)
        return [self.hyper(group, 1 + max((entry.step for entry in entries), default=0)) for group, entries in groups]

    def state_tensors(self) -> list[Tensor]:
        """All that the rule keeps, made where it is not there yet: what a traced step reads and replaces."""
        groups = zip(self.param_groups, self._entries, strict=True)
        return [s for group, entries in groups for e in entries for s in e.prepare(self.state_names(group)).values()]

    def step(self, closure: Callable[[], Any] | None = None, *, hyper: Sequence[Hyper] | None = None) -> Any:
        """Update every parameter that has a gradient.

        closure: called first, with recording on, to compute the loss and its gradients.
        hyper: the rule's numbers for each group where they are traced, which leaves the count of steps alone;
            by default those of the coming step.
        Returns what the closure gave, None without one.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
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
            known = self._flat.get(number)
            in_place = known is not None and known.names == tuple(names) and known.holds()
            for entry in ready:
                numbers = self.hyper(group, entry.step) if hyper is None else hyper[number]
                entry.update(self.rule, entry.prepare(names), numbers, in_place)
        return loss

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
                    copies = {n: Tensor(array_like(s.array, s.array, copy=True)) for n, s in kept.items()}
                    state[number] = {"step": entry.step, **copies}
                number += 1
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another optimizer of the same kind and parameters stood.

        Raises ValueError listing what does not fit: groups, hyperparameters, the state's names and shapes.
        Nothing is changed then.
        """
        complaints = self._complaints(state)
        if complaints:
            raise ValueError(f"the state does not fit {type(self).__name__}: " + "; ".join(complaints))
        loaded = []
        for number, entry in enumerate(entry for entries in self._entries for entry in entries):
            saved = _saved(state, number)
            kept = {n: array_like(v, entry.parameter.array, copy=True) for n, v in saved.items() if n != "step"}
            loaded.append((entry, saved["step"], kept))
        self._flat.clear()
        for own, group in zip(self.param_groups, state["param_groups"], strict=True):
            own.update({name: value for name, value in group.items() if name != "params"})
        for entry, step, kept in loaded:
            entry.step, entry.state = int(step), {name: Tensor(array) for name, array in kept.items()}

    def _complaints(self, state: Mapping[str, Any]) -> list[str]:
        """What about a saved state does not fit this optimizer."""
        missing = [name for name in ("state", "param_groups") if name not in state]
        if missing:
            return [f"{name}: missing" for name in missing]
        groups = state["param_groups"]
        counts = [len(g["params"]) for g in self.param_groups], [len(g.get("params", ())) for g in groups]
        if counts[0] != counts[1]:
            return [f"the groups have {counts[0]} parameters here and {counts[1]} in the state"]
        complaints = []
        for own, saved in zip(self.param_groups, groups, strict=True):
            names = set(saved) - {"initial_lr"}  # a schedule's, which may have been made for one of the two only
            differing = names ^ (set(own) - {"initial_lr"})
            complaints += [f"{n}: {'unknown' if n in saved else 'missing'}" for n in sorted(differing)]
            if not differing:
                try:
                    check_hyperparameters(type(self).__name__, saved)
                except ValueError as error:
                    complaints.append(str(error))
        if complaints:
            return complaints
        entries = [(g, entry) for g, entries in zip(groups, self._entries, strict=True) for entry in entries]
        complaints += [
            f"state {n}: no such parameter" for n in state["state"] if str(n) not in map(str, range(len(entries)))
        ]
        for number, (group, entry) in enumerate(entries):
            saved = _saved(state, number)
            expected = {"step", *(self.state_names(group) if saved.get("step") else ())}
            for name in sorted(expected | set(saved)):
                if name not in saved or name not in expected:
                    complaint: str | None = "unknown" if name in saved else "missing"
                else:
                    complaint = None if name == "step" else misfit(saved[name], entry.parameter.array)
                complaints += [f"state {number}, {name}: {complaint}"] if complaint else []
        return complaints

    def __getstate__(self) -> dict[str, Any]:
        """All but the flat buffers: a copy of those would be apart from the copies of the views into them."""
        return {**vars(self), "_flat": {}}

    def __repr__(self) -> str:
        lines = [
            ", ".join(f"{name}={value!r}" for name, value in group.items() if name != "params")
            + f", {sum(p.size for p in group['params']):,} parameters"
            for group in self.param_groups
        ]
        return f"{type(self).__name__}({'; '.join(lines)})"


def _saved(state: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """What a state has for one parameter; its number may have become a string in a file."""
    entries = state["state"]
    found: Mapping[str, Any] = entries.get(number, entries.get(str(number), {"step": 0}))
    return found
