"""The switch: which backend makes new arrays, and which one an array belongs to."""

import logging
import os
from collections.abc import Iterable
from contextvars import ContextVar, Token
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple

from .backend import Array, Backend
from .cupy import CupyBackend
from .errors import BackendUnavailable
from .generic import GenericBackend, StrictBackend, TorchBackend
from .host import host
from .memory import MemoryStats
from .memory import release_memory as release_host_memory
from .numpy import NumpyBackend

__all__ = [
    "Availability", "array_beside", "backend", "backend_of", "backends", "by_type", "find_backend_of",
    "memory_stats", "open_backend", "register", "release_memory", "synchronize", "use",
]  # fmt: skip

_log = logging.getLogger("pullback")

_KNOWN: dict[str, type[Backend]] = {cls.name: cls for cls in (NumpyBackend, CupyBackend, StrictBackend, TorchBackend)}
_opened: dict[str, Backend] = {}
_current: ContextVar[Backend | None] = ContextVar("pullback_backend", default=None)

by_type: dict[type, Backend | None] = {}
"""The backend of every type met so far; None for a type that is no array's. See `find_backend_of`."""


class Availability(NamedTuple):
    """Whether a backend can be used here, and if not, why and what mends it."""

    usable: bool
    reason: str


class use:
    """Choose the backend that makes new arrays, from here on or for a `with` block.

    name: `"numpy"`, `"cupy"`, `"array_api_strict"`, `"torch"`, or `"auto"`: CuPy where a GPU answers,
        else NumPy; which of them, one line in the log of `pullback` says.
    device: the library's own name of one of its devices, such as `"cuda:1"`; None is its default.
    options: what the backend takes, for the whole process. CuPy takes `memory_limit`, bytes, `"20GiB"` or a share of
        the device such as 0.8, and `allocator`, `"pool"` or the stream-ordered `"async"`. With `"auto"` they are for a
        GPU, where there is one.
    Raises BackendUnavailable, saying the cause and the mend; ValueError for a name or device there is not; TypeError
    for an option that the backend does not have.

    The choice is a context variable: it holds for this thread or task. It never moves an array:
    computing follows the data.

    >>> import pullback as pb
    >>> with pb.use("numpy"):
    ...     pb.backend().name
    'numpy'
    """

    def __init__(self, name: str, device: Any = None, **options: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name a backend, as in pb.use('numpy'); got {name!r}")
        self.backend = _find_best(device) if name == "auto" else open_backend(name, device)
        _check_options(name, CupyBackend if name == "auto" else type(self.backend), options)
        if name != "auto" or self.backend.name == "cupy":
            self.backend.configure(**options)
        self._tokens: list[Token[Backend | None]] = []
        self._entered = 0
        self._choose()

    def _choose(self) -> None:
        self.backend.activate()
        self._tokens.append(_current.set(self.backend))

    def __enter__(self) -> Backend:
        if self._entered or not self._tokens or _current.get() is not self.backend:
            self._choose()  # not the first block, or in another thread than the call
        self._entered += 1
        return self.backend

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered -= 1
        _current.reset(self._tokens.pop())
        former = _current.get()
        if former is not None:
            former.activate()

    def __repr__(self) -> str:
        return repr(self.backend)


def backend() -> Backend:
    """The backend that makes new arrays: the one last given to `use`, else `PULLBACK_BACKEND`, else NumPy.

    Its `name`, `device` and `namespace` say what it is. The variable may carry a device behind a
    colon: `PULLBACK_BACKEND=cupy:1`.

    >>> import pullback as pb
    >>> with pb.use("numpy"):
    ...     pb.backend().device
    'cpu'
    """
    current = _current.get()
    if current is None:
        current = _open_default(os.environ.get("PULLBACK_BACKEND", ""))
        current.activate()
        _current.set(current)
    return current


def synchronize() -> None:
    """Wait until everything queued on the current backend's device has run: before a clock is read, say."""
    backend().synchronize()


def memory_stats(*, reset_peak: bool = False) -> MemoryStats:
    """What arrays take of the memory of the current backend's device, and what is left, in bytes.

    reset_peak: begin anew with the most that was used at a time.
    Gives `used`, `idle` (kept for the next arrays), `peak`, `limit`, `free` and `total`; printed, they are readable.
    On the host only the large arrays that were computed here are counted as used.

    >>> import pullback as pb
    >>> with pb.use("numpy"):
    ...     pb.memory_stats().used >= 0
    True
    """
    return backend().memory_stats(reset_peak=reset_peak)


def release_memory() -> None:
    """Give back the memory that is kept for the arrays of the next step, on the host and on every device in use."""
    release_host_memory()
    for opened in list(_opened.values()):
        opened.release_memory()


def backends() -> dict[str, Availability]:
    """For each backend, whether it can be used on this machine and, if not, why.

    >>> import pullback as pb
    >>> pb.backends()["numpy"]
    Availability(usable=True, reason='')
    """
    problems = {name: cls.problem() for name, cls in _KNOWN.items()}
    return {name: Availability(why is None, why or "") for name, why in problems.items()}


def register(kind: type, owner: Backend) -> None:
    """Arrays of type `kind` belong to `owner` from now on."""
    by_type[kind] = owner


def find_backend_of(value: Any, /) -> Backend | None:
    """The backend an array belongs to; None for what is no array (a number, a list)."""
    try:
        return by_type[type(value)]
    except KeyError:
        found = by_type[type(value)] = _search(value)
        return found


def backend_of(array: Array, /) -> Backend:
    """The backend an array belongs to.

    Raises TypeError for what is not an array.

    >>> import numpy
    >>> backend_of(numpy.zeros(3)).name
    'numpy'
    """
    found = find_backend_of(array)
    if found is None:
        raise TypeError(f"expected an array, got {type(array).__name__}; make one with pb.asarray(...)")
    return found


def array_beside(x: Array, values: Any, /, dtype: Any = None) -> Array:
    """Values of the host as an array of the backend of another, where that one lives.

    values: a host array, nested sequences of numbers, or a number; a host array's memory is shared where it can be.
    dtype: by default what the values say.

    >>> import numpy
    >>> array_beside(numpy.zeros(3), [2, 0])
    array([2, 0])
    """
    owner = backend_of(x)
    if isinstance(values, host.ndarray):
        values = host.asarray(values, order="C")  # not every library reads other strides
    return owner.asarray(values, dtype=dtype, device=owner.device_of(x))


def open_backend(name: str | None, /, device: Any = None) -> Backend:
    """A backend by name, on one of its devices. Raises what `use` raises; None is the current backend."""
    if name is None:
        return backend()
    found = _opened.get(name)
    if found is None:
        cls = _KNOWN.get(name)
        if cls is None:
            raise ValueError(f"there is no backend {name!r}; choose one of {', '.join(_KNOWN)}, or 'auto'")
        why = cls.problem()
        if why is not None:
            raise BackendUnavailable(f"the {name} backend cannot be used here: {why}")
        found = _opened.setdefault(name, cls())
    return found if device is None else found.on(device)


@lru_cache
def _open_default(written: str) -> Backend:
    """The backend that `PULLBACK_BACKEND` names, found once for all threads."""
    name, _, device = written.partition(":")
    try:
        return _find_best(device or None) if name == "auto" else open_backend(name or "numpy", device or None)
    except (ValueError, BackendUnavailable) as error:
        raise type(error)(f"PULLBACK_BACKEND={written}: {error}") from None


def _check_options(name: str, kind: type[Backend], given: Iterable[str]) -> None:
    """Raise TypeError for an option that a backend does not have."""
    for option in given:
        if option not in kind.options:
            owner = next((other for other, cls in _KNOWN.items() if option in cls.options), None)
            told = f"which is the {owner} backend's" if owner else f"but {', '.join(kind.options) or 'none'}"
            raise TypeError(f"the {name} backend has no option {option!r}, {told}; choose another, or leave it out")


def _find_best(device: Any) -> Backend:
    """CuPy where a GPU answers; NumPy where none does, or where the CPU was asked for."""
    why = "the CPU was asked for" if device == "cpu" else CupyBackend.problem()
    if why is None:
        chosen = open_backend("cupy", device)
        _log.info("backend auto: %r", chosen)
    else:
        chosen = open_backend("numpy", device)
        _log.info("backend auto: numpy (%s)", why)
    return chosen


def _search(value: Any) -> Backend | None:
    libraries = {base.__module__.partition(".")[0]: base for base in type(value).__mro__}
    for name, base in libraries.items():
        if name == "numpy" and not hasattr(base, "__setitem__"):
            return None  # a NumPy scalar counts as a Python number
        if name in _KNOWN and hasattr(value, "shape"):
            return open_backend(name)
    if hasattr(value, "__array_namespace__") and "pullback" not in libraries:
        found = GenericBackend(value.__array_namespace__())
        return _opened.setdefault(found.name, found)
    return None
