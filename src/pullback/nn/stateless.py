"""A model as a function of its parameters, for the transforms: `grad`, `hvp`, `jacobian`."""

from collections.abc import Mapping
from threading import RLock
from typing import Any

from ..autodiff.tensor import Tensor
from .module import Module

__all__ = ["functional_call"]

_turn = RLock()


def functional_call(model: Module, parameters: Mapping[str, Any], /, *inputs: Any, **options: Any) -> Any:
    """What `model(*inputs, **options)` gives with other parameters and buffers in place of its own.

    parameters: Tensors or arrays by dotted name, in the shapes of the model's own. Those not named stay.
    Raises ValueError listing every name the model has not, and every shape that does not fit.

    The model is as it was afterwards, also when the call fails. Calls from several threads take
    turns; whoever reads or calls the model itself meanwhile would see the parameters given here.

    >>> import pullback as pb
    >>> from pullback import nn
    >>> model, x = nn.Linear(3, 1), pb.ones((5, 3))
    >>> loss = lambda parameters: nn.functional_call(model, parameters, x).sum()
    >>> pb.grad(loss)(model.state_dict())["bias"]
    Tensor([5.], dtype=float32)
    """
    own: dict[str, Tensor] = dict([*model.named_parameters(), *model.named_buffers()])
    given = {name: value if isinstance(value, Tensor) else Tensor(value) for name, value in parameters.items()}
    complaints = [
        *(f"{name}: unknown" for name in given if name not in own),
        *(
            f"{name}: shape {tuple(value.shape)} given, {tuple(own[name].shape)} expected"
            for name, value in given.items()
            if name in own and tuple(value.shape) != tuple(own[name].shape)
        ),
    ]
    if complaints:
        raise ValueError(f"the parameters do not fit {type(model).__name__}: " + "; ".join(complaints))
    with _turn:
        places = [own[name] for name in given]
        before = [(place.array, place.node) for place in places]
        try:
            for place, value in zip(places, given.values(), strict=True):
                place.array, place.node = value.array, value.node
            return model(*inputs, **options)
        finally:
            for place, (array, node) in zip(places, before, strict=True):
                place.array, place.node = array, node
