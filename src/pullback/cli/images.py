"""Images in IDX files (MNIST's format), and how they become what a network takes."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..backends import Array
from ..backends.host import host
from ..data import load_idx, read_idx
from ..data.encoder import Target

__all__ = ["FILES", "ImageEncoder", "has_images", "read_images", "read_parts"]

FILES = (
    "expected there are train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
    "t10k-labels-idx1-ubyte, each with or without .gz"
)
_NAMES = "classes.txt"
_AT_ONCE = 1000


@dataclass(frozen=True)
class ImageEncoder:
    """How images become a network's input: all pixels standardised by one mean and one deviation.

    shape: (height, width, channels). mean, std: of pixels from 0 to 1.

    >>> images = host.asarray([[[0, 255]], [[255, 0]]], dtype=host.uint8)
    >>> encoder = ImageEncoder((1, 2, 1), 0.5, 0.5, Target("label", ("0", "1")))
    >>> encoder.encode(images).reshape(2, 2).tolist()
    [[-1.0, 1.0], [1.0, -1.0]]
    >>> ImageEncoder.from_dict(encoder.to_dict()) == encoder
    True
    """

    shape: tuple[int, ...]
    mean: float
    std: float
    target: Target

    @classmethod
    def fit(cls, images: Array, target: Target) -> "ImageEncoder":
        """An encoder for images like these, (N, height, width, channels).

        Raises ValueError where all pixels are alike, or are not finite.
        """
        starts = range(0, len(images), _AT_ONCE)  # in parts, for the sums are float64
        parts = [images[start : start + _AT_ONCE] for start in starts]
        with host.errstate(over="ignore", invalid="ignore"):
            mean = sum(float(part.sum(dtype=host.float64)) for part in parts) / max(images.size, 1)
            square = sum(float(((part - host.float64(mean)) ** 2).sum()) for part in parts) / max(images.size, 1)
        if not math.isfinite(square):
            raise ValueError("the images have pixels that are no numbers, or infinite; mend or leave out such images")
        if square == 0:
            raise ValueError("all pixels of the training images are alike; there is nothing to learn from")
        return cls(tuple(images.shape[1:]), mean, math.sqrt(square), target)

    @property
    def width(self) -> int:
        """How many numbers each image is."""
        return math.prod(self.shape)

    @property
    def size(self) -> str:
        """Height and width, for messages."""
        return _size(self.shape)

    def encode(self, images: Array) -> Array:
        """Images (N, height, width) or with one channel more as (N, height, width, 1) float32; bytes from 0 to 255.

        Raises ValueError for images of another size.
        """
        if tuple(images.shape[1:3]) != self.shape[:2]:
            raise ValueError(f"the images have {_size(images.shape[1:])}; the model was trained on {self.size}")
        scaled = images.astype(host.float32)
        if images.dtype == host.uint8:
            scaled /= 255
        scaled -= self.mean
        scaled /= self.std
        return scaled.reshape(-1, *self.shape)

    def to_dict(self) -> dict[str, Any]:
        """The encoder as plain data, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ImageEncoder":
        """The encoder that `to_dict` described."""
        target = {**data["target"], "classes": tuple(data["target"]["classes"])}
        return cls(tuple(data["shape"]), float(data["mean"]), float(data["std"]), Target(**target))


def has_images(folder: Path) -> bool:
    """Whether a folder has a file that is named as those of MNIST are."""
    return any(folder.glob("*-ubyte*"))


def read_parts(folder: Path) -> tuple[tuple[Array, Array], tuple[Array, Array], tuple[str, ...]]:
    """The training and the test images of a folder, each with their classes, and the names of the classes.

    The names are the labels, or stand in `classes.txt`, that of label 0 in the first line.
    Raises ValueError where a file is missing or damaged, or the two do not belong together.
    """
    (images, labels), (test, truth) = (load_idx(folder, train).arrays for train in (True, False))
    for what, array in (("training", images), ("test", test)):
        if not array.size:
            raise ValueError(f"{folder} has no {what} images, or images of no pixels")
    if images.shape[1:] != test.shape[1:]:
        sizes = f"{_size(images.shape[1:])}, its test images {_size(test.shape[1:])}"
        raise ValueError(f"the training images of {folder} have {sizes}")
    found, numbers = host.unique(labels, return_inverse=True)
    if len(found) < 2:
        raise ValueError(f"all training images of {folder} have the label {found[0]}; there is nothing to tell apart")
    strange = truth[~host.isin(truth, found)]
    if strange.size:
        raise ValueError(f"a test image of {folder} has the label {strange[0]}, which no training image has")
    return (images, numbers), (test, host.searchsorted(found, truth)), _class_names(folder, found.tolist())


def read_images(path: Path) -> Array:
    """The images of an IDX file, (N, height, width), or the test images of a folder, from 0 to 1 with an axis more."""
    if path.is_dir():
        images: Array = load_idx(path, train=False).arrays[0]
        return images
    images = read_idx(path)
    if images.ndim != 3:
        raise ValueError(f"{path} holds an array of shape {images.shape}; a file of images has three axes")
    return images


def _class_names(folder: Path, labels: list[int]) -> tuple[str, ...]:
    path = folder / _NAMES
    if not path.is_file():
        return tuple(map(str, labels))
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8; save it as UTF-8") from None
    if not (labels[0] >= 0 and labels[-1] < len(names)):
        wrong = labels[-1] if labels[0] >= 0 else labels[0]
        raise ValueError(f"{path} has {len(names)} lines, a name for each label from 0; there is a label {wrong}")
    named = tuple(names[label] for label in labels)
    if not all(named) or len(set(named)) < len(named):
        raise ValueError(f"{path} has a line that is empty, or there twice; each class has a name of its own")
    return named


def _size(shape: Any) -> str:
    return " x ".join(map(str, shape[:2])) + " pixels"
