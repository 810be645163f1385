"""Computing follows the data: which backend runs a call, told from its arrays."""

from collections.abc import Iterable, Sequence
from typing import Any

from .backend import Array, Backend
from .errors import BackendMismatch
from .host import host
from .switch import backend, backend_of, by_type, find_backend_of

__all__ = ["batch_backend", "common_backend", "plain_number", "plain_numbers"]

_KINDS: tuple[type, ...] = (bool, int, float, complex)
_NUMBERS = frozenset({*_KINDS, type(None)})


def common_backend(name: str, inputs: Sequence[Any], /) -> Backend | None:
    """The backend of the arrays among the inputs; the current one where there are no inputs at all.

    name: what is being called, for the error messages.
    Returns None when an input must be made plain first, see `plain_numbers`.
    Raises BackendMismatch when they are of two backends or on two devices.
    """
    owner: Backend | None = None
    for x in inputs:
        kind = type(x)
        try:
            found = by_type[kind]  # find_backend_of in line: every call of an op comes through here
        except KeyError:
            found = find_backend_of(x)
        if found is None:
            if kind not in _NUMBERS:
                return None
        elif owner is None:
            owner = found
        elif found is not owner:
            if not owner.absorbs(found) and not found.absorbs(owner):
                raise _mismatch(name, inputs)
            owner = owner if owner.absorbs(found) else found
    if owner is None:
        if inputs:
            raise TypeError(f"{name} expected an array, got only numbers; make one with pb.asarray(...)")
        return backend()
    if owner.several_devices and len(inputs) > 1:
        arrays = [x for x in inputs if type(x) not in _NUMBERS]
        place = owner.device_of(arrays[0])
        if any(owner.device_of(x) != place for x in arrays[1:]):
            raise _mismatch(name, inputs)
    return owner


def batch_backend(met: Iterable[tuple[Backend, Any]], /) -> Backend | None:
    """The backend of the innermost batch among gradients and the owners of what they are of, if there is one.

    It runs every rule on the way back, since a gradient of a batch makes a batch of all that it meets.
    """
    highest: Backend | None = None
    for owner, g in met:
        for found in (owner, find_backend_of(g)):
            if found is not None and found.level and (highest is None or found.level > highest.level):
                highest = found
    return highest


def plain_numbers(name: str, inputs: Sequence[Any], /) -> list[Any]:
    """The inputs with NumPy scalars turned into the Python numbers they are, which promote nothing.

    Where there is no array beside them, they count as arrays of no axes: NumPy gave them for such.
    Raises TypeError for what is neither an array nor a number.
    """
    if all(find_backend_of(x) is None for x in inputs) and any(isinstance(x, host.generic) for x in inputs):
        return [host.asarray(x) if isinstance(x, host.generic) else x for x in inputs]
    return [plain_number(name, x) for x in inputs]


def plain_number(name: str, x: Any, /) -> Any:
    """An array or a number as it is, a NumPy scalar as the Python number it is. Raises TypeError for all else."""
    if type(x) in _NUMBERS or find_backend_of(x) is not None:
        return x
    value = x.item() if hasattr(x, "item") and getattr(x, "ndim", None) == 0 else x
    for kind in _KINDS:
        if isinstance(value, kind):
            return kind(value)  # plain, where it is an enumeration's member, say
    given = type(x).__name__
    raise TypeError(f"{name} expected arrays or numbers, got {given}; make an array with pb.asarray(...)")


def _describe(x: Array) -> str:
    owner = backend_of(x)
    article = "an" if owner.name[0] in "aeiou" else "a"
    return f"{article} {owner.name} array ({owner.device_name(owner.device_of(x))})"


def _mismatch(name: str, inputs: Sequence[Any]) -> BackendMismatch:
    arrays = [x for x in inputs if find_backend_of(x) is not None]
    first, owner = arrays[0], backend_of(arrays[0])
    second = next(x for x in arrays if _describe(x) != _describe(first))
    device = owner.device_name(owner.device_of(first))
    return BackendMismatch(
        f"{name} got {_describe(first)} and {_describe(second)}. "
        f'Move one: pb.to_device(x, "{device}", backend="{owner.name}")'
    )
