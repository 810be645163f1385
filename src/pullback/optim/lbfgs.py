"""L-BFGS: steps by the curvature that the last steps have shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar

from ..autodiff.tape import enable_grad, no_grad
from ..autodiff.tensor import Tensor
from ..backends import Array, backend_of, dtype_name
from ..nn.loading import array_like
from ..ops.linear_algebra import vecdot
from .hyperparameters import at_least, check_hyperparameters
from .optimizer import Hyper, Optimizer
from .strong_wolfe import Point, strong_wolfe

__all__ = ["LBFGS"]

_LEAST_CURVATURE = 1e-10
"""Of a step along which the gradient grew no more than this, nothing is learnt."""


@dataclass
class _Memory:
    """What one step leaves to the next, under PyTorch's names."""

    n_iter: int = 0
    func_evals: int = 0
    t: float = 0.0
    H_diag: Array | None = None
    d: Array | None = None
    prev_flat_grad: Array | None = None
    old_dirs: list[Array] = field(default_factory=list)
    old_stps: list[Array] = field(default_factory=list)
    ro: list[Array] = field(default_factory=list)


class LBFGS(Optimizer):
    """The limited-memory BFGS method (Liu and Nocedal, 1989), with PyTorch's arguments and defaults.

    One `step(closure)` makes up to `max_iter` iterations, so the closure is called many times; it is for gradients
    of the whole data set. All parameters are one group, of one dtype in one place.

    lr: the length of each step, or with a line search the first one tried. max_eval: how often the closure may be
    called in a step; None is 1.25 times max_iter. tolerance_grad, tolerance_change: a step ends where no element of
    the gradient, or of the change, is larger. history_size: how many of the last iterations are remembered.
    line_search_fn: `"strong_wolfe"`, or None for steps of a fixed length.

    >>> import pullback as pb
    >>> x = pb.tensor([-1.0, 2.0], dtype="float64", requires_grad=True)
    >>> optimizer = LBFGS([x], line_search_fn="strong_wolfe", max_iter=100)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> before = optimizer.step(closure)
    >>> [round(value, 4) for value in x.tolist()]
    [1.0, 1.0]
    """

    elementwise = False
    checks: ClassVar = {
        "max_iter": at_least(1),
        "max_eval": at_least(1),
        "history_size": at_least(1),
        "tolerance_grad": (lambda value: bool(value >= 0), "a number of at least 0"),
        "tolerance_change": (lambda value: bool(value >= 0), "a number of at least 0"),
        "line_search_fn": (lambda name: name in (None, "strong_wolfe"), "None or 'strong_wolfe'"),
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        self._memory = _Memory()
        check_hyperparameters("LBFGS", {"max_iter": max_iter}, self.checks)  # of which max_eval is made
        super().__init__(
            params,
            lr=lr,
            max_iter=max_iter,
            max_eval=max_iter * 5 // 4 if max_eval is None else max_eval,
            tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change,
            history_size=history_size,
            line_search_fn=line_search_fn,
        )

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Take the one group that there can be. Raises ValueError for another."""
        if self.param_groups:
            raise ValueError("LBFGS has one group of parameters; give it all of them in one list")
        super().add_param_group(group)

    def step(self, closure: Callable[[], Any] | None = None, *, hyper: Sequence[Hyper] | None = None) -> Any:
        """Up to `max_iter` iterations.

        closure: forgets the gradients, computes the loss and its gradients, and returns the loss.
        Returns the loss before the step. Raises TypeError without a closure, or where it does not return one number,
        and ValueError where the parameters differ in dtype or place. Where the closure raises, or Ctrl-C comes, the
        parameters are those of the last iteration.
        """
        if closure is None or hyper is not None:
            raise TypeError("LBFGS evaluates the loss several times in a step; call step(closure), which is not traced")
        with no_grad():
            run = _Run(self.param_groups[0], self._memory, closure)
            try:
                return run.go()
            except BaseException:  # Ctrl-C too: nobody is to find the weights where a line search looked
                run.put(run.x)
                raise

    def state_dict(self) -> dict[str, Any]:
        """The group's hyperparameters, and what was learnt of the curvature, as the state of the first parameter."""
        memory, state = self._memory, {}
        if memory.n_iter:
            stacked = {name: _stacked(getattr(memory, name)) for name in _LISTS}
            arrays = {name: getattr(memory, name) for name in ("H_diag", "d", "prev_flat_grad")} | stacked
            numbers = {name: getattr(memory, name) for name in ("n_iter", "func_evals", "t")}
            state[0] = numbers | {n: Tensor(array_like(a, a, copy=True)) for n, a in arrays.items() if a is not None}
        return {**super().state_dict(), "state": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another LBFGS of the same parameters stood.

        Raises ValueError listing what does not fit; nothing is changed then.
        """
        entries = state.get("state", {})
        saved = dict(entries.get(0, entries.get("0", {})))
        like = self.param_groups[0]["params"][0].array
        size = sum(p.size for p in self.param_groups[0]["params"])
        known = {"n_iter", "func_evals", "t", "H_diag", "d", "prev_flat_grad", "old_dirs", "old_stps", "ro"}
        wrong = [f"state 0, {name}: unknown" for name in sorted(set(saved) - known)]
        wrong += [f"state 0, {n}: missing" for n in sorted(known - set(_LISTS) - set(saved)) if saved]
        for name in ("d", "prev_flat_grad", "old_dirs", "old_stps"):
            if name in saved and tuple(saved[name].shape)[-1:] != (size,):
                wrong.append(f"state 0, {name}: shape {tuple(saved[name].shape)} given, {size} elements expected")
        if wrong:
            raise ValueError("the state does not fit LBFGS: " + "; ".join(wrong))
        super().load_state_dict({**state, "state": {}} if "state" in state else state)
        arrays = {n: array_like(v, like, copy=True) for n, v in saved.items() if n not in ("n_iter", "func_evals", "t")}
        lists = {n: [arrays[n][i, ...] for i in range(arrays[n].shape[0])] for n in _LISTS if n in arrays}
        numbers = {n: kind(saved[n]) for n, kind in (("n_iter", int), ("func_evals", int), ("t", float)) if n in saved}
        self._memory = _Memory(**{**arrays, **lists, **numbers})


_LISTS = ("old_dirs", "old_stps", "ro")


def _stacked(arrays: list[Array]) -> Array | None:
    return backend_of(arrays[0]).namespace.stack(arrays) if arrays else None


class _Run:
    """One step of LBFGS: the loss as a function of one long vector."""

    def __init__(self, group: Mapping[str, Any], memory: _Memory, closure: Callable[[], Any]) -> None:
        self.group, self.memory, self.closure = group, memory, closure
        self.parameters: list[Tensor] = group["params"]
        arrays = [p.array for p in self.parameters]
        self.owner = backend_of(arrays[0])
        self.xp = self.owner.namespace
        kinds = {(backend_of(a).name, str(backend_of(a).device_of(a)), dtype_name(a.dtype)) for a in arrays}
        if len(kinds) > 1:
            raise ValueError(f"LBFGS expects parameters of one dtype in one place; got {sorted(kinds)}")
        self.evaluations = 0
        self.x = self.joined(arrays)
        """Where the last iteration ended."""

    def go(self) -> Any:
        """The iterations; returns what the closure gave first."""
        group, memory = self.group, self.memory
        first, loss = self.evaluate()
        gradient = self.gradient()
        if self.largest(gradient) <= group["tolerance_grad"]:
            return first
        for iteration in range(1, group["max_iter"] + 1):
            memory.n_iter += 1
            direction = self.direction(gradient)
            t = group["lr"]
            if memory.n_iter == 1:
                t *= min(1.0, 1.0 / self.number(self.xp.sum(self.xp.abs(gradient))))
            slope = self.number(vecdot(gradient, direction))
            memory.d, memory.t, memory.prev_flat_grad = direction, t, gradient
            if slope > -group["tolerance_change"]:
                break
            last = loss
            if group["line_search_fn"] is not None:
                self.x, loss, gradient = self.searched(direction, Point(0.0, loss, gradient, slope), t)
                t = memory.t
            else:
                self.x = self.moved(self.x, direction, t)
                if iteration < group["max_iter"]:  # the last point is for the next step to evaluate
                    loss, gradient = self.evaluate()[1], self.gradient()
            if (
                iteration == group["max_iter"]
                or self.evaluations >= group["max_eval"]
                or self.largest(gradient) <= group["tolerance_grad"]
                or self.largest(direction * t) <= group["tolerance_change"]
                or abs(loss - last) < group["tolerance_change"]
            ):
                break
        return first

    def direction(self, gradient: Array) -> Array:
        """The gradient, turned round and multiplied by the inverse Hessian as far as it is known."""
        memory = self.memory
        if memory.n_iter == 1 or memory.prev_flat_grad is None or memory.d is None:
            memory.H_diag = self.array(self.xp.ones_like(vecdot(gradient, gradient)))
            return -gradient
        growth, way = gradient - memory.prev_flat_grad, memory.d * memory.t
        curvature = vecdot(growth, way)
        if self.number(curvature) > _LEAST_CURVATURE:
            for kept, new in (
                (memory.old_dirs, growth),
                (memory.old_stps, way),
                (memory.ro, self.array(1.0 / curvature)),
            ):
                kept.append(new)
                del kept[: -self.group["history_size"]]
            memory.H_diag = self.array(curvature / vecdot(growth, growth))
        q, shares = -gradient, []
        remembered = list(zip(memory.old_dirs, memory.old_stps, memory.ro, strict=True))
        for y, s, rho in reversed(remembered):
            shares.append(vecdot(s, q) * rho)
            q = q - shares[-1] * y
        q = q * memory.H_diag
        for (y, s, rho), share in zip(remembered, reversed(shares), strict=True):
            q = q + (share - vecdot(y, q) * rho) * s
        return q

    def searched(self, direction: Array, start: Point, t: float) -> tuple[Array, float, Array]:
        """Where the line search ends, with the loss and the gradient there."""

        def evaluate(t: float) -> Point:
            self.moved(self.x, direction, t)
            loss, gradient = self.evaluate()[1], self.gradient()
            return Point(t, loss, gradient, self.number(vecdot(gradient, direction)))

        tries = self.group["max_eval"] - self.evaluations
        tolerance, length = self.group["tolerance_change"], self.largest(direction)
        found, _ = strong_wolfe(evaluate, start, t, length=length, tolerance=tolerance, tries=tries)
        self.memory.t = found.t
        return self.moved(self.x, direction, found.t), found.loss, found.gradient

    def evaluate(self) -> tuple[Any, float]:
        """What the closure gives where the parameters are, and the number that it is."""
        self.evaluations += 1
        self.memory.func_evals += 1
        with enable_grad():
            loss = self.closure()
        try:
            return loss, float(loss)
        except (TypeError, ValueError):
            shape = getattr(loss, "shape", None)
            given = repr(loss) if shape is None else f"a {type(loss).__name__} of shape {shape}"
            raise TypeError(f"LBFGS expects the closure to return the loss, one number; got {given}") from None

    def gradient(self) -> Array:
        """The gradients of all parameters, zeros for those without."""
        zeros_like = self.xp.zeros_like
        return self.joined([zeros_like(p.array) if p.grad is None else p.grad.array for p in self.parameters])

    def joined(self, arrays: list[Array]) -> Array:
        """All of them as one vector of its own."""
        return self.xp.concat([self.xp.reshape(a, (-1,)) for a in arrays])

    def moved(self, x: Array, direction: Array, t: float) -> Array:
        """The parameters set to a place on the line, which is given back."""
        return self.put(x + t * direction)

    def put(self, place: Array) -> Array:
        """The parameters set to their parts of a vector, which is given back."""
        start = 0
        for p in self.parameters:
            stop = start + prod(p.shape)
            p.array, start = self.xp.reshape(place[start:stop], p.shape), stop
        return place

    def largest(self, x: Array) -> float:
        """The largest absolute value."""
        return self.number(self.xp.max(self.xp.abs(x)))

    def array(self, x: Array) -> Array:
        """A result of no axes as an array."""
        return self.owner.from_scalar(x)

    def number(self, x: Array) -> float:
        """An array of one element as a Python number."""
        return float(self.owner.to_host(x))
