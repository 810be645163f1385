"""What every optimizer has in common: groups, flat buffers, and state that can be saved.

An optimizer itself is a rule: an op, elementwise, from (parameter, gradient, *state) to their new
values. Where the backend can write in place, parameters, gradients and state lie in one flat buffer
each, so that an update is a few calls and not a few for each layer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

from ..autodiff.op import Op
from ..autodiff.tape import enable_grad
from ..autodiff.tensor import Tensor
from ..backends import Array, backend_of, is_complex, uncast
from ..nn.loading import array_like, misfit
from ..nn.module import forget_gradients
from .flat import FlatGroup
from .hyperparameters import Check, check_hyperparameters
from .parameters import check_variable, listed, without_names

__all__ = ["Optimizer"]

Hyper = dict[str, Any]
"""The numbers of a rule by name: what an op takes as its metadata."""

Start = tuple[tuple[int, ...], float]
"""The shape of an array of the state, and the value it is filled with at the start."""

_BESIDES = frozenset({"initial_lr", "param_names"})
"""What a group may have besides its hyperparameters: a schedule's rate at the start, and names for its reader."""


class _Entry:
    """A parameter with what its rule keeps for it, and how many steps it has taken."""

    __slots__ = ("parameter", "scalars", "state", "step")

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.state: dict[str, Tensor] = {}
        self.scalars: dict[str, float] = {}
        self.step = 0

    def prepare(self, start: Mapping[str, Start]) -> dict[str, Tensor]:
        """The state by name, in the parameter's dtype and place also after it was moved."""
        like = self.parameter.array
        for name in start:
            known = self.state.get(name)
            if known is None:
                self.state[name] = Tensor(_full(start[name], like))
            else:
                known.array = array_like(known.array, like)
        return {name: self.state[name] for name in start}

    def update(
        self,
        rule: Op[..., Any],
        state: Mapping[str, Tensor],
        hyper: Mapping[str, Any],
        maximize: bool,
        in_place: bool,
    ) -> None:
        """One step of the rule for this parameter alone; in place where its arrays are the optimizer's own."""
        p = self.parameter
        assert p.grad is not None
        gradient = -p.grad.array if maximize else p.grad.array
        results = rule(p.array, gradient, *(s.array for s in state.values()), **hyper)
        for target, new in zip((p, *state.values()), results, strict=True):
            if in_place:
                target.array[...] = new
            else:
                target.array = array_like(backend_of(target.array).from_scalar(new), target.array)


