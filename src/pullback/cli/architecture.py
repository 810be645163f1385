"""The network of a run: a model of `pullback.models`, by name, and the options it is built with."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from inspect import signature
from math import prod
from typing import Any, NamedTuple

from ..models import MLP, LeNet, ViT, cifar_resnet
from ..nn import Module

__all__ = ["Architecture"]

Shape = tuple[int, ...]
_MOST_PATCHES = 8  # along one side of an image


class _Model(NamedTuple):
    """What builds a model, and what its options are.

    settle: from the shape of a sample, the length of the output and what the user may choose (its other
        arguments) to the options that `build` takes: plain data, for JSON.
    """

    build: Callable[..., Module]
    settle: Callable[..., dict[str, Any]]

    @property
    def choices(self) -> dict[str, Any]:
        """What the user may choose, and what it is by default."""
        return {name: p.default for name, p in signature(self.settle).parameters.items() if p.default is not p.empty}


def _perceptron(shape: Shape, outputs: int, hidden: Shape = (128,)) -> dict[str, Any]:
    # With batches of 32, 128 is the widest layer whose products BLAS does not share out among threads: on a
    # busy machine they wait for each other far longer than they work.
    return {"sizes": (prod(shape), *hidden, outputs)}


def _lenet(shape: Shape, outputs: int) -> dict[str, Any]:
    return {"classes": outputs, "in_channels": shape[2], "image_size": _side("lenet", shape)}


def _resnet(shape: Shape, outputs: int, depth: int = 8) -> dict[str, Any]:
    return {"depth": depth, "classes": outputs, "in_channels": shape[2]}


def _vit(shape: Shape, outputs: int, depth: int = 4) -> dict[str, Any]:
    side = _side("vit", shape)
    patch = next((p for p in range(2, side) if side % p == 0 and side // p <= _MOST_PATCHES), side)
    size = {"image_size": side, "patch_size": patch, "layers": depth, "heads": 4, "hidden_dim": 64, "mlp_dim": 128}
    return {**size, "classes": outputs, "in_channels": shape[2]}


_MODELS = {
    "mlp": _Model(MLP, _perceptron),
    "lenet": _Model(LeNet, _lenet),
    "resnet": _Model(cifar_resnet, _resnet),
    "vit": _Model(ViT, _vit),
}


def _side(model: str, shape: Shape) -> int:
    height, width, _ = shape
    if height != width:
        raise ValueError(f"{model} takes square images, and these have {height} x {width} pixels; --model resnet may")
    return height


@dataclass(frozen=True)
class Architecture:
    """A model by name, the options it is built with, and what goes in and out.

    shape: of one sample: (width,), or (height, width, channels) for the models of images. outputs: how many
    numbers come out.

    >>> architecture = Architecture.settle("mlp", (64,), 10, hidden=(32,))
    >>> architecture.build()
    MLP(  # 2,410 parameters
      (0): Linear(in_features=64, out_features=32, bias=True)  # 2,080 parameters
      (1): ReLU()
      (2): Linear(in_features=32, out_features=10, bias=True)  # 330 parameters
    )
    >>> Architecture.from_dict(architecture.to_dict()) == architecture
    True
    """

    model: str
    options: dict[str, Any]
    shape: Shape
    outputs: int

    @classmethod
    def settle(cls, model: str, shape: Shape, outputs: int, **chosen: Any) -> "Architecture":
        """The architecture for samples of a shape; an image becomes a row for the models that take rows.

        chosen: what the user chose, such as `hidden` or `depth`; None leaves it to the model.
        Raises ValueError for what is no choice of the model, and for a shape it does not take.
        """
        known = _MODELS[model]
        given = {name: value for name, value in chosen.items() if value is not None}
        for name in given:
            if name not in known.choices:
                takers = [other for other, its in _MODELS.items() if name in its.choices]
                raise ValueError(f"--{name} is for --model {' or '.join(takers)}; {model} does not take it")
        if model == "mlp":
            shape = (prod(shape),)
        return cls(model, known.settle(shape, outputs, **{**known.choices, **given}), shape, outputs)

    def build(self) -> Module:
        """The network with new weights, from the default generator."""
        return _MODELS[self.model].build(**self.options)

    def to_dict(self) -> dict[str, Any]:
        """The architecture as plain data, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Architecture":
        """The architecture that `to_dict` described, or version 0.1 wrote. Raises ValueError for an unknown model."""
        if "model" not in data:
            return cls.settle("mlp", (data["inputs"],), data["outputs"], hidden=tuple(data["hidden"]))
        if data["model"] not in _MODELS:
            raise ValueError(f"there is no model {data['model']!r}; there are {', '.join(_MODELS)}")
        options = {name: tuple(o) if isinstance(o, list) else o for name, o in data["options"].items()}
        return cls(data["model"], options, tuple(data["shape"]), data["outputs"])

    def __str__(self) -> str:
        if self.model == "mlp":
            return f"mlp {'-'.join(map(str, self.options['sizes']))}"
        shown = {"depth": "depth", "layers": "depth", "patch_size": "patches of"}
        chosen = [f"{words} {self.options[name]}" for name, words in shown.items() if name in self.options]
        return ", ".join([f"{self.model} for {' x '.join(map(str, self.shape))}", *chosen])
