"""Example inputs that ops carry, so that one registry-driven test verifies every op.

An example says what the inputs look like, not which library makes them: the test draws the same
values for every backend.

    @op(examples=[example(normal(3, 4)), example(normal(2, 3, 4), axis=1)])
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..backends.host import host

__all__ = [
    "Drawn",
    "Example",
    "boolean",
    "example",
    "integers",
    "normal",
    "positive_definite",
    "probabilities",
    "uniform",
    "values",
]


class Drawn(NamedTuple):
    """An input to be drawn from a seeded generator; `differentiable` where the op has a gradient for it."""

    draw: Callable[[Any], Any]
    differentiable: bool = True


class Example(NamedTuple):
    """The inputs of one call (drawn, or plain Python numbers) and its metadata."""

    inputs: tuple[Any, ...]
    metadata: dict[str, Any]
    observe: Callable[[Any, Any], Any] | None = None
    """What is looked at of the output, `observe(xp, y)`, where parts of it are up to the library; None for all."""

    def seen(self, xp: Any, y: Any) -> Any:
        """What is compared and differentiated of an output."""
        return y if self.observe is None else self.observe(xp, y)

    def draw(self, seed: int = 0) -> list[Any]:
        """The inputs as host arrays in float64, complex128, int64 or bool; numbers as they are."""
        generator = host.random.default_rng(seed)
        return [given.draw(generator) if isinstance(given, Drawn) else given for given in self.inputs]


def example(*inputs: Any, observe: Callable[[Any, Any], Any] | None = None, **metadata: Any) -> Example:
    """One call of an op."""
    return Example(inputs, metadata, observe)


def normal(*shape: int, away_from_zero: float = 0.0, dtype: str = "float64") -> Drawn:
    """Standard normal values; `away_from_zero` keeps clear of a kink there. Complex ones have two normal parts."""

    def draw(generator: Any) -> Any:
        x = generator.standard_normal(shape)
        if dtype == "complex128":
            return host.asarray(x + 1j * generator.standard_normal(shape))
        return host.asarray(x + away_from_zero * host.where(x < 0, -1.0, 1.0))

    return Drawn(draw)


def positive_definite(*shape: int, dtype: str = "float64") -> Drawn:
    """Hermitian matrices (..., n, n) of the shape (..., n) with positive eigenvalues."""
    factor = normal(*shape, shape[-1], dtype=dtype)

    def draw(generator: Any) -> Any:
        x = factor.draw(generator)
        return host.matmul(x, host.conj(host.swapaxes(x, -1, -2))) + shape[-1] * host.eye(shape[-1])

    return Drawn(draw)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Drawn:
    """Uniform values in [low, high)."""
    return Drawn(lambda generator: host.asarray(generator.uniform(low, high, shape)))


def probabilities(*shape: int) -> Drawn:
    """Positive values that sum to 1 along the last axis."""
    return Drawn(lambda generator: generator.dirichlet(host.ones(shape[-1]), size=shape[:-1]))


def integers(*shape: int, low: int = 0, high: int) -> Drawn:
    """Integers in [low, high)."""
    return Drawn(lambda generator: host.asarray(generator.integers(low, high, shape)), differentiable=False)


def boolean(*shape: int) -> Drawn:
    """True and False."""
    return Drawn(lambda generator: host.asarray(generator.integers(0, 2, shape) == 1), differentiable=False)


def values(data: Any, *, differentiable: bool = True) -> Drawn:
    """These very values: ties, zeros, repeated indices."""
    return Drawn(lambda generator: host.asarray(data), differentiable=differentiable)
