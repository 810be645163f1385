"""Residual networks: each block learns what to add to what it was given."""

from typing import Any

from .. import nn
from ..backends import Array
from ..nn.init import kaiming_normal_
from ..ops.sizes import whole
from .inputs import check_sizes

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "cifar_resnet", "resnet18", "resnet34", "resnet50"]


class BasicBlock(nn.Module):
    """Two convolutions of 3 x 3, added to the input."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Array) -> Array:
        """x: (N, height, width, channels). Returns the same, height and width divided by the stride."""
        residual = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(residual + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A convolution of 3 x 3 between two of 1 x 1, which narrow and widen; added to the input."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Array) -> Array:
        """x: (N, height, width, channels). Returns the same, height and width divided by the stride."""
        residual = self.relu(self.bn1(self.conv1(x)))
        residual = self.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        return self.relu(residual + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """A residual network (He, Zhang, Ren and Sun, 2016), with torchvision's names.

    block: `BasicBlock` or `Bottleneck`. layers: the number of blocks in each stage; every stage but the first
        halves height and width, and doubles the channels.
    classes: the length of the output. in_channels: those of the images. width: the channels of the first stage.
    stem: `"imagenet"` begins with a convolution of 7 x 7 and pooling, each of stride 2; `"cifar"`, for small
        images, with one of 3 x 3.

    Takes (N, height, width, in_channels). Returns (N, classes), logits.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: tuple[int, ...],
        classes: int = 1000,
        in_channels: int = 3,
        width: int = 64,
        stem: str = "imagenet",
    ) -> None:
        super().__init__()
        if stem not in ("imagenet", "cifar"):
            raise ValueError(f"the stem of a ResNet is 'imagenet' or 'cifar'; got {stem!r}")
        large = stem == "imagenet"
        self.conv1 = nn.Conv2d(
            in_channels, width, 7 if large else 3, stride=2 if large else 1, padding=3 if large else 1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if large else None
        self.stages = len(layers)
        before = width
        for number, count in enumerate(layers):
            check_sizes("ResNet", layers=count)
            after = width * 2**number
            setattr(self, f"layer{number + 1}", _stage(block, before, after, count, stride=1 if number == 0 else 2))
            before = after * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Array) -> Array:
        """x: (N, height, width, in_channels). Returns (N, classes)."""
        x = self.relu(self.bn1(self.conv1(x)))
        if self.maxpool is not None:
            x = self.maxpool(x)
        for number in range(self.stages):
            x = getattr(self, f"layer{number + 1}")(x)
        return self.fc(self.flatten(self.avgpool(x)))


def _stage(
    block: type[BasicBlock] | type[Bottleneck], before: int, width: int, count: int, stride: int
) -> nn.Sequential:
    """Blocks of one width; the first takes what the stage before gave, and passes it on by a convolution of 1 x 1."""
    after = width * block.expansion
    downsample = None
    if stride != 1 or before != after:
        downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
    return nn.Sequential(block(before, width, stride, downsample), *(block(after, width) for _ in range(count - 1)))


def resnet18(**options: Any) -> ResNet:
    """The residual network of 18 layers. options: those of `ResNet`."""
    return ResNet(BasicBlock, (2, 2, 2, 2), **options)


def resnet34(**options: Any) -> ResNet:
    """The residual network of 34 layers. options: those of `ResNet`."""
    return ResNet(BasicBlock, (3, 4, 6, 3), **options)


def resnet50(**options: Any) -> ResNet:
    """The residual network of 50 layers, of bottlenecks. options: those of `ResNet`."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **options)


def cifar_resnet(depth: int = 20, **options: Any) -> ResNet:
    """A residual network for images of 32 x 32 pixels or so: section 4.2 of the paper.

    depth: 6 n + 2 layers for n blocks in each of the three stages, of 16, 32 and 64 channels: 8, 14, 20 and so on; the
        paper's are 20, 32, 44, 56 and 110.
    options: those of `ResNet`; 10 classes, unless they say otherwise.
    Raises ValueError for a depth that is no such number, TypeError for one that is not whole.

    Where a block changes the channels its input passes a convolution of 1 x 1, the paper's option B.

    >>> import pullback as pb
    >>> cifar_resnet(8)(pb.zeros((2, 32, 32, 3))).shape
    (2, 10)
    """
    blocks, rest = divmod(whole(depth, "cifar_resnet: depth", least=None) - 2, 6)
    if rest or blocks < 1:
        raise ValueError(f"a ResNet for small images has 6 n + 2 layers: 8, 14, 20, ...; got {depth}")
    return ResNet(BasicBlock, (blocks,) * 3, **{"classes": 10, "width": 16, "stem": "cifar", **options})
