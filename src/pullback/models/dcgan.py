"""The deep convolutional generative adversarial network."""

from itertools import pairwise

from .. import nn
from ..backends import Array
from ..nn.init import normal_
from ..ops.manipulation import reshape
from .inputs import check_samples, check_sizes

__all__ = ["Discriminator", "Generator"]


def _stages(image_size: int) -> int:
    """How many times 4 is doubled to give the size."""
    check_sizes("DCGAN", image_size=image_size)
    stages = (int(image_size) // 4).bit_length() - 1
    if stages < 1 or image_size != 4 * 2**stages:
        raise ValueError(f"the images of a DCGAN have a side of 8, 16, 32, ...; got {image_size}")
    return stages


def _started(model: nn.Module) -> None:
    """The paper's initial weights: normal of width 0.02, around 1 in batch norms."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d) and module.weight is not None:
            normal_(module.weight, 1.0, 0.02)  # its bias begins with zeros as it is


class Generator(nn.Module):
    """Images from noise, by transposed convolutions that double height and width (Radford, Metz and Chintala, 2016).

    latent: how many numbers an image is made from. channels: of the images. width: the channels of the last stage
        but one; each stage before it has twice as many. image_size: the height and width, 8, 16, 32 or so.

    Takes (N, latent). Returns (N, image_size, image_size, channels), from -1 to 1.
    Raises ValueError for noise of another shape, and for an image size that is none of these.

    >>> import pullback as pb
    >>> Generator(latent=16, channels=1, width=8, image_size=8)(pb.zeros((2, 16))).shape
    (2, 8, 8, 1)
    """

    def __init__(self, latent: int = 100, channels: int = 3, width: int = 64, image_size: int = 64) -> None:
        super().__init__()
        self.latent = latent
        stages = _stages(image_size)
        widths = [width * 2**i for i in reversed(range(stages))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], 4, bias=False)]
        for before, after in pairwise(widths):
            layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh()]
        self.main = nn.Sequential(*layers)
        _started(self)

    def forward(self, z: Array) -> Array:
        """z: (N, latent). Returns (N, image_size, image_size, channels)."""
        check_samples("Generator", z, (self.latent,))
        return self.main(reshape(z, (-1, 1, 1, self.latent)))


class Discriminator(nn.Module):
    """Tells real images from made ones, by convolutions that halve height and width; the mirror of `Generator`.

    channels: of the images. width: the channels of the first stage; each stage has twice as many as that before.
    image_size: the height and width, 8, 16, 32 or so.

    Takes (N, image_size, image_size, channels). Returns (N,), logits: positive for real.
    Raises ValueError for images of another size.
    """

    def __init__(self, channels: int = 3, width: int = 64, image_size: int = 64) -> None:
        super().__init__()
        self.shape = (image_size, image_size, channels)
        stages = _stages(image_size)
        widths = [width * 2**i for i in range(stages)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv2d(widths[-1], 1, 4))
        self.main = nn.Sequential(*layers)
        _started(self)

    def forward(self, x: Array) -> Array:
        """x: (N, image_size, image_size, channels). Returns (N,)."""
        check_samples("Discriminator", x, self.shape)
        return reshape(self.main(x), (-1,))
