"""Drawing the next token from what a model says of it."""

from math import isfinite
from typing import Any

from ..autodiff.tensor import Tensor, array_of
from ..backends import Array, array_beside, backend_of
from ..backends.host import host
from ..ops.random import Generator, default_generator, random_uniform
from ..ops.sizes import whole

__all__ = ["sample_tokens"]


def sample_tokens(
    logits: Array, temperature: float = 1.0, top_k: int | None = None, generator: Generator | None = None
) -> Tensor:
    """A token for each row of logits, drawn in proportion to exp(logits / temperature).

    logits: (..., vocabulary); -inf for what is never drawn. temperature: below 1 the likely become likelier; 0 takes
        the likeliest.
    top_k: draw among so many of the likeliest only; of equal ones the first. generator: by default the default one.
    Returns integers (...) in the backend of the logits.
    Raises ValueError for a temperature below 0 or not finite, a top_k below 1, and logits that are NaN, infinite, or
    -inf throughout a row; TypeError for a top_k that is no whole number.

    >>> import pullback as pb
    >>> sample_tokens(pb.asarray([[0.0, 5.0, 1.0], [3.0, 0.0, 0.0]]), temperature=0).tolist()
    [1, 0]
    """
    temperature = float(temperature)
    if not (isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature is 0 or more, and finite; got {temperature!r}")
    if top_k is not None:
        top_k = whole(top_k, "top_k")
    array = array_of(logits)
    scores: Any = host.asarray(backend_of(array).to_host(array), dtype=host.float64)
    if not scores.shape or not scores.shape[-1]:
        raise ValueError(f"logits are (..., vocabulary), of one token or more; got shape {scores.shape}")
    most = scores.max(axis=-1, keepdims=True)
    if not host.isfinite(most).all():
        raise ValueError("the logits are NaN or infinite, or -inf for every token: there is nothing to draw from")
    if top_k is not None and top_k < scores.shape[-1]:
        least = host.partition(scores, -top_k, axis=-1)[..., -top_k, None]
        above, level = scores > least, scores == least
        first = host.cumsum(level, axis=-1) <= top_k - host.sum(above, axis=-1, keepdims=True)
        scores = host.where(above | (level & first), scores, -host.inf)
    if temperature == 0:
        chosen = scores.argmax(axis=-1)
    else:
        with host.errstate(over="ignore"):  # what becomes -inf is never drawn
            weights = host.exp((scores - most) / temperature)
        below = host.cumsum(weights, axis=-1)
        generator = generator or default_generator()
        rows = scores.shape[:-1]
        offset = generator.advance(scores[..., 0].size)
        drawn = random_uniform(host.zeros(1), seed=generator.seed, offset=offset, shape=rows)
        # What was drawn lies under one of the steps; rounding may put it on the edge of the last.
        chosen = host.sum(below <= host.asarray(drawn)[..., None] * below[..., -1:], axis=-1)
        chosen = host.minimum(chosen, scores.shape[-1] - 1)
    return Tensor(array_beside(array, host.asarray(chosen, dtype=host.int64)))
