"""What transforms make of their arguments: variables of their own, at which their walk stops."""

from typing import Any

from ..backends import backend, find_backend_of
from .batching import inside, level
from .op import op
from .tape import Leaf
from .tensor import Tensor

__all__ = ["alias", "as_tensor", "variable"]


@op
def alias(xp: Any, x: Any, /) -> Any:
    """The same value at a place of its own, where an inner transform stops walking."""
    return x


alias.vjp("x")(lambda xp, g: g)


def variable(x: Any) -> Any:
    """A variable with the value of an argument; what is no array or number as it is."""
    if x is None or isinstance(x, (bool, str)):
        return x
    if not isinstance(x, Tensor):
        x = Tensor(x if find_backend_of(x) is not None else backend().asarray(x, dtype="float32"))
    if level.get():
        x = inside(x)
    if x.requires_grad:
        return alias(x)
    made = Tensor(x.array).requires_grad_()
    if isinstance(made.node, Leaf):
        made.node.inner = True
    return made


def as_tensor(x: Any) -> Tensor:
    """A Tensor of an array or a number; a Tensor as it is."""
    return x if isinstance(x, Tensor) else Tensor(x if find_backend_of(x) is not None else backend().asarray(x))
