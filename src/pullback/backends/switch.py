"""The switch: which backend makes new arrays, and which one an array belongs to."""

import logging
import os
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, NamedTuple

from .backend import Array, Backend
from .cupy import CupyBackend
from .errors import BackendUnavailable
from .generic import GenericBackend, StrictBackend, TorchBackend
from .numpy import NumpyBackend

__all__ = ["Availability", "backend", "backend_of", "backends", "find_backend_of", "open_backend", "register", "use"]

_log = logging.getLogger("pullback")

_KNOWN: dict[str, type[Backend]] = {
    cls.name: cls for cls in (NumpyBackend, CupyBackend, StrictBackend, TorchBackend)
}
_opened: dict[str, Backend] = {}
_by_type: dict[type, Backend | None] = {}
_current: ContextVar[Backend | None] = ContextVar("pullback_backend", default=None)


class Availability(NamedTuple):
    """Whether a backend can be used here, and if not, why and what mends it."""

    usable: bool
    reason: str


class use:  # noqa: N801  (a function to its callers; a class so that it can also be a `with` block)
    """Choose the backend that makes new arrays, from here on or for a `with` block.

    name: `"numpy"`, `"cupy"`, `"array_api_strict"`, `"torch"`, or `"auto"`: CuPy where a GPU answers, else NumPy.
    device: the library's own name of one of its devices, such as `"cuda:1"`; None is its default.
    Raises BackendUnavailable, saying the cause and the mend; ValueError for a name or device there is not.

    The choice is a context variable: it holds for this thread or task. It never moves an array:
    computing follows the data.

    >>> import pullback as pb
    >>> with pb.use("numpy"):
    ...     pb.backend().name
    'numpy'
    """

    def __init__(self, name: str, device: Any = None) -> None:
        self.backend = _find_best(device) if name == "auto" else open_backend(name, device)
        self._token: Token[Backend | None] | None = _current.set(self.backend)

    def __enter__(self) -> Backend:
        return self.backend

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
            self._token = None

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
        name, _, device = os.environ.get("PULLBACK_BACKEND", "numpy").partition(":")
        use(name or "numpy", device or None)
        current = _current.get()
        assert current is not None
    return current


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
    _by_type[kind] = owner


def find_backend_of(value: Any, /) -> Backend | None:
    """The backend an array belongs to; None for what is no array (a number, a list)."""
    try:
        return _by_type[type(value)]
    except KeyError:
        found = _by_type[type(value)] = _search(value)
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


def open_backend(name: str | None, /, device: Any = None) -> Backend:
    """A backend by name, on one of its devices. Raises what `use` raises; None is the current backend."""
    if name is None:
        return backend()
    cls = _KNOWN.get(name)
    if cls is None:
        raise ValueError(f"there is no backend {name!r}; choose one of {', '.join(_KNOWN)}, or 'auto'")
    if name not in _opened:
        why = cls.problem()
        if why is not None:
            raise BackendUnavailable(f"the {name} backend cannot be used here: {why}")
        _opened[name] = cls()
    return _opened[name] if device is None else cls(device)


def _find_best(device: Any) -> Backend:
    why = CupyBackend.problem()
    if why is None:
        chosen = open_backend("cupy", device)
        _log.info("backend auto: cupy on %s", chosen.device or "the current CUDA device")
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
        return GenericBackend(value.__array_namespace__())
    return None
