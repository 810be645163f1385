"""What an array library must offer before pullback trains on it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, Protocol, TypeAlias

from .declining import or_else
from .dtypes import dtype_in
from .host import host
from .memory import MemoryStats, host_memory_stats
from .staging import Staging
from .transfers import note_transfer, watched

__all__ = ["Array", "Backend", "Function", "Namespace"]

Array: TypeAlias = Any
"""An object of any array API namespace."""
Namespace: TypeAlias = Any
"""An array API namespace."""


class Function(Protocol):
    """An op's forward or one of its vjps: pure, written in array API calls on the `xp` it is given."""

    name: str
    """What a kernel registers under: `"softmax"`, or `"softmax.vjp(x)"`."""
    function: Callable[..., Any]
    lasting: bool
    """Whether it stays as long as the program, so that what runs for it is remembered."""


class Backend:
    """One array library: its namespace, its devices, how arrays move, and its table of kernels.

    A subclass says what is particular to the library; the base class needs nothing but the standard.
    `device` is where new arrays are made.
    """

    name: str
    module: ClassVar[str]
    """The module that must be installed."""
    compat: ClassVar[str]
    """The module that is its standard namespace."""
    mend: ClassVar[str]
    """What to do where it is not installed."""
    in_place: ClassVar[bool] = False
    """Whether slices are views, so that parameters can lie in one flat buffer and be updated in place."""
    block: ClassVar[int | None] = None
    """How many elements of a flat buffer to update at once, so that they stay in cache; None for all."""
    flat_alignment: int | None = None
    """Where its updates in place take each gradient where it lies: of how many elements the place of each parameter in
    a flat buffer is a multiple. None where gradients are brought into a buffer of their own first."""
    level: int = 0
    """How many batches its arrays lie in, one in another: 0 for an array library's own, see `vmap`."""
    several_devices: bool = True
    """Whether two arrays can be in different places, so that it must be checked."""
    options: ClassVar[tuple[str, ...]] = ()
    """What `use` takes for it, beside a device."""
    kernels: Mapping[str, Callable[..., Any]] = {}
    """Faster versions of forwards and vjps, by `Function.name`. Without one, the op's own lines run."""

    def __init__(self, device: Any = None) -> None:
        self.device = self.find_device(device)
        self.implementations: dict[Function, Callable[..., Any]] = {}

    @classmethod
    def problem(cls) -> str | None:
        """Why the backend cannot be used here, with the mend; None when it can."""
        if find_spec(cls.module) is None:
            return f"{cls.module} is not installed; {cls.mend}"
        return None

    def configure(self, **options: Any) -> None:
        """Take those of its options that `use` was given."""

    def on(self, device: Any, /) -> "Backend":
        """The same backend, making its new arrays on another of its devices."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.device = self.find_device(device)
        return other

    @cached_property
    def namespace(self) -> Namespace:
        """The library as an array API namespace, imported when first asked for."""
        return import_module(self.compat)

    def implementation(self, function: Function, /) -> Callable[..., Any]:
        """What runs for `function` here: this backend's kernel, or the function itself on the namespace."""
        found = self.implementations.get(function)
        if found is None:
            found = self.implement(function)
            if function.lasting:
                self.implementations[function] = found
        return found

    def implementation_for(self, function: Function, kinds: tuple[type, ...], /) -> Callable[..., Any]:
        """What runs for inputs of these types, for a library to which numbers beside arrays make a difference."""
        return self.implementation(function)

    def implement(self, function: Function, /) -> Callable[..., Any]:
        """What `implementation` gives, found anew."""
        lines = partial(function.function, self.namespace)
        kernel = self.kernels.get(function.name)
        return lines if kernel is None else or_else(kernel, lines)

    def dtype(self, dtype: Any, /) -> Any:
        """The library's own data type of that name; None stays None."""
        return dtype_in(self.namespace, dtype, f"the {self.name}")

    def find_device(self, device: Any, /) -> Any:
        """The library's own device object for what the user wrote; None is its default.

        Raises ValueError where there is no such device.
        """
        return device

    def device_name(self, device: Any, /) -> str:
        """A device as users write it: what `find_device` takes."""
        return str(device)

    def device_of(self, array: Array, /) -> Any:
        """Where an array of this backend lives."""
        return array.device

    def at(self, array: Array, /) -> AbstractContextManager[Any]:
        """Where a library works on its current device: makes an array's that, for work on arrays that is in no op."""
        return nullcontext()

    def asarray(self, value: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Array:
        """An array of this backend from nested sequences, a host array, or an array of its own."""
        device = self.device if device is None else self.find_device(device)
        return self.namespace.asarray(value, dtype=self.dtype(dtype), device=device, copy=copy)

    def add(self, a: Array, b: Array, /) -> Array:
        """The sum of two gradients, of one shape and data type; they may be Tensors."""
        return a + b

    def from_scalar(self, value: Any, /) -> Array:
        """A result as an array: NumPy gives a scalar of its own where the standard promises a 0-d array."""
        return value

    def own(self, array: Array, /, *, shared: bool) -> Array:
        """An array that may be written to without changing another: a copy of a view, and of a `shared` one."""
        array = self.from_scalar(array)
        view = not getattr(getattr(array, "flags", None), "owndata", True)
        return self.namespace.asarray(array, copy=True) if shared or view else array

    def from_host(self, array: Any, /, *, device: Any = None) -> Array:
        """A host array, copied to this backend's device (or to `device`)."""
        return self.asarray(host.asarray(array, order="C"), device=device)

    def to_host(self, array: Array, /) -> Any:
        """An array of this backend as a NumPy array; a view where memory can be shared.

        All values that are read pass through here, see `watch_transfers`.
        """
        copied = self.fetch(array)
        if watched and not self.in_host_memory(array):
            note_transfer(copied, self.device_name(self.device_of(array)))
        return copied

    def fetch(self, array: Array, /) -> Any:
        """What `to_host` gives."""
        return host.asarray(array)

    def read(self, array: Array, /) -> Any:
        """What Python makes a number of: an array of one element, in host memory."""
        return array if self.in_host_memory(array) else self.to_host(array)

    def in_host_memory(self, array: Array, /) -> bool:
        """Whether values can be looked at without a copy from a device, and so without waiting for it."""
        return True

    def staging(self, device: Any = None, /) -> Staging:
        """The way of host arrays to one of its devices, ahead of their use."""
        return Staging(self, device)

    def show(self, array: Array, /) -> str:
        """The values of an array as text."""
        return repr(self.to_host(array)).removeprefix("array(").removesuffix(")")

    def to_device(self, array: Array, device: Any, /) -> Array:
        """An array of this backend, moved to another of its devices."""
        return array.to_device(self.find_device(device))

    def absorbs(self, other: "Backend") -> bool:
        """Whether arrays of another backend may stand among this one's in a call."""
        return False

    def activate(self) -> None:
        """What the library itself must be told when this becomes the current backend."""

    def synchronize(self) -> None:
        """Wait until everything queued on the device has run."""

    def memory_stats(self, *, reset_peak: bool = False) -> MemoryStats:
        """What its arrays take of the device's memory; see `pullback.memory_stats`."""
        return host_memory_stats(reset_peak)

    def release_memory(self) -> None:
        """Give back memory that is kept for new arrays, so that others can have it."""

    def facts(self) -> dict[str, str]:
        """What there is to know about its devices and about what it is made of, by name."""
        return {}

    def __reduce__(self) -> Any:
        return import_module(f"{__package__}.switch").open_backend, (self.name, self.device_name(self.device))

    def __repr__(self) -> str:
        return f"<pullback backend {self.name} on {self.device_name(self.device)}>"
