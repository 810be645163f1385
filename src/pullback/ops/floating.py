"""Ops of floating numbers: what they say to arrays of integers and booleans."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from ..autodiff.examples import Example
from ..autodiff.op import Op, op
from ..backends import Array, Namespace, dtype_in, dtype_name, is_complex, is_floating
from ..backends.host import host
from .precision import in_float32

__all__ = ["check_floating", "floating_op"]

P = ParamSpec("P")
Forward = Callable[Concatenate[Namespace, Array, P], Array]


def check_floating(name: str, x: Any) -> None:
    """Raise TypeError where x is no array of floating numbers; name: the op that takes it."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        raise TypeError(f"{name} takes a floating array; got {type(x).__name__}. Make one: pb.asarray(...)")
    if not is_floating(dtype):
        raise TypeError(f"{name} takes a floating array; got {dtype_name(dtype)}. Cast it: x.astype('float32')")


def floating_op(*, examples: Sequence[Example]) -> Callable[[Forward[P]], Op[Concatenate[Array, P], Array]]:
    """Make an op, as `op` does, whose first input is floating and decides the result's data type.

    A call with integers or booleans raises TypeError; float16 and bfloat16 are computed in float32. Metadata that are
    NumPy scalars are taken as the Python numbers they are, which promote nothing. The lines of an op with `dtype` among
    its metadata never see it: they get that first input cast to it.
    """

    def make(forward: Forward[P]) -> Op[Concatenate[Array, P], Array]:
        name, lines = forward.__name__.lstrip("_"), in_float32(forward)

        @wraps(forward)
        def checked(xp: Namespace, x: Array, /, *others: P.args, **metadata: P.kwargs) -> Any:
            dtype = metadata.pop("dtype", None)
            if dtype is not None:
                x = _cast(name, xp, x, dtype)
            check_floating(name, x)
            for key, value in metadata.items():
                if isinstance(value, host.generic):
                    metadata[key] = value.item()
            return lines(xp, x, *others, **metadata)

        return op(examples=examples)(checked)

    return make


def _cast(name: str, xp: Namespace, x: Array, dtype: Any) -> Array:
    """A real array in the floating dtype that an op was told to compute in."""
    given = getattr(x, "dtype", None)
    if given is None:
        return x
    if not is_floating(dtype) or is_complex(dtype) or is_complex(given):
        raise TypeError(
            f"{name} takes real numbers to a real floating dtype; got {dtype_name(given)} and dtype={dtype_name(dtype)}"
        )
    wanted = dtype_in(xp, dtype)
    return x if given == wanted else xp.astype(x, wanted)
