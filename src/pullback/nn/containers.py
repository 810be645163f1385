"""Containers: modules in a row, in a list or by name, and parameters likewise."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any, Self, overload

from .module import Module, Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


class _Row(Module):
    """Modules in order, by position; each has a name besides, by default its number."""

    def append(self, module: Module) -> Self:
        """Put a module at the end, under the first number from the length on that is free; returns self."""
        self.add_module(next(str(i) for i in count(len(self)) if str(i) not in self._modules), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Put modules at the end; returns self."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one at an index, and number all anew; returns self."""
        row = list(self)
        row.insert(index, module)
        self._renew({str(i): module for i, module in enumerate(row)})
        return self

    def pop(self, index: int = -1) -> Module:
        """Take a module out, by default the last."""
        module = list(self)[self._place(index)]
        del self[index]
        return module

    def _renew(self, named: Mapping[str, Module]) -> None:
        """Hold these modules under these names and no others."""
        for name in list(self._modules):
            delattr(self, name)
        for name, module in named.items():
            self.add_module(name, module)

    def _place(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no module {index} in a {type(self).__name__} of {len(self)}")
        return index % len(self)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return self._of(dict(list(self._modules.items())[index]))
        return list(self)[self._place(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(list(self._modules)[self._place(index)], module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        gone = names[index] if isinstance(index, slice) else [names[self._place(index)]]
        kept = [(name, module) for name, module in self._modules.items() if name not in gone]
        numbered = all(name == str(i) for i, name in enumerate(names))
        self._renew({str(i) if numbered else name: module for i, (name, module) in enumerate(kept)})

    @classmethod
    def _of(cls, named: Mapping[str, Module]) -> Self:
        """The same kind of row, of these modules."""
        raise NotImplementedError


class Sequential(_Row):
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

    @classmethod
    def _of(cls, named: Mapping[str, Module]) -> "Sequential":
        return Sequential(named)


class ModuleList(_Row):
    """A list of modules, all of whose parameters are found; what is done with them is the model's business.

    >>> from pullback import nn
    >>> layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
    >>> len(layers), sum(p.size for p in layers.parameters())
    (3, 60)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def __add__(self, others: Iterable[Module]) -> "ModuleList":
        return ModuleList([*self, *others])

    def __iadd__(self, others: Iterable[Module]) -> Self:
        return self.extend(others)

    @classmethod
    def _of(cls, named: Mapping[str, Module]) -> "ModuleList":
        return ModuleList(named.values())


class ModuleDict(Module):
    """Modules by name, all of whose parameters are found.

    >>> from pullback import nn
    >>> heads = nn.ModuleDict({"age": nn.Linear(8, 1), "class": nn.Linear(8, 5)})
    >>> heads["class"]
    Linear(in_features=8, out_features=5, bias=True)  # 45 parameters
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        super().__init__()
        self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Hold some more modules; one of a name that is there replaces it."""
        for name, module in dict(modules).items():
            self[name] = module

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return self._modules.items()

    def pop(self, name: str) -> Module:
        """Take a module out."""
        module = self[name]
        del self[name]
        return module

    def clear(self) -> None:
        """Take all out."""
        for name in list(self._modules):
            del self[name]

    def __getitem__(self, name: str) -> Module:
        if name not in self._modules:
            raise KeyError(f"there is no module {name!r}; there are {', '.join(self._modules) or 'none'}")
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]
        self.__dict__.pop(name, None)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules


class ParameterList(Module):
    """A list of parameters; a plain Tensor that is put in becomes one.

    >>> import pullback as pb
    >>> from pullback import nn
    >>> [p.shape for p in nn.ParameterList(pb.zeros(n) for n in (1, 2))]
    [(1,), (2,)]
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__()
        self.extend(values)

    def append(self, value: Any) -> Self:
        """Put a parameter at the end; returns self."""
        self.register_parameter(str(len(self)), _parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Put parameters at the end; returns self."""
        for value in list(values):
            self.append(value)
        return self

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return (p for p in self._parameters.values() if p is not None)

    def __getitem__(self, index: int) -> Parameter:
        return list(self)[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self.register_parameter(list(self._parameters)[index], _parameter(value))


class ParameterDict(Module):
    """Parameters by name; a plain Tensor that is put in becomes one."""

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__()
        self.update(values)

    def update(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Hold some more parameters; one of a name that is there replaces it."""
        for name, value in dict(values).items():
            self[name] = value

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._parameters.keys()

    def values(self) -> Iterable[Parameter | None]:
        """The parameters."""
        return self._parameters.values()

    def items(self) -> Iterable[tuple[str, Parameter | None]]:
        """Names and parameters."""
        return self._parameters.items()

    def __getitem__(self, name: str) -> Parameter:
        found = self._parameters.get(name)
        if found is None:
            raise KeyError(f"there is no parameter {name!r}; there are {', '.join(self._parameters) or 'none'}")
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        self.register_parameter(name, _parameter(value))

    def __delitem__(self, name: str) -> None:
        del self._parameters[name]
        self.__dict__.pop(name, None)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __contains__(self, name: object) -> bool:
        return name in self._parameters


def _parameter(value: Any) -> Parameter:
    return value if isinstance(value, Parameter) else Parameter(value)
