"""Containers: modules in a row, in a list or by name, and parameters likewise."""

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import count
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from .activation.rectifiers import ReLU
from .fused import is_just
from .linear import Linear
from .module import Module, Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]

V = TypeVar("V")


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

    def __add__(self, others: Iterable[Module]) -> Self:
        return self._of({str(i): module for i, module in enumerate([*self, *others])})

    def __iadd__(self, others: Iterable[Module]) -> Self:
        return self.extend(others)

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
        """x: what the first module takes. Returns what the last one gives.

        A `Linear` and a `ReLU` behind it run as one op, unless somebody hooks into one of them.
        """
        modules = iter(self._modules.values())
        module = next(modules, None)
        while module is not None:
            behind = next(modules, None)
            if is_just(behind, ReLU) and is_just(module, Linear):
                x, module = module.rectified(x), next(modules, None)
            else:
                x, module = module(x), behind
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

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    @classmethod
    def _of(cls, named: Mapping[str, Module]) -> "ModuleList":
        return ModuleList(named.values())


class _ByName(Module, Generic[V]):
    """Modules or parameters by name, as in a dict."""

    kind: ClassVar[str]

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__()
        self.update(() if values is None else values)

    def update(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Hold some more; one of a name that is there replaces it."""
        for name, value in dict(values).items():
            self[name] = value

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._held().keys()

    def values(self) -> ValuesView[V]:
        """What has the names."""
        return self._held().values()

    def items(self) -> ItemsView[str, V]:
        """Names, and what has them."""
        return self._held().items()

    def pop(self, name: str) -> V:
        """Take one out."""
        value = self[name]
        del self[name]
        return value

    def clear(self) -> None:
        """Take all out."""
        for name in list(self):
            del self[name]

    def _held(self) -> dict[str, V]:
        return self.__dict__[f"_{self.kind}s"]  # type: ignore[no-any-return]

    def __getitem__(self, name: str) -> V:
        if name not in self:
            raise KeyError(f"there is no {self.kind} {name!r}; there are {', '.join(self) or 'none'}")
        return self._held()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        raise NotImplementedError

    def __delitem__(self, name: str) -> None:
        self[name]  # or an error that says what there is
        delattr(self, name)

    def __len__(self) -> int:
        return len(self._held())

    def __iter__(self) -> Iterator[str]:
        return iter(self._held())

    def __contains__(self, name: object) -> bool:
        return name in self._held()


class ModuleDict(_ByName[Module]):
    """Modules by name, all of whose parameters are found.

    >>> from pullback import nn
    >>> heads = nn.ModuleDict({"age": nn.Linear(8, 1), "class": nn.Linear(8, 5)})
    >>> heads["class"]
    Linear(in_features=8, out_features=5, bias=True)  # 45 parameters
    """

    kind = "module"

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)


class ParameterList(Module):
    """A list of parameters; a plain Tensor that is put in becomes one.

    >>> import pullback as pb
    >>> from pullback import nn
    >>> [p.shape for p in nn.ParameterList(pb.zeros(n) for n in (1, 2))]
    [(1,), (2,)]
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(() if values is None else values)

    def append(self, value: Any) -> Self:
        """Put a parameter at the end; returns self."""
        self.register_parameter(str(len(self)), _parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Put parameters at the end; returns self."""
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return (p for p in self._parameters.values() if p is not None)

    @overload
    def __getitem__(self, index: int) -> Parameter: ...
    @overload
    def __getitem__(self, index: slice) -> "ParameterList": ...
    def __getitem__(self, index: int | slice) -> Module | Parameter:
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        return list(self)[self._place(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        self.register_parameter(str(self._place(index)), _parameter(value))

    def _place(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no parameter {index} in a ParameterList of {len(self)}")
        return index % len(self)


class ParameterDict(_ByName[Any]):
    """Parameters by name; a plain Tensor that is put in becomes one, and None says that there is none.

    >>> import pullback as pb
    >>> from pullback import nn
    >>> scales = nn.ParameterDict({"a": pb.ones(2)})
    >>> scales.setdefault("b", pb.zeros(3)).shape, list(scales | {"c": pb.ones(1)})
    ((3,), ['a', 'b', 'c'])
    """

    kind = "parameter"

    def __setitem__(self, name: str, value: Any) -> None:
        self.register_parameter(name, None if value is None else _parameter(value))

    def get(self, name: str, default: Any = None) -> Any:
        """The parameter of a name, or what stands in for one that is not there."""
        return self._held().get(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The parameter of a name; where there is none, `default` is held under it first."""
        if name not in self:
            self[name] = default
        return self[name]

    def popitem(self) -> tuple[str, Any]:
        """Take the last one out, with its name."""
        if not self:
            raise KeyError("there is no parameter to take out")
        name = list(self)[-1]
        return name, self.pop(name)

    def copy(self) -> "ParameterDict":
        """A dict of the same parameters."""
        return ParameterDict(self.items())

    def fromkeys(self, names: Iterable[str], default: Any = None) -> "ParameterDict":
        """A dict that has one parameter under all of these names."""
        value = None if default is None else _parameter(default)
        return ParameterDict((name, value) for name in names)

    def __or__(self, others: Mapping[str, Any]) -> "ParameterDict":
        both = self.copy()
        both.update(others)
        return both

    def __ior__(self, others: Mapping[str, Any]) -> Self:
        self.update(others)
        return self


def _parameter(value: Any) -> Parameter:
    return value if isinstance(value, Parameter) else Parameter(value)