class Optimizer:
    """The base of the optimizers, with PyTorch's interface.

    params: parameters, or pairs of a name and a parameter, as `named_parameters()` gives; or groups: dicts of such
        `params` and hyperparameters of their own. Names are kept in the groups as `param_names`.
    defaults: the hyperparameters of the groups that do not name them.
    Raises ValueError where there is nothing to learn, a parameter appears twice or is no variable, or a
    hyperparameter is unknown; TypeError for what is no list, such as a Tensor, a model or a set.
    """

    rule: ClassVar[Op[..., Any]]
    linear: ClassVar[bool] = False
    """Whether a step is linear in the gradients, and so as right for complex parameters as for real ones."""
    elementwise: ClassVar[bool] = True
    """Whether the rule treats each element alone; else it is given one parameter at a time, never a flat buffer."""
    checks: ClassVar[Mapping[str, Check]] = {}
    """What its hyperparameters may be, where that is particular to it; see `check_hyperparameters`."""

    def __init__(self, params: Iterable[Any], **defaults: Any) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._entries: list[list[_Entry]] = []  # for each group
        self._flat: dict[int, FlatGroup] = {}  # by the group's number
        given = listed(type(self).__name__, params)
        if not given:
            raise ValueError(
                f"{type(self).__name__} was given no parameters; what model.parameters() gives is empty once read"
            )
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)

    def state_names(self, group: Mapping[str, Any]) -> dict[str, float]:
        """What the rule keeps for each element of a parameter, in its order, with the values at the start."""
        return {}

    def state_start(self, group: Mapping[str, Any], parameter: Tensor) -> dict[str, Start]:
        """The same for one parameter, with shapes: its own, unless the rule keeps something else."""
        return {name: (parameter.shape, start) for name, start in self.state_names(group).items()}

    def hyper(self, group: Mapping[str, Any], step: int) -> Hyper:
        """The rule's numbers for one step, counted from 1, computed on the host in double precision."""
        raise NotImplementedError

    def scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        """Numbers that are kept with each parameter from step to step, with their values at the start."""
        return {}

    def advance(self, group: Mapping[str, Any], step: int, scalars: Mapping[str, float]) -> tuple[Hyper, Any]:
        """As `hyper`, where it takes the scalars to know; and the scalars after the step."""
        return self.hyper(group, step), {}

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimize more parameters, with hyperparameters of their own."""
        name = type(self).__name__
        if not isinstance(group, Mapping):
            raise TypeError(f"a group is a dict with its parameters as 'params'; got a {type(group).__name__}")
        if "params" not in group:
            raise ValueError(f"a group is a dict with its parameters as 'params'; got {', '.join(map(repr, group))}")
        given = group["params"]
        params, names = without_names(name, [given] if isinstance(given, Tensor) else listed(name, given))
        unknown = set(group) - {"params", *_BESIDES, *self.defaults}
        if unknown:
            raise ValueError(f"{name} has no {', '.join(sorted(unknown))}; it has {', '.join(self.defaults)}")
        values = {key: _plain(value) for key, value in {**self.defaults, **group, **names}.items() if key != "params"}
        check_hyperparameters(name, values, self.checks)
        if any(("param_names" in values) != ("param_names" in known) for known in self.param_groups):
            raise ValueError(f"{name} takes all groups with names or all without")
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            check_variable(p)
            if is_complex(p.dtype) and not self.linear:
                raise TypeError(
                    f"{name} scales real numbers by their gradients' sizes; got a {p.dtype.name} "
                    "parameter. Keep its real and imaginary parts as two, or use SGD"
                )
            if id(p) in known:
                raise ValueError(f"{name} was given a parameter of shape {p.shape} twice, in one group or in two")
            known.add(id(p))
        self.param_groups.append({**values, "params": params})
        self._entries.append([_Entry(p) for p in params])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; with False, those that are there become zeros."""
        for group in self.param_groups:
            forget_gradients(group["params"], set_to_none)

    def next_hyper(self) -> list[Hyper]:
        """The rule's numbers for the coming step, for each group: what a traced step takes as its input."""
        groups = zip(self.param_groups, self._entries, strict=True)
        oldest = [(group, max(entries, key=lambda entry: entry.step)) for group, entries in groups]
        return [self.advance(group, 1 + entry.step, entry.scalars or self.scalars(group))[0] for group, entry in oldest]

    def state_tensors(self) -> list[Tensor]:
        """All that the rule keeps, made where it is not there yet: what a traced step reads and replaces."""
        groups = zip(self.param_groups, self._entries, strict=True)
        return [s for group, entries in groups for e in entries for s in self._prepare(group, e).values()]

    def step(self, closure: Callable[[], Any] | None = None, *, hyper: Sequence[Hyper] | None = None) -> Any:
        """Update every parameter that has a gradient.

        closure: called first, with recording on, to compute the loss and its gradients.
        hyper: the rule's numbers for each group where they are traced, which leaves the count of steps alone;
            by default those of the coming step.
        Returns what the closure gave, None without one.

        Gradients add up until `zero_grad`. So a batch that is too large for the memory is taken in parts, each with
        a `backward()` of its own before the one `step()`: with the mean loss of each part divided by the number of
        parts (of equal size), the step is that of the whole batch.

        >>> import pullback as pb
        >>> from pullback.optim import SGD
        >>> w = pb.tensor([0.0], requires_grad=True)
        >>> optimizer = SGD([w], lr=0.5)
        >>> for part in pb.tensor([[1.0, 2.0], [3.0, 4.0]]):
        ...     (((w - part) ** 2).mean() / 2).backward()
        >>> optimizer.step()
        >>> w
        Tensor([2.5], dtype=float32, requires_grad=True)
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._update(hyper)
        return loss

    @uncast  # the closure computes as its caller does, an update as the parameters are
    def _update(self, hyper: Sequence[Hyper] | None) -> None:
        for number, (group, entries) in enumerate(zip(self.param_groups, self._entries, strict=True)):
            ready = [entry for entry in entries if entry.parameter.grad is not None]
            maximize = bool(group.get("maximize"))
            if hyper is None:
                for entry in ready:
                    entry.step += 1
            flat = self._flat_group(number) if ready and len(ready) == len(entries) else None
            if flat is not None and all(_same_age(entry, ready[0]) for entry in ready):
                flat.update(self.rule, self._advance(group, ready) if hyper is None else hyper[number], maximize)
                continue
            known = self._flat.get(number)
            in_place = known is not None and known.names == tuple(self.state_names(group)) and known.holds()
            for entry in ready:
                numbers = self._advance(group, [entry]) if hyper is None else hyper[number]
                entry.update(self.rule, self._prepare(group, entry), numbers, maximize, in_place)

    def _advance(self, group: Mapping[str, Any], entries: Sequence[_Entry]) -> Hyper:
        """The rule's numbers for parameters of one age, whose scalars go on by a step."""
        numbers, scalars = self.advance(group, entries[0].step, entries[0].scalars or self.scalars(group))
        for entry in entries:
            entry.scalars = scalars
        return numbers

    def _prepare(self, group: Mapping[str, Any], entry: _Entry) -> dict[str, Tensor]:
        return entry.prepare(self.state_start(group, entry.parameter))

    def _flat_group(self, number: int) -> FlatGroup | None:
        """A group's flat buffers; None where it has more than one dtype or place, or no writing in place."""
        group, entries = self.param_groups[number], self._entries[number]
        names = self.state_names(group)
        flat = self._flat.get(number)
        if flat is not None and flat.names == tuple(names) and flat.holds():
            return flat
        first = entries[0].parameter
        if not self.elementwise or not backend_of(first.array).in_place:
            return None
        if any((e.parameter.array.dtype, e.parameter.device) != (first.array.dtype, first.device) for e in entries):
            return None
        self._flat[number] = FlatGroup([e.parameter for e in entries], [self._prepare(group, e) for e in entries])
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
                    kept = self._prepare(group, entry)
                    copies = {n: Tensor(array_like(s.array, s.array, copy=True)) for n, s in kept.items()}
                    state[number] = {"step": entry.step, **entry.scalars, **copies}
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
        groups = zip(state["param_groups"], self._entries, strict=True)
        for number, (group, entry) in enumerate((group, entry) for group, entries in groups for entry in entries):
            saved = dict(_saved(state, number))
            step = int(saved.pop("step"))
            scalars = {n: float(saved.pop(n)) for n in self.scalars(group) if n in saved}
            kept = {n: array_like(v, entry.parameter.array, copy=True) for n, v in saved.items()}
            loaded.append((entry, step, scalars, kept))
        self._flat.clear()
        for own, group in zip(self.param_groups, state["param_groups"], strict=True):
            own.update({name: value for name, value in group.items() if name != "params"})
        for entry, step, scalars, kept in loaded:
            entry.step, entry.scalars = step, scalars
            entry.state = {name: Tensor(array) for name, array in kept.items()}

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
            differing = (set(saved) ^ set(own)) - _BESIDES  # which one of the two may have without the other
            complaints += [f"{n}: {'unknown' if n in saved else 'missing'}" for n in sorted(differing)]
            if not differing:
                try:
                    check_hyperparameters(type(self).__name__, saved, self.checks)
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
            start = self.state_start(group, entry.parameter) if saved.get("step") else {}
            numbers = {"step", *(self.scalars(group) if saved.get("step") else ())}
            for name in sorted({*start, *numbers, *saved}):
                if name not in saved or name not in {*start, *numbers}:
                    complaint: str | None = "unknown" if name in saved else "missing"
                elif name in numbers:
                    complaint = None if _is_number(saved[name]) else f"a {type(saved[name]).__name__}, not a number"
                else:
                    complaint = misfit(saved[name], _full(start[name], entry.parameter.array))
                complaints += [f"state {number}, {name}: {complaint}"] if complaint else []
        return complaints

    def __getstate__(self) -> dict[str, Any]:
        """All but the flat buffers: a copy of those would be apart from the copies of the views into them."""
        return {**vars(self), "_flat": {}}

    def __repr__(self) -> str:
        lines = [
            ", ".join(f"{name}={value!r}" for name, value in group.items() if name not in ("params", "param_names"))
            + f", {sum(p.size for p in group['params']):,} parameters"
            for group in self.param_groups
        ]
        return f"{type(self).__name__}({'; '.join(lines)})"


def _same_age(a: _Entry, b: _Entry) -> bool:
    """Whether the rule's numbers are the same for both."""
    return a.step == b.step and a.scalars == b.scalars


def _full(start: Start, like: Array) -> Array:
    """A new array of the state, in the dtype and place of a parameter's."""
    owner, (shape, value) = backend_of(like), start
    if tuple(like.shape) == shape:
        return owner.namespace.full_like(like, value)
    return owner.namespace.full(shape, value, dtype=like.dtype, device=owner.device_of(like))


def _plain(value: Any) -> Any:
    """A hyperparameter as files can have it: an array or a Tensor of no axes as the number it is."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value


def _is_number(value: Any) -> bool:
    """Whether a saved value is one number: a Python one, or an array of no axes as files have it."""
    return isinstance(value, Real) or getattr(value, "shape", None) == ()


def _saved(state: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """What a state has for one parameter; its number may have become a string in a file."""
    entries = state["state"]
    found: Mapping[str, Any] = entries.get(number, entries.get(str(number), {"step": 0}))
    return found
