"""Module: parameters, buffers and sub-modules, by name."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from ..autodiff.tensor import Tensor, array_of
from ..backends import backend_of, dtype_name, find_backend_of, is_floating
from ..backends.dtypes import DType
from .hooks import Hooks, RemovableHandle
from .loading import IncompatibleKeys, array_like, misfit

__all__ = ["Module", "Parameter", "forget_gradients", "tensors_by_name"]

M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A Tensor that a module learns: a variable, found by the module that it is assigned to.

    data: a Tensor or an array, floating.
    requires_grad: False freezes it.
    Raises TypeError for what is no array, and for an array of integers that is to be learnt.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        array = array_of(data)
        if find_backend_of(array) is None:
            raise TypeError(
                f"a Parameter is made of a Tensor or an array; got {type(data).__name__}. Make one with pb.tensor(...)"
            )
        super().__init__(array)
        self.requires_grad_(requires_grad)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its values: what it is in another process is a variable with no gradient yet."""
        return type(self), (self.array, self.requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Parameter":
        """A parameter of its own with the same values and no gradient, so that `copy.deepcopy(model)` works."""
        copied = backend_of(self.array).namespace.astype(self.array, self.array.dtype, copy=True)
        memo[id(self)] = twin = Parameter(copied, self.requires_grad)
        return twin


class Module:
    """The base of every layer and model: assign parameters and modules as attributes, write `forward`.

    >>> import pullback as pb
    >>> from pullback import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter(pb.ones(3))
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()
    Scale()  # 3 parameters
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, "Module"]
    _hooks: Hooks | None = None
    _passing: frozenset[str] = frozenset()
    """The names of the buffers that are no part of the state."""

    def __init__(self) -> None:
        object.__setattr__(self, "_parameters", {})
        object.__setattr__(self, "_buffers", {})
        object.__setattr__(self, "_modules", {})
        object.__setattr__(self, "training", True)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module computes."""
        raise TypeError(f"{type(self).__name__} has no forward; define one")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """What `forward` gives, the hooks having had their turns."""
        if self._hooks is None:
            return self.forward(*inputs, **options)
        return self._hooks.call(self, inputs, options)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Have `hook(module, inputs)` called before every forward; what it gives, if not None, are the inputs.

        with_kwargs: the hook is called with the keyword arguments too, and gives None or both.
        """

        def before(module: Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
            changed = hook(module, inputs, options) if with_kwargs else hook(module, inputs)
            if changed is None:
                return inputs, options
            if with_kwargs:
                return changed
            return (changed if isinstance(changed, tuple) else (changed,)), options

        hooks = self._own_hooks()
        return hooks.add(hooks.before, before, prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Have `hook(module, inputs, output)` called after every forward; what it gives, if not None, is the output.

        with_kwargs: the hook is called as `hook(module, inputs, options, output)`.

        >>> import pullback as pb
        >>> from pullback import nn
        >>> layer, seen = nn.Linear(2, 3), []
        >>> with layer.register_forward_hook(lambda module, inputs, output: seen.append(output.shape)):
        ...     _ = layer(pb.ones((5, 2)))
        >>> seen
        [(5, 3)]
        """

        def after(module: Module, inputs: tuple[Any, ...], options: dict[str, Any], output: Any) -> Any:
            return hook(module, inputs, options, output) if with_kwargs else hook(module, inputs, output)

        hooks = self._own_hooks()
        return hooks.add(hooks.after, after, prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Have `hook(module, output_gradients)` called when they arrive; what it gives, if not None, goes on."""
        hooks = self._own_hooks()
        return hooks.add(hooks.before_backward, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Have `hook(module, input_gradients, output_gradients)` called once a backward has passed the module.

        The gradients are tuples of Tensors, for the positional inputs and the outputs that are Tensors; of an
        input that needs none they are None. What the hook gives, if not None, goes on as the inputs' gradients.
        """
        hooks = self._own_hooks()
        return hooks.add(hooks.after_backward, hook, prepend)

    def _own_hooks(self) -> Hooks:
        if self._hooks is None:
            object.__setattr__(self, "_hooks", Hooks())
        assert self._hooks is not None
        return self._hooks

    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"call super().__init__() in {type(self).__name__} before assigning {name!r}")
        if isinstance(value, Parameter):
            self._keep("_parameters", name, value)
        elif isinstance(value, Module):
            self._keep("_modules", name, value)
        else:
            for kind, cls in _KINDS.items():
                if name in self.__dict__[kind]:
                    if value is not None and not isinstance(value, cls):
                        raise TypeError(
                            f"{name!r} is one of the {kind[1:]}; it takes None or a {cls.__name__}, "
                            f"not {type(value).__name__}. For anything else, delete it first"
                        )
                    self.__dict__[kind][name] = value
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._forget(name)

    def _keep(self, kind: str, name: str, value: Any) -> None:
        """Enter a value among those of its kind; it is an ordinary attribute too, which is quick to read."""
        if name not in self.__dict__[kind]:
            if not name or "." in name or hasattr(type(self), name):
                raise ValueError(
                    f"{type(self).__name__} cannot keep anything as {name!r}; choose a name that has no dot, "
                    "is not empty and is not that of a method"
                )
            self._forget(name)
        self.__dict__[kind][name] = self.__dict__[name] = value

    def _forget(self, name: str) -> None:
        self.__dict__.pop(name, None)
        for kind in _KINDS:
            self.__dict__[kind].pop(name, None)

    def register_buffer(self, name: str, value: Tensor | None, persistent: bool = True) -> None:
        """Keep a Tensor that is part of the state but not learnt, such as a running mean.

        persistent: False leaves it out of the state: it can be made anew.
        Raises TypeError for what is neither a Tensor nor None.
        """
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(
                f"the buffer {name!r} is a Tensor or None; got {type(value).__name__}. Make one with pb.asarray(...)"
            )
        self._keep("_buffers", name, value)
        object.__setattr__(self, "_passing", self._passing - {name} if persistent else self._passing | {name})

    def register_parameter(self, name: str, value: Parameter | None) -> None:
        """Keep a parameter by name; None says that there is none."""
        self._keep("_parameters", name, value)

    def add_module(self, name: str, module: "Module") -> None:
        """Keep a sub-module under a name that need not be an identifier.

        Raises TypeError for what is no Module.
        """
        if not isinstance(module, Module):
            raise TypeError(f"the module {name!r} is an nn.Module; got {type(module).__name__}")
        self._keep("_modules", name, module)

    register_module = add_module

    def get_submodule(self, target: str) -> "Module":
        """The module below this one that has a dotted name; this one for an empty name.

        Raises AttributeError where there is none.

        >>> from pullback import nn
        >>> nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.Tanh())).get_submodule("0.1")
        Tanh()
        """
        return self._reached("_modules", target) if target else self

    def get_parameter(self, target: str) -> Parameter:
        """The parameter that has a dotted name. Raises AttributeError where there is none."""
        return self._reached("_parameters", target)  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer that has a dotted name. Raises AttributeError where there is none."""
        return self._reached("_buffers", target)  # type: ignore[no-any-return]

    def set_submodule(self, target: str, module: "Module") -> None:
        """Keep a module under a dotted name, in place of one that may be there."""
        path, _, name = target.rpartition(".")
        self.get_submodule(path).add_module(name, module)

    def _reached(self, kind: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path).__dict__[kind].get(name)
        if found is None:
            raise AttributeError(f"there is no {target!r} among the {kind[1:]} of this {type(self).__name__}")
        return found

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The direct sub-modules, with their names."""
        return iter(self.__dict__["_modules"].items())

    def children(self) -> Iterator["Module"]:
        """The direct sub-modules."""
        return iter(self.__dict__["_modules"].values())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """This module and all below it, each once, with dotted names."""
        seen: set[int] = set()

        def walk(module: Module, name: str) -> Iterator[tuple[str, Module]]:
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module
                for key, child in module.named_children():
                    yield from walk(child, f"{name}.{key}" if name else key)

        return walk(self, prefix)

    def modules(self) -> Iterator["Module"]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def _own_tensors(self, kind: str) -> Iterable[tuple[str, Any]]:
        """Its own parameters or buffers by name. Raises ValueError where they are not there yet, as in lazy layers."""
        return self.__dict__[kind].items()  # type: ignore[no-any-return]

    def _tensors(self) -> list[Tensor]:
        """All parameters and buffers that are there, each once."""
        kinds = (module.__dict__[kind] for module in self.modules() for kind in ("_parameters", "_buffers"))
        return list({id(value): value for kind in kinds for value in kind.values() if value is not None}.values())

    def _learn_sizes(self, state: Mapping[str, Any], prefix: str) -> None:
        """Learn from a state what is not known yet: lazy layers do."""

    def _named(self, kind: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, value in module._own_tensors(kind):
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """All parameters, each once, with dotted names behind a prefix; only this module's own, if not to recurse."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; see `named_parameters`."""
        return (value for _, value in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers, each once, with dotted names behind a prefix; only this module's own, if not to recurse."""
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once; see `named_buffers`."""
        return (value for _, value in self.named_buffers(recurse=recurse))

    def parameter_count(self) -> int:
        """How many numbers the module has learnt or will learn."""
        return sum(p.size for p in self.parameters())

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; with False, those that are there become zeros."""
        forget_gradients(self.parameters(), set_to_none)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Freeze (with False) or thaw all parameters."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Training mode for this module and all below it: dropout drops, running averages run."""
        for module in self.modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self: M) -> M:
        """Evaluation mode for this module and all below it."""
        return self.train(False)

    def apply(self: M, function: Callable[["Module"], Any]) -> M:
        """Call a function on every module below this one, then on this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def to(self: M, device: Any = None, *, backend: str | None = None, dtype: Any = None) -> M:
        """Move all parameters and buffers to a device, a backend or a floating dtype, in place.

        device: a dtype may stand in its place. Raises TypeError for a dtype that is not floating.

        >>> from pullback import nn
        >>> nn.Linear(2, 3).to(dtype="float64").weight.dtype
        pullback.float64
        """
        if isinstance(device, DType):
            device, dtype = None, device
        if dtype is not None and not is_floating(dtype):
            raise TypeError(f"a {type(self).__name__} is moved to a floating dtype; got {dtype_name(dtype)}")
        for value in self._tensors():
            moved: Tensor = value.detach()
            if device is not None or backend is not None:
                moved = Tensor.namespace.to_device(moved, device, backend=backend)
            if dtype is not None and "float" in moved.dtype.name:
                moved = moved.astype(dtype)
            _replace(value, moved)
        return self

    def cpu(self: M) -> M:
        """Move all parameters and buffers to the CPU, that is to NumPy, in place."""
        return self.to(backend="numpy")

    def double(self: M) -> M:
        """Make all floating parameters and buffers float64, in place."""
        return self.to(dtype="float64")

    def float(self: M) -> M:
        """Make all floating parameters and buffers float32, in place."""
        return self.to(dtype="float32")

    def half(self: M) -> M:
        """Make all floating parameters and buffers float16, in place."""
        return self.to(dtype="float16")

    def bfloat16(self: M) -> M:
        """Make all floating parameters and buffers bfloat16, in place. Raises TypeError where the backend has none."""
        return self.to(dtype="bfloat16")

    def state_dict(self) -> dict[str, Tensor]:
        """All parameters and buffers by dotted name, detached; one that is shared, by each of its names.

        The Tensors share their memory with the model's, and an optimizer's step may write there: what must
        be kept while training goes on is a `copy.deepcopy` of them, or a file.
        """
        return {name: value.detach() for name, value in tensors_by_name(self, state_only=True).items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy values into the parameters and buffers of the same names, keeping their dtype and place.

        state: Tensors or arrays by dotted name.
        strict: refuse names that are missing or unknown; with False they are passed over. Of a parameter
            that is shared, one of its names is enough, and the last one counts.
        Returns the names that were passed over, as `missing_keys` and `unexpected_keys`.
        Raises ValueError listing every name that is missing, unknown, of another shape, or of a kind of
        dtype that would lose something, as a complex one would; nothing is changed then. Lazy layers learn their
        sizes from the state first.
        """
        for path, module in self.named_modules():
            module._learn_sizes(state, f"{path}." if path else "")
        own = tensors_by_name(self, state_only=True)
        given = {id(value) for name, value in own.items() if name in state}
        misfits = {name: misfit(state[name], value.array) for name, value in own.items() if name in state}
        missing = [name for name, value in own.items() if id(value) not in given]
        unexpected = [name for name in state if name not in own]
        complaints = [
            *(f"{name}: missing" for name in missing if strict),
            *(f"{name}: unknown" for name in unexpected if strict),
            *(f"{name}: {complaint}" for name, complaint in misfits.items() if complaint),
        ]
        if complaints:
            raise ValueError(f"the state does not fit {type(self).__name__}: " + "; ".join(complaints))
        loaded = {name: array_like(state[name], own[name].array, copy=True) for name in misfits}
        for name, array in loaded.items():
            _replace(own[name], Tensor(array))
        return IncompatibleKeys(missing, unexpected)

    def extra_repr(self) -> str:
        """What stands between the brackets of the repr."""
        return ""

    def __repr__(self) -> str:
        count = sum(value.size for value in self._tensors() if isinstance(value, Parameter))
        tail = f"  # {count:,} parameter{'' if count == 1 else 's'}" if count else ""
        children = list(self.named_children())
        if not children:
            return f"{type(self).__name__}({self.extra_repr()}){tail}"
        lines = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in children]
        if self.extra_repr():
            lines.insert(0, self.extra_repr())
        return f"{type(self).__name__}({tail}\n  " + "\n  ".join(lines) + "\n)"


_KINDS: dict[str, type] = {"_parameters": Parameter, "_buffers": Tensor, "_modules": Module}


def tensors_by_name(module: Module, *, state_only: bool = False) -> dict[str, Tensor]:
    """The parameters and buffers of a module and all below it, by every dotted name that leads to them.

    state_only: leave out the buffers that are no part of the state.
    """
    return dict(_tensors_below(module, "", (), state_only))


def _tensors_below(
    module: Module, prefix: str, above: tuple[int, ...], state_only: bool
) -> Iterator[tuple[str, Tensor]]:
    if id(module) not in above:
        for kind in ("_parameters", "_buffers"):
            for name, value in module._own_tensors(kind):
                if value is not None and not (state_only and name in module._passing):
                    yield prefix + name, value
        for name, child in module.named_children():
            yield from _tensors_below(child, f"{prefix}{name}.", (*above, id(module)), state_only)


def forget_gradients(parameters: Iterable[Tensor], set_to_none: bool = True) -> None:
    """Drop the gradients, or put zeros in their place; what is frozen has none."""
    for p in parameters:
        if p.requires_grad and p.grad is not None:
            gradient = p.grad.array
            p.grad = None if set_to_none else Tensor(backend_of(gradient).namespace.zeros_like(gradient))


def _replace(value: Tensor, new: Tensor) -> None:
    """Give a parameter or buffer another array; its gradient goes, its being a variable stays."""
    learns = value.requires_grad
    value.requires_grad_(False)
    value.array = new.array
    value.requires_grad_(learns)
