"""Hooks: functions that are called when a module is, and when gradients come back through it."""

from collections.abc import Callable
from typing import Any

from ..autodiff.observing import observed
from ..autodiff.tensor import Tensor, array_of
from ..autodiff.tree import flatten

__all__ = ["Hooks", "RemovableHandle"]

Hook = Callable[..., Any]


class RemovableHandle:
    """What a registration gives: `remove()` takes the hook away, as does the end of a `with` block."""

    def __init__(self, hooks: dict["RemovableHandle", Hook]) -> None:
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self, None)

    def __enter__(self) -> "RemovableHandle":
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()


class Hooks:
    """The hooks of one module, and a call of the module with them."""

    def __init__(self) -> None:
        self.before: dict[RemovableHandle, Hook] = {}
        self.after: dict[RemovableHandle, Hook] = {}
        self.before_backward: dict[RemovableHandle, Hook] = {}
        self.after_backward: dict[RemovableHandle, Hook] = {}

    def add(self, kind: dict[RemovableHandle, Hook], hook: Hook, prepend: bool) -> RemovableHandle:
        """Enter a hook at the end of its kind, or in front."""
        handle = RemovableHandle(kind)
        others = list(kind.items()) if prepend else []
        for key, _ in others:
            del kind[key]
        kind[handle] = hook
        kind.update(others)
        return handle

    def call(self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """What the module gives, each hook having had its turn."""
        for hook in list(self.before.values()):
            inputs, options = hook(module, inputs, options)
        if not (self.before_backward or self.after_backward):
            output = module.forward(*inputs, **options)
        else:
            output = self._watched(module, inputs, options)
        for hook in list(self.after.values()):
            changed = hook(module, inputs, options, output)
            output = output if changed is None else changed
        return output

    def _watched(self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The forward between two places where gradients are seen: behind its outputs, and before its inputs."""
        arrived: list[Any] = [None]

        def at_the_outputs(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
            for hook in list(self.before_backward.values()):
                changed = _tensors_of(hook(module, tuple(map(_tensor, gradients))), gradients)
                gradients = gradients if changed is None else changed
            arrived[0] = tuple(map(_tensor, gradients))
            if not learns:
                self._finish(module, tuple(None for x in inputs if isinstance(x, Tensor)), arrived[0])
            return gradients

        def at_the_inputs(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
            changed = self._finish(module, tuple(map(_tensor, gradients)), arrived[0])
            found = _tensors_of(changed, gradients)
            return gradients if found is None else found

        learns = any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
        if learns:
            inputs = _replaced(inputs, at_the_inputs)
        output = module.forward(*inputs, **options)
        leaves, rebuild = flatten(output)
        return rebuild(list(_replaced(tuple(leaves), at_the_outputs)))

    def _finish(self, module: Any, of_inputs: tuple[Any, ...], of_outputs: Any) -> Any:
        changed = None
        for hook in list(self.after_backward.values()):
            given = hook(module, of_inputs, of_outputs)
            if given is not None:
                changed = of_inputs = tuple(given) if isinstance(given, (tuple, list)) else (given,)
        return changed


def _replaced(values: tuple[Any, ...], see: Callable[..., Any]) -> tuple[Any, ...]:
    """The values, the Tensors among them observed together."""
    seen = iter(observed(*(x for x in values if isinstance(x, Tensor)), see=see))
    return tuple(next(seen) if isinstance(x, Tensor) else x for x in values)


def _tensor(g: Any) -> Tensor:
    return g if isinstance(g, Tensor) else Tensor(g)


def _tensors_of(given: Any, gradients: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What a hook gave, as what the walk carries: arrays, or Tensors where it is recorded."""
    if given is None:
        return None
    given = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    return tuple(
        (x if isinstance(g, Tensor) else array_of(x)) if x is not None else g
        for x, g in zip(given, gradients, strict=True)
    )
