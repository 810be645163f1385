"""A model as a function of its parameters, for the transforms: `grad`, `hvp`, `jacobian`."""

from collections.abc import Mapping
from typing import Any

from ..autodiff.checkpoint import exchanged
from ..autodiff.tensor import Tensor
from .module import Module, tensors_by_name

__all__ = ["functional_call"]


def functional_call(model: Module, parameters: Mapping[str, Any], /, *inputs: Any, **options: Any) -> Any:
    """What `model(*inputs, **options)` gives with other parameters and buffers in place of its own.

    parameters: Tensors or arrays by dotted name, in the shapes of the model's own. Those not named stay.
    Raises ValueError listing every name the model has not, every shape that does not fit, and every
    parameter that is shared and given twice: under two of its names, with two values.

    The model is as it was afterwards, also when the call fails. Calls from several threads take
    turns; whoever reads or calls the model itself meanwhile would see the parameters given here.

    >>> import pullback as pb
    >>> from pullback import nn
    >>> model, x = nn.Linear(3, 1), pb.ones((5, 3))
    >>> loss = lambda parameters: nn.functional_call(model, parameters, x).sum()
    >>> pb.grad(loss)(model.state_dict())["bias"]
    Tensor([5.], dtype=float32)
    """
    own = tensors_by_name(model)
    given = {name: value if isinstance(value, Tensor) else Tensor(value) for name, value in parameters.items()}
    first: dict[int, str] = {}
    for name in given:
        if name in own:
            first.setdefault(id(own[name]), name)
    complaints = [
        *(f"{name}: unknown" for name in given if name not in own),
        *(
            f"{name}: shape {tuple(value.shape)} given, {tuple(own[name].shape)} expected"
            for name, value in given.items()
            if name in own and tuple(value.shape) != tuple(own[name].shape)
        ),
        *(
            f"{name}: the same as {first[id(own[name])]} in the model, but given another value; give it once"
            for name, value in given.items()
            if name in own and not _same(value, given[first[id(own[name])]])
        ),
    ]
    if complaints:
        raise ValueError(f"the parameters do not fit {type(model).__name__}: " + "; ".join(complaints))
    with exchanged([own[name] for name in given], list(given.values())):
        return model(*inputs, **options)


def _same(a: Tensor, b: Tensor) -> bool:
    return a.array is b.array and a.node is b.node
