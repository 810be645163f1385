"""How a module's parameter becomes one that is computed from others whenever it is read.

Attributes of modules are plain ones, which are quick to read. A module that gets a parametrization gets a class of its
own, a subclass of its former one, in which the parameter is a property; other modules never notice.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from ...autodiff.tape import no_grad
from ...autodiff.tensor import Tensor
from ..containers import ModuleDict, ModuleList
from ..module import Module, Parameter

__all__ = ["ParametrizationList", "is_parametrized", "register_parametrization", "remove_parametrizations"]

M = TypeVar("M", bound=Module)


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in the order in which they are applied, and what they are applied to.

    That is the parameter `original`, or `original0`, `original1`, ... where the `right_inverse` of the first
    parametrization gives several. Calling it gives the parametrized tensor.
    """

    def __init__(self, modules: Sequence[Module], original: Tensor) -> None:
        super().__init__(modules)
        values = self._inverse(original)
        self.is_tensor = isinstance(values, Tensor)
        if isinstance(values, Tensor):
            original.array = values.array
            _enter(self, "original", original)
            return
        for number, value in enumerate(values):
            learnt = Parameter(value, original.requires_grad) if isinstance(original, Parameter) else value.detach()
            _enter(self, f"original{number}", learnt)

    def forward(self) -> Tensor:
        """What the parametrizations make of the originals."""
        first, *others = self
        y = first(*self.originals())
        for module in others:
            y = module(y)
        return y  # type: ignore[no-any-return]

    def originals(self) -> list[Tensor]:
        """What they are applied to, one or several."""
        return [*self._parameters.values(), *self._buffers.values()]  # type: ignore[list-item]

    def assign(self, value: Tensor) -> None:
        """Give the originals the values from which the parametrizations make `value`.

        Raises TypeError where one of them has no `right_inverse`.
        """
        for module in self:
            if not hasattr(module, "right_inverse"):
                raise TypeError(
                    f"{type(module).__name__} has no right_inverse, which would say what to store for a value"
                )
        values = self._inverse(value)
        for original, new in zip(self.originals(), [values] if isinstance(values, Tensor) else values, strict=True):
            if new.shape != original.shape:
                raise ValueError(f"the parametrized tensor keeps its shape; got {tuple(value.shape)}")
            original.array = new.array

    def _inverse(self, value: Any) -> Any:
        with no_grad():
            value = value.detach()
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    value = module.right_inverse(value)
        return value


def register_parametrization(module: M, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> M:
    """Have a parameter (or a buffer) of a module computed by another module, whenever it is read.

    module: is changed in place, and returned. tensor_name: the parameter's name, such as "weight".
    parametrization: called with the original, gives the tensor to use. Its `right_inverse(value)`, if it has one, gives
        the original for a value, or a tuple of several originals, which it is then called with.
        Another parametrization of the same tensor is applied to the result of the former ones.
    unsafe: allow a change of shape or dtype.
    Raises ValueError where there is no such parameter or buffer, and for a changed shape or dtype.

    The originals are found as `parametrizations.weight.original` (or `original0`, ...) among the module's parameters:
    make the optimizer afterwards. An assignment to the tensor goes through `right_inverse`.

    >>> import pullback as pb
    >>> from pullback import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return (x + x.mT) * 0.5
    >>> layer = register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool(pb.all(layer.weight == layer.weight.mT))
    True
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'parametrizations.weight.original']
    """
    if is_parametrized(module, tensor_name):
        held = _held(module)[tensor_name]
        before = held()
        if hasattr(parametrization, "right_inverse"):
            held.assign(parametrization.right_inverse(before.detach()))
        held.append(parametrization)
        made = held()
    else:
        before = _tensor_of(module, tensor_name)
        held = ParametrizationList([parametrization], before)
        made = held()
    if not unsafe and (made.shape != before.shape or made.dtype != before.dtype):
        raise ValueError(
            f"{type(parametrization).__name__} makes {made.dtype.name} of shape {made.shape} of {tensor_name!r}, "
            f"which is {before.dtype.name} of shape {before.shape}; unsafe=True allows it"
        )
    if not is_parametrized(module, tensor_name):
        if not is_parametrized(module):
            module.add_module("parametrizations", ModuleDict())
        delattr(module, tensor_name)
        _held(module)[tensor_name] = held
        _reclassify(module)
    return module


def remove_parametrizations(module: M, tensor_name: str, leave_parametrized: bool = True) -> M:
    """Make a parametrized tensor a plain parameter (or buffer) again; returns the module.

    leave_parametrized: keep the value that it has now; with False that of the original, which must be one.
    Raises ValueError where the tensor is not parametrized, or has several originals and is to be left as they are.

    >>> from pullback import nn
    >>> layer = remove_parametrizations(nn.parametrizations.weight_norm(nn.Linear(2, 3)), "weight")
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{type(module).__name__} has no parametrization of {tensor_name!r}")
    held = _held(module)[tensor_name]
    if not leave_parametrized and not held.is_tensor:
        raise ValueError(f"{tensor_name!r} is made of several originals; only leave_parametrized=True leaves one")
    with no_grad():
        value = held() if leave_parametrized else held.original
    original = held.originals()[0]
    plain: Tensor = value.detach()
    if isinstance(original, Parameter):
        if held.is_tensor:  # the same Parameter as before, which an optimizer may hold
            original.array = plain.array
        plain = original if held.is_tensor else Parameter(plain, original.requires_grad)
    del _held(module)[tensor_name]
    if not len(_held(module)):
        delattr(module, "parametrizations")
    _reclassify(module)
    _enter(module, tensor_name, plain)
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has parametrizations; with a name, whether it has some of that tensor."""
    held = _held(module)
    return held is not None and (tensor_name is None or tensor_name in held)


def _held(module: Module) -> Any:
    """The parametrizations of a module, by the tensors' names; None where there are none."""
    held = module._modules.get("parametrizations")
    return held if isinstance(held, ModuleDict) else None


def _tensor_of(module: Module, name: str) -> Tensor:
    """The parameter or buffer of that name. Raises ValueError where there is none."""
    for kind in (module._parameters, module._buffers):
        found = kind.get(name)
        if found is not None:
            return found
    raise ValueError(f"{type(module).__name__} has no parameter or buffer {name!r}")


def _enter(module: Module, name: str, value: Tensor) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


class _Parametrized:
    """What is particular to the class of a parametrized module."""

    _plain: type[Module]
    """The module's class without parametrizations."""
    parametrizations: Any

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.parametrizations:
            self.parametrizations[name].assign(value)
        else:
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """By its plain class, as this one is made anew where a copy is."""
        return _restore, (self._plain, tuple(self.parametrizations)), self.__dict__


def _restore(plain: Any, names: tuple[str, ...]) -> Module:
    made: Module = object.__new__(_class_with(plain, names))
    return made


def _reclassify(module: Module) -> None:
    """Give a module the class that goes with its parametrizations."""
    plain: Any = module._plain if isinstance(module, _Parametrized) else type(module)
    names = tuple(_held(module) or ())
    object.__setattr__(module, "__class__", _class_with(plain, names) if names else plain)


@cache
def _class_with(plain: Any, names: tuple[str, ...]) -> Any:
    """The subclass in which some parameters are computed."""

    def computed(name: str) -> property:
        return property(lambda module: module.parametrizations[name]())

    own = {"_plain": plain, "__doc__": plain.__doc__, "__module__": plain.__module__}
    return type(f"Parametrized{plain.__name__}", (_Parametrized, plain), own | {n: computed(n) for n in names})
