"""GradScaler: gradients of float16 kept within its range, and steps without which it is not."""

import logging
from collections.abc import Iterable, Mapping
from functools import reduce
from math import isfinite
from typing import Any

from ..autodiff.tape import no_grad
from ..autodiff.tensor import Tensor
from ..backends.host import host
from ..ops.creation import zeros
from ..ops.elementwise import logical_and, sqrt
from ..ops.precision import wide
from .clip import like
from .optimizer import Optimizer
from .several import unscale_all

__all__ = ["GradScaler"]

_log = logging.getLogger("pullback")

_LARGEST = 2.0**127
"""The largest power of two that a loss of float32 can be scaled by."""


class _Unscaled:
    """What is known of an optimizer's gradients in this iteration."""

    def __init__(self, finite: Tensor | None) -> None:
        self.flag = finite
        self.stepped = False

    @property
    def finite(self) -> bool:
        """Whether all of them are; what the device found out is read once."""
        if isinstance(self.flag, Tensor):
            self._finite, self.flag = bool(self.flag.item()), None
        return self._finite

    _finite = True


class GradScaler:
    """Scales the loss, so that gradients of float16 do not vanish, and skips the steps in which they overflow.

    device: as in PyTorch; the gradients themselves say where they are.
    init_scale: what the loss is multiplied by at first. After every step that is skipped, because a gradient is
        infinite or NaN, it is multiplied by `backoff_factor`, less than 1; after `growth_interval` steps without one,
        by `growth_factor`, more than 1.
    enabled: False calls `optimizer.step()` and does nothing else.
    Raises ValueError for factors that are not so.

    `skipped` counts the steps that were skipped, and `found_inf` says whether the last one was; each is a line in the
    log of `pullback`. Whether gradients are finite is found out where they are, and read once for all in `step`.
    bfloat16 has float32's exponents and needs none of this (Micikevicius et al., "Mixed precision training", 2018).

    >>> import pullback as pb
    >>> from pullback import nn, optim
    >>> model = nn.Linear(3, 1)
    >>> optimizer, scaler = optim.SGD(model.parameters(), lr=0.1), optim.GradScaler(init_scale=1024.0)
    >>> with pb.autocast("float16"):
    ...     loss = nn.MSELoss()(model(pb.ones((2, 3))), pb.zeros((2, 1)))
    >>> scaler.scale(loss).backward()
    >>> norm = scaler.unscale_(optimizer)  # only where gradients are looked at, or clipped, before the step
    >>> optim.clip_grads_with_norm_(model.parameters(), max_norm=1.0, total_norm=norm)
    >>> scaler.step(optimizer)
    >>> scaler.update()
    >>> scaler.skipped, scaler.get_scale()
    (0, 1024.0)
    """

    def __init__(
        self,
        device: Any = None,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if isinstance(device, (int, float)):
            raise TypeError(f"the first argument is the device, as in PyTorch; write init_scale={device!r}")
        if not isinstance(growth_interval, int) or growth_interval < 1:
            raise ValueError(f"growth_interval is a whole number of steps, at least 1; got {growth_interval!r}")
        if not growth_factor > 1:
            raise ValueError(f"growth_factor is greater than 1; got {growth_factor!r}")
        if not 0 < backoff_factor < 1:
            raise ValueError(f"backoff_factor is between 0 and 1; got {backoff_factor!r}")
        if not 0 < init_scale < float("inf"):
            raise ValueError(f"init_scale is a positive number; got {init_scale!r}")
        self.growth_factor = growth_factor
        self.backoff_factor = backoff_factor
        self.growth_interval = growth_interval
        self.skipped = 0
        self.found_inf = False
        self._enabled = enabled
        self._scale = float(init_scale)
        self._steps_since = 0  # the scale last changed
        self._optimizers: dict[int, _Unscaled] = {}  # of this iteration, by their identities

    def scale(self, outputs: Any) -> Any:
        """A loss times the scale, in float32 at least; of lists and tuples of losses, as many.

        Raises TypeError for what is no Tensor.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return wide(Tensor.namespace, outputs) * self._scale
        if not isinstance(outputs, Iterable):
            raise TypeError(f"a loss to be scaled is a Tensor, or several in a list; got {type(outputs).__name__}")
        scaled = map(self.scale, outputs)
        return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled

    def unscale_(self, optimizer: Optimizer) -> Tensor | None:
        """Divide the gradients of the optimizer's parameters by the scale, once all of them are there.

        `step` does so too, unless it is done already.
        Returns their norm taken together, 0-d, which is found on the way: `clip_grads_with_norm_` takes it. None where
        the scaler is not enabled.
        Raises RuntimeError where it is done, or the step is taken; ValueError for gradients of float16, which a
        parameter of float16 has.
        """
        if not self._enabled:
            return None
        known = self._optimizers.get(id(optimizer))
        if known is not None:
            done = "unscale_() comes before step()" if known.stepped else "unscale_() was called already"
            raise RuntimeError(f"{done} in this iteration of {type(optimizer).__name__}; update() begins another")
        ready = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if any(p.grad.dtype == "float16" for p in ready):
            raise ValueError(
                "gradients of float16 lose in unscaling what scaling saved; keep the parameters float32, and compute "
                'in float16 inside pb.autocast("float16")'
            )
        alike: dict[tuple[Any, Any], list[Tensor]] = {}
        for p in ready:
            alike.setdefault((p.dtype, p.device), []).append(p)
        squares: list[Tensor] = []
        flags: list[Tensor] = []
        with no_grad(), host.errstate(over="ignore", invalid="ignore"):  # what is not finite is looked for here
            for some in alike.values():
                gradients = (p.grad.detach() for p in some)  # type: ignore[union-attr]
                total, finite, *unscaled = unscale_all(1 / self._scale, *gradients)
                squares.append(total)
                flags.append(finite)
                for p, g in zip(some, unscaled, strict=True):
                    p.grad = g
            is_finite = reduce(lambda a, b: logical_and(a, like(b, a)), flags) if flags else None
            norm: Tensor = sqrt(reduce(lambda a, b: a + like(b, a), squares)) if squares else zeros(())
        self._optimizers[id(optimizer)] = _Unscaled(is_finite)
        return norm

    def step(self, optimizer: Optimizer, *args: Any, **options: Any) -> Any:
        """The optimizer's step, unless one of its gradients is infinite or NaN; they are unscaled before.

        Returns what `optimizer.step` gives, None where it is skipped.
        Raises RuntimeError for a second step before `update`, and for a closure, which would compute gradients again.
        """
        if not self._enabled:
            return optimizer.step(*args, **options)
        name = type(optimizer).__name__
        if "closure" in options or any(map(callable, args)):
            raise RuntimeError(
                f"GradScaler takes no closure: call {name}.step without, or in bfloat16, which needs no scaling"
            )
        if id(optimizer) not in self._optimizers:
            self.unscale_(optimizer)
        known = self._optimizers[id(optimizer)]
        if known.stepped:
            raise RuntimeError(f"step() was called already for {name} in this iteration; update() begins another")
        known.stepped = True
        self.found_inf = not known.finite
        if known.finite:
            return optimizer.step(*args, **options)
        self.skipped += 1
        _log.info(
            "a step of %s was skipped: at a loss scale of %g its gradients are not finite (%d skipped so far)",
            *(name, self._scale, self.skipped),
        )
        return None

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """End an iteration: take the scale down after a skipped step, up after many that were not; or set it.

        Raises RuntimeError where no gradients were unscaled in this iteration, ValueError for a scale that is none.
        """
        if not self._enabled:
            return
        if new_scale is not None:
            value = float(new_scale.item() if isinstance(new_scale, Tensor) else new_scale)
            if not (value > 0 and isfinite(value)):
                raise ValueError(f"a scale is a positive number; got {value!r}")
            self._scale = value
        elif not self._optimizers:
            raise RuntimeError("update() ends an iteration in which step(optimizer) was called; it was not")
        elif not all(known.finite for known in self._optimizers.values()):
            self._scale *= self.backoff_factor
            self._steps_since = 0
        else:
            self._steps_since += 1
            if self._steps_since == self.growth_interval:
                self._steps_since = 0
                if self._scale * self.growth_factor <= _LARGEST:
                    self._scale *= self.growth_factor
        self._optimizers = {}

    def get_scale(self) -> float:
        """What losses are multiplied by now; 1 where the scaler is not enabled."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Whether losses are scaled at all."""
        return self._enabled

    def state_dict(self) -> dict[str, float]:
        """What to go on with after `update`, under PyTorch's names; nothing where the scaler is not enabled."""
        if not self._enabled:
            return {}
        names = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")
        found = (self._scale, self.growth_factor, self.backoff_factor, self.growth_interval, self._steps_since)
        return dict(zip(names, found, strict=True))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another scaler stood. Raises ValueError, changing nothing, for what is no such state."""
        if not self._enabled:
            return
        missing = [name for name in self.state_dict() if name not in state]
        if missing:
            raise ValueError(
                f"the state of a GradScaler has {', '.join(self.state_dict())}; missing: {', '.join(missing)}"
            )
        self._scale = float(state["scale"])
        self.growth_factor, self.backoff_factor = float(state["growth_factor"]), float(state["backoff_factor"])
        self.growth_interval, self._steps_since = int(state["growth_interval"]), int(state["_growth_tracker"])

    def __repr__(self) -> str:
        off = "" if self._enabled else ", enabled=False"
        return f"GradScaler(scale={self.get_scale():g}, skipped={self.skipped}{off})"
