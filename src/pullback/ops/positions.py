"""Where in a sequence something stands, told to attention: turned queries and keys, biases, and waves to add."""

from typing import Any

from ..autodiff.examples import example, integers, normal
from ..autodiff.op import op
from ..backends import Array, Namespace, array_beside
from .creation import empty
from .floating import check_floating
from .sizes import whole

__all__ = ["alibi_bias", "alibi_slopes", "rotary_embedding", "sinusoidal_positions"]


@op(
    examples=[
        example(normal(2, 3, 4)),
        example(normal(2, 3, 4), interleaved=True, start=5),
        example(normal(2, 2, 3, 6), integers(2, 1, 3, high=50), base=100.0),
        example(normal(3, 2), inverse=True),
    ]
)
def rotary_embedding(
    xp: Namespace,
    x: Array,
    positions: Array | None = None,
    /,
    *,
    base: float = 10000.0,
    interleaved: bool = False,
    start: int = 0,
    inverse: bool = False,
) -> Array:
    """x with each pair of features turned by an angle in proportion to its position (Su et al., "RoFormer", 2021).

    x: (..., L, E), queries or keys of even E. Their products then depend on how far apart they stand only.
    positions: integers that broadcast to (..., L); by default start, start + 1, ...; they count from `start` too.
    base: pair i turns by position / base ** (2 i / E).
    interleaved: pairs are neighbours (0 with 1, as in the paper and GPT-J); else halves (0 with E / 2, as in Llama).
    inverse: turn back.
    Returns the shape and dtype of x. Raises TypeError where x is not floating, ValueError where E is odd. Angles are
    taken in float64.

    >>> import pullback as pb
    >>> pb.rotary_embedding(pb.asarray([[1.0, 0.0], [1.0, 0.0]]))
    Tensor([[1.        , 0.        ],
           [0.5403023 , 0.84147096]], dtype=float32)
    """
    check_floating("rotary_embedding", x)
    if len(x.shape) < 2 or x.shape[-1] % 2:
        raise ValueError(
            f"rotary_embedding takes (..., L, E), and as it turns pairs of features, E is even; got {tuple(x.shape)}"
        )
    length, width = x.shape[-2:]
    if positions is None:
        places = xp.arange(start, start + length, dtype=xp.float64, device=x.device)
    else:
        places = xp.astype(positions, xp.float64) + start
    speeds = array_beside(x, [base ** (-i / width) for i in range(0, width, 2)], xp.float64)
    angles = xp.expand_dims(places, axis=-1) * (-speeds if inverse else speeds)
    cos, sin = xp.astype(xp.cos(angles), x.dtype), xp.astype(xp.sin(angles), x.dtype)
    half = width // 2
    first, second = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    turned = first * cos - second * sin, first * sin + second * cos
    if not interleaved:
        return xp.concat(turned, axis=-1)
    pairs = xp.stack(turned, axis=-1)
    return xp.reshape(pairs, (*pairs.shape[:-2], width))


@rotary_embedding.vjp("x")
def _(
    xp: Namespace,
    g: Array,
    positions: Array | None,
    *,
    base: float,
    interleaved: bool,
    start: int,
    inverse: bool,
) -> Array:
    options: dict[str, Any] = {"base": base, "interleaved": interleaved, "start": start}
    return rotary_embedding(g, positions, inverse=not inverse, **options)


def alibi_slopes(num_heads: int) -> list[float]:
    """How steeply each head's attention falls with distance (Press, Smith and Lewis, "Train short, test long", 2022).

    Of n heads, n a power of 2, head i has 2 ** (-8 (i + 1) / n); other numbers fill up with every second slope of
    twice as many heads, as the paper's own code does. Raises ValueError for less than one head.

    >>> alibi_slopes(4)
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    num_heads = whole(num_heads, "num_heads")
    power = 1 << (num_heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * (i + 1) / power) for i in range(power)]
    return slopes + [2.0 ** (-4 * (i + 1) / power) for i in range(0, 2 * (num_heads - power), 2)]


@op(
    differentiable=False,
    examples=[example(normal(1), num_heads=3, keys=5), example(normal(1), num_heads=2, keys=5, queries=3)],
)
def alibi_bias_like(xp: Namespace, like: Array, /, *, num_heads: int, keys: int, queries: int | None = None) -> Array:
    """`alibi_bias` in the dtype of `like`, where it lives."""
    check_floating("alibi_bias", like)
    keys = whole(keys, "key_length", least=0)
    if queries is not None and not 0 <= queries <= keys:
        raise ValueError(f"alibi_bias has queries stand at the last of {keys} keys; got query_length={queries!r}")
    slopes = array_beside(like, alibi_slopes(num_heads), xp.float64)
    places = xp.arange(keys, dtype=xp.float64, device=like.device) - (keys - 1)
    distances = xp.expand_dims(places, axis=0)
    if queries is not None:
        distances = -xp.abs(distances - xp.expand_dims(places[keys - queries :], axis=1))
    return xp.astype(xp.reshape(slopes, (-1, 1, 1)) * distances, like.dtype)


def alibi_bias(
    num_heads: int, key_length: int, query_length: int | None = None, *, dtype: Any = None, device: Any = None
) -> Array:
    """What each head adds to its scores: minus the distance times the head's slope; an `attn_mask` of floats.

    query_length: how many of the last keys the queries stand at, for (num_heads, query_length, key_length). Without,
        (num_heads, 1, key_length), for causal attention: there only differences along a row count, so that one row
        serves all and memory stays linear.
    Raises ValueError for less than one head, and for more queries than keys. Distances are taken in float64.

    >>> alibi_bias(2, 3)
    Tensor([[[-0.125     , -0.0625    ,  0.        ]],
            [[-0.0078125 , -0.00390625,  0.        ]]], dtype=float32)
    """
    like = empty((), dtype=dtype, device=device)
    return alibi_bias_like(like, num_heads=num_heads, keys=key_length, queries=query_length)


@op(
    differentiable=False,
    examples=[example(normal(1), length=3, width=4), example(normal(1), length=3, width=5, start=2)],
)
def sinusoidal_positions_like(
    xp: Namespace, like: Array, /, *, length: int, width: int, start: int = 0, base: float = 10000.0
) -> Array:
    """`sinusoidal_positions` in the dtype of `like`, where it lives."""
    check_floating("sinusoidal_positions", like)
    length, width = whole(length, "length", least=0), whole(width, "d_model", least=0)
    places = xp.arange(start, start + length, dtype=xp.float64, device=like.device)
    speeds = array_beside(like, [base ** (-i / width) for i in range(0, width, 2)], xp.float64)
    angles = xp.expand_dims(places, axis=-1) * speeds
    waves = xp.reshape(xp.stack([xp.sin(angles), xp.cos(angles)], axis=-1), (length, 2 * speeds.shape[0]))
    return xp.astype(waves[:, :width], like.dtype)


def sinusoidal_positions(
    length: int, d_model: int, *, start: int = 0, base: float = 10000.0, dtype: Any = None, device: Any = None
) -> Array:
    """A vector for each position, to be added to what stands there (Vaswani et al., 2017): (length, d_model).

    Features 2 i and 2 i + 1: sine and cosine of position / base ** (2 i / d_model). start: the first position.

    >>> sinusoidal_positions(2, 4)
    Tensor([[0.        , 1.        , 0.        , 1.        ],
           [0.84147096, 0.5403023 , 0.00999983, 0.99995   ]], dtype=float32)
    """
    like = empty((), dtype=dtype, device=device)
    return sinusoidal_positions_like(like, length=length, width=d_model, start=start, base=base)
