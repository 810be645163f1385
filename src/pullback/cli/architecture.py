"""The network of a run: a model of `pullback.models`, by name, and the options it is built with."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from inspect import signature
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ..nn import Module

__all__ = ["MODELS", "OF_ROWS", "Architecture", "Model"]

Shape = tuple[int, ...]
_MOST_PATCHES = 8  # along one side of an image


class Model(NamedTuple):
    """What of `pullback.models` a name of `--model` stands for, and what its options are.

    name: what builds it, imported only then. described: for the help.
    settle: from the shape of a sample, the length of the output and what the user may choose (its other
        arguments) to the options that it is built with: plain data, for JSON.
    images: whether it takes images, not rows. calm: the share of an optimizer's usual learning rate that suits it.
    """

    name: str
    described: str
    settle: Callable[..., dict[str, Any]]
    images: bool = True
    calm: float = 1.0

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


MODELS = {
    "mlp": Model("MLP", "a perceptron", _perceptron, images=False),
    "lenet": Model("LeNet", "a convolutional network", _lenet),
    "resnet": Model("cifar_resnet", "a residual network of --depth 8 (by default), 14, 20, ... layers", _resnet),
    "vit": Model("ViT", "a vision transformer of --depth 4 (by default) blocks", _vit, calm=1 / 3),
}
"""All that `--model` takes; the first is what it is by default."""

OF_ROWS = " or ".join(name for name, model in MODELS.items() if not model.images)
"""Those that take the columns of a table, for messages."""


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
        known = MODELS[model]
        given = {name: value for name, value in chosen.items() if value is not None}
        for name in given:
            if name not in known.choices:
                takers = [other for other, its in MODELS.items() if name in its.choices]
                raise ValueError(f"--{name} is for --model {' or '.join(takers)}; {model} does not take it")
        if not known.images:
            shape = (prod(shape),)
        return cls(model, known.settle(shape, outputs, **{**known.choices, **given}), shape, outputs)

    def build(self) -> "Module":
        """The network with new weights, from the default generator."""
        from .. import models

        network: Module = getattr(models, MODELS[self.model].name)(**self.options)
        return network

    def to_dict(self) -> dict[str, Any]:
        """The architecture as plain data, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Architecture":
        """The architecture that `to_dict` described, or version 0.1 wrote. Raises ValueError for an unknown model."""
        if "model" not in data:
            return cls.settle("mlp", (data["inputs"],), data["outputs"], hidden=tuple(data["hidden"]))
        if data["model"] not in MODELS:
            raise ValueError(f"there is no model {data['model']!r}; there are {', '.join(MODELS)}")
        options = {name: tuple(o) if isinstance(o, list) else o for name, o in data["options"].items()}
        return cls(data["model"], options, tuple(data["shape"]), data["outputs"])

    def __str__(self) -> str:
        if self.model == "mlp":
            return f"mlp {'-'.join(map(str, self.options['sizes']))}"
        shown = {"depth": "depth", "layers": "depth", "patch_size": "patches of"}
        chosen = [f"{words} {self.options[name]}" for name, words in shown.items() if name in self.options]
        return ", ".join([f"{self.model} for {' x '.join(map(str, self.shape))}", *chosen])
