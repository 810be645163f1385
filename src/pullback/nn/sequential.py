"""Sequential: modules one after the other."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, overload

from .module import Module

__all__ = ["Sequential"]


class Sequential(Module):
    """Modules one after the other: each takes what the one before it gives.

    modules: the modules, named "0", "1", ...; or one dict of modules by name.
    An index gives a module, a slice a `Sequential` of the same modules under the same names.

    >>> from pullback import nn
    >>> nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    Sequential(  # 33 parameters
      (0): Linear(in_features=2, out_features=8, bias=True)  # 24 parameters
      (1): Tanh()
      (2): Linear(in_features=8, out_features=1, bias=True)  # 9 parameters
    )
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = dict(modules[0])
        else:
            named = {str(i): module for i, module in enumerate(modules)}  # type: ignore[misc]  # refused below
        for name, module in named.items():
            self.add_module(name, module)

    def forward(self, x: Any) -> Any:
        """x: what the first module takes. Returns what the last one gives."""
        for module in self._modules.values():
            x = module(x)
        return x

    def append(self, module: Module) -> "Sequential":
        """Put a module at the end, under the first number from the length on that is free; returns self."""
        self.add_module(next(str(i) for i in count(len(self)) if str(i) not in self._modules), module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...
    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(dict(list(self._modules.items())[index]))
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no module {index} in a Sequential of {len(self)}")
        return list(self._modules.values())[index]
