"""Autoencoders: a network that gives its input back, through a narrow place."""

from collections.abc import Sequence
from math import prod

from .. import nn
from ..autodiff.tensor import Tensor
from ..backends import Array
from ..ops.elementwise import exp
from ..ops.manipulation import reshape
from ..ops.random import Generator, default_generator, random_normal
from ..ops.statistical import mean
from ..ops.statistical import sum as sum_
from .inputs import check_samples, check_sizes
from .mlp import MLP

__all__ = ["VAE", "Autoencoder"]


class Autoencoder(nn.Module):
    """An encoder to a few numbers and a decoder back, both perceptrons (Hinton and Salakhutdinov, 2006).

    shape: of one sample, such as (28, 28, 1). latent: how many numbers each becomes.
    hidden: the sizes of the layers between, from the input on; the decoder has them in reverse.

    Takes (N, *shape). Returns the reconstruction in the same shape, as logits of values between 0 and 1.
    Raises ValueError for samples and codes of other shapes.

    >>> import pullback as pb
    >>> model = Autoencoder((8, 8, 1), latent=2, hidden=(32,))
    >>> model.encode(pb.zeros((5, 8, 8, 1))).shape
    (5, 2)
    """

    def __init__(self, shape: Sequence[int], latent: int = 32, hidden: Sequence[int] = (512, 128)) -> None:
        super().__init__()
        check_sizes(type(self).__name__, latent=latent)
        self.shape = tuple(shape)
        self.latent = latent
        self.encoder = nn.Sequential(nn.Flatten(), *MLP((prod(self.shape), *hidden, self._coded)))
        self.decoder = MLP((latent, *reversed(hidden), prod(self.shape)))

    @property
    def _coded(self) -> int:
        """How many numbers the encoder gives for each sample."""
        return self.latent

    def encode(self, x: Array) -> Array:
        """x: (N, *shape). Returns (N, latent)."""
        return self._encoded(x)

    def _encoded(self, x: Array) -> Array:
        check_samples(type(self).__name__, x, self.shape)
        return self.encoder(x)

    def decode(self, z: Array) -> Array:
        """z: (N, latent). Returns logits (N, *shape)."""
        check_samples(f"{type(self).__name__}.decode", z, (self.latent,))
        return reshape(self.decoder(z), (-1, *self.shape))

    def forward(self, x: Array) -> Array:
        """x: (N, *shape). Returns logits of the same shape."""
        return self.decode(self.encode(x))


class VAE(Autoencoder):
    """A variational autoencoder: each sample is coded as a normal distribution (Kingma and Welling, 2014).

    Takes (N, *shape). Returns the logits of a reconstruction from a code that was drawn, and the distributions: their
    means and the logarithms of their variances, each (N, latent). The loss is the reconstruction's and `divergence`.
    """

    @property
    def _coded(self) -> int:
        return 2 * self.latent

    def distribution(self, x: Array) -> tuple[Array, Array]:
        """x: (N, *shape). Returns the means and the logarithms of the variances of its codes, each (N, latent)."""
        both = self._encoded(x)
        return both[:, : self.latent], both[:, self.latent :]

    def encode(self, x: Array) -> Array:
        """x: (N, *shape). Returns the means (N, latent)."""
        return self.distribution(x)[0]

    def forward(self, x: Array) -> tuple[Array, Array, Array]:
        """x: (N, *shape). Returns logits (N, *shape), means and logarithms of variances (N, latent)."""
        mean, log_variance = self.distribution(x)
        if not self.training:
            return self.decode(mean), mean, log_variance
        # The noise is drawn apart from the distribution, so that gradients reach its mean and width.
        noise = _noise_like(mean, tuple(mean.shape))
        return self.decode(mean + noise * exp(0.5 * log_variance)), mean, log_variance

    def sample(self, count: int, generator: Generator | None = None) -> Tensor:
        """Logits (count, *shape) of samples that were never seen, from codes of the standard normal distribution."""
        check_sizes("VAE.sample", least=0, count=count)
        weight = next(iter(self.decoder.parameters()))
        found: Tensor = self.decode(_noise_like(weight, (count, self.latent), generator))
        return found

    @staticmethod
    def divergence(means: Array, log_variance: Array) -> Array:
        """How far the codes' distributions are from the standard normal one: the mean Kullback-Leibler divergence.

        means, log_variance: (N, latent). Returns a 0-d array, in nats for each sample; appendix B of the paper.
        """
        return mean(0.5 * sum_(means * means + exp(log_variance) - 1 - log_variance, axis=1))


def _noise_like(x: Array, shape: tuple[int, ...], generator: Generator | None = None) -> Array:
    """Standard normal values in the dtype of x, where it lives."""
    generator = generator or default_generator()
    like = x.detach() if isinstance(x, Tensor) else x
    return random_normal(like, seed=generator.seed, offset=generator.advance(prod(shape) + 1), shape=shape)
