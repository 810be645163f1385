"""What can go wrong between array libraries, and what they themselves refuse, said clearly."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["BackendMismatch", "BackendUnavailable", "OutOfMemory", "raise_clearly"]


class BackendUnavailable(RuntimeError):
    """A backend was asked for that cannot be used here; the message says why and what mends it."""


class BackendMismatch(TypeError):
    """Arrays of different backends or devices met in one call; the message names both and the move."""


class OutOfMemory(MemoryError):
    """A device has no room for a new array; the message says what was asked, what is in use, and what helps.

    Nothing is broken: the process goes on when the arrays of the failed step are gone. Those that only its functions
    knew live as long as the error does, whose traceback holds them; so go on after the `except` block, not inside:

        try:
            step(batch)
        except pb.OutOfMemory:
            too_large = True
        if too_large:
            for part in halves(batch):
                step(part)
    """


# In the words of NumPy, which array-api-strict shares, of CuPy where it has others, and of PyTorch.
_REFUSALS: Final = {
    "lengths go together, counted from the last axis, where they are equal or one of them is 1": (
        *("be broadcast together", "broadcast to a single shape", "axis remapping"),
        *("match the size of tensor", "match the existing size", "number of sizes provided"),
    ),
    "axes that a product sums over are equally long": (
        *("core dimension", "enough dimensions", "cannot be multiplied", "size mismatch, got"),
    ),
    "what is joined is equally long along all other axes": (
        *("must match exactly", "same number of dimensions"),
        *("must have same shape", "must have the same ndim"),
        "Sizes of tensors must match",
    ),
    "what is stacked is of one shape": ("must have the same shape", "to be equal size"),
    "the new shape holds as many elements": ("cannot reshape", "invalid for input of size"),
    "an axis that goes is of length 1": ("to squeeze out", "squeezed dimensions"),
    "the new order names every axis": ("axes don't match", "Invalid axes value", "number of dimensions in the tensor"),
}
"""For each rule of shapes, what array libraries say where it is broken."""


def raise_clearly(error: Exception, name: str, inputs: Sequence[Any], metadata: Mapping[str, Any]) -> None:
    """Raise one line that says what an op was given and what goes, for a call that failed by it.

    It looks at shapes and axes alone, and returns where the failure has another cause.
    Raises IndexError for an axis that there is not, TypeError for one that is no whole number, and ValueError for axes
    named twice and for shapes that do not go together, IndexError for those of an index.
    """
    shapes = [tuple(x.shape) for x in inputs if hasattr(x, "shape")]
    if not shapes:
        return
    what = "arrays of the shapes" if len(shapes) > 1 else "an array of shape"
    options = [f"{key}={metadata[key]!r}" for key in ("axis", "axes", "shape") if metadata.get(key) is not None]
    given = f"{name} got {what} {', '.join([*map(str, shapes), *options])}"
    _check_axes(error, name, max(map(len, shapes)), metadata, given)
    said = str(error)
    for rule, words in _REFUSALS.items():
        if any(word in said for word in words):
            kind = IndexError if isinstance(error, IndexError) else ValueError
            raise kind(f"{given}; {rule}") from None


def _check_axes(error: Exception, name: str, ndim: int, metadata: Mapping[str, Any], given: str) -> None:
    named = metadata.get("axis", metadata.get("axes"))
    if named is None or name == "tensordot":  # whose axes are of two arrays
        return
    several = isinstance(named, tuple) or ("axis" not in metadata and isinstance(named, list))
    axes = tuple(named) if several else (named,)
    whole = all(hasattr(axis, "__index__") for axis in axes)
    if not whole and isinstance(error, TypeError):
        raise TypeError(f"{given}; an axis is a whole number, and several are a tuple of them") from None
    if not whole or isinstance(error, TypeError):
        return
    ndim += len(axes) if name in ("stack", "expand_dims") else 0  # which name axes of their results
    if not all(-ndim <= axis < ndim for axis in axes):
        raise IndexError(f"{given}; {f'axes go from {-ndim} to {ndim - 1}' if ndim else 'it has no axes'}") from None
    if len({axis % ndim for axis in axes}) < len(axes):
        raise ValueError(f"{given}; an axis is named once") from None
