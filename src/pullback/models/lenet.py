"""LeNet-5, the first convolutional network that read the world's cheques."""

from collections.abc import Callable

from .. import nn
from .inputs import check_sizes, made

__all__ = ["LeNet"]


class LeNet(nn.Sequential):
    """Two convolutions with pooling, and three affine maps (LeCun, Bottou, Bengio and Haffner, 1998).

    classes: the length of the output. in_channels: 1 for grey images, 3 for colours.
    image_size: the height and width of the images, 4 or more; 28 as MNIST's are.
    activation: makes what stands between two layers: `nn.ReLU`, or `nn.Tanh` as in the paper, which pooled by averages.

    Takes (N, height, width, in_channels). Returns (N, classes), logits.

    >>> import pullback as pb
    >>> LeNet()(pb.zeros((2, 28, 28, 1))).shape
    (2, 10)
    """

    def __init__(
        self,
        classes: int = 10,
        in_channels: int = 1,
        image_size: int = 28,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        check_sizes("LeNet", image_size=image_size)
        # The paper's images have a margin of two pixels, which padding puts there; small ones are padded twice.
        padding = 2 if image_size < 20 else 0
        side = ((image_size // 2) - 4 + 2 * padding) // 2
        if side < 1:
            raise ValueError(f"LeNet takes images of 4 pixels or more in height and width; got {image_size}")
        super().__init__(
            {
                "conv1": nn.Conv2d(in_channels, 6, 5, padding=2),
                "act1": made(activation),
                "pool1": nn.MaxPool2d(2),
                "conv2": nn.Conv2d(6, 16, 5, padding=padding),
                "act2": made(activation),
                "pool2": nn.MaxPool2d(2),
                "flatten": nn.Flatten(),
                "fc1": nn.Linear(16 * side * side, 120),
                "act3": made(activation),
                "fc2": nn.Linear(120, 84),
                "act4": made(activation),
                "fc3": nn.Linear(84, classes),
            }
        )
