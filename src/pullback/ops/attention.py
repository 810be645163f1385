"""Attention: averages of values, weighted by how well queries agree with keys; its memory linear in their number.

The matrix of weights, one for each query and key, is never whole where it is large: some rows at a time are computed,
used and forgotten, and computed again for the gradient from the logarithm of their sums, which is all that is kept
(Rabe and Staats, "Self-attention does not need O(n^2) memory", 2021; Dao et al., "FlashAttention", 2022). Of float16
the scores, the weights and these logarithms are float32.
"""

from collections.abc import Iterator
from math import inf, prod, sqrt
from typing import Any, NamedTuple

from ..autodiff.autocast import autocasts_to
from ..autodiff.examples import example, normal, values
from ..autodiff.op import op
from ..backends import Array, Namespace, dtype_name
from .floating import check_floating
from .linear_algebra import matmul, matrix_transpose
from .manipulation import broadcast_shapes, expand_dims, reshape
from .precision import in_float32
from .random import Generator, default_generator, random_uniform

__all__ = ["attention_weights", "scaled_dot_product_attention"]

_AT_ONCE = 1 << 20
"""How many weights are in memory at once, unless one row of all matrices is more."""

_QKV = (normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 3))
_MASK = values([[True, False, True, True, True], [False] * 5, [True, True, False, False, True]], differentiable=False)
_SHARED = (normal(2, 2, 3, 4), normal(2, 1, 5, 4), normal(1, 5, 4))


def _outputs(xp: Namespace, y: Any) -> Any:
    """What is looked at where a row has nothing to attend to, whose logarithm is infinite."""
    return y[0]


class _Rows(NamedTuple):
    """Some rows of the weights: those of the queries first:last, which reach the keys :stop."""

    first: int
    last: int
    stop: int


def _blocks(query: Array, key: Array, mask: Array | None, is_causal: bool, query_start: int) -> Iterator[_Rows]:
    """All rows, as many at a time as there is to be memory for; a causal mask spares the keys behind the last one."""
    length, keys = query.shape[-2], key.shape[-2]
    count = max(1, _AT_ONCE // max(1, prod(_batch(query, key, mask)) * keys))
    for first in range(0, max(1, length), count):
        last = min(length, first + count)
        yield _Rows(first, last, min(keys, max(1, last + query_start)) if is_causal else keys)


def _batch(query: Array, key: Array, mask: Array | None) -> tuple[int, ...]:
    """The axes of the weights before their last two."""
    given = [x.shape[:-2] for x in (query, key, mask) if x is not None]
    return broadcast_shapes(*map(tuple, given))


@op(differentiable=False, examples=[example(normal(2, 3), rows=(1, 3, 4), query_start=1)])
def _reached(xp: Namespace, like: Array, /, *, rows: tuple[int, int, int], query_start: int) -> Array:
    """(last - first, stop): whether a query comes no earlier than a key, where `like` lives."""
    first, last, stop = rows
    places = xp.arange(first + query_start, last + query_start, device=like.device)
    return xp.arange(stop, device=like.device) <= xp.expand_dims(places, axis=1)


def _scores(
    xp: Namespace,
    query: Array,
    key: Array,
    mask: Array | None,
    rows: _Rows,
    scale: float,
    is_causal: bool,
    query_start: int,
) -> Array:
    """How well queries agree with keys: (..., last - first, stop), -inf where a key takes no part."""
    scores = matmul(query[..., rows.first : rows.last, :] * scale, matrix_transpose(key[..., : rows.stop, :]))
    if mask is not None:
        part = _part_of(mask, rows)
        scores = xp.where(part, scores, -inf) if dtype_name(mask.dtype) == "bool" else scores + part
    if is_causal:
        scores = xp.where(_reached(query, rows=rows, query_start=query_start), scores, -inf)
    return scores


def _part_of(mask: Array, rows: _Rows) -> Array:
    """Those rows of a mask, or its only one."""
    chosen = slice(rows.first, rows.last) if mask.shape[-2] != 1 else slice(None)
    return mask[..., chosen, : rows.stop] if mask.shape[-1] != 1 else mask[..., chosen, :]


def _kept(
    xp: Namespace, like: Array, batch: tuple[int, ...], rows: _Rows, keys: int, p: float, seed: int, offset: int
) -> Array:
    """What dropout multiplies those rows by: 0 or 1 / (1 - p).

    Row i of all matrices begins at a block of the generator's own, so that how many rows are drawn changes nothing.
    """
    blocks = prod(batch) * -(-keys // 4)  # of four words each, for one row of all matrices
    shape = (rows.last - rows.first, *batch, 4 * -(-keys // 4))
    drawn = random_uniform(like, seed=seed, offset=offset + rows.first * blocks, shape=shape)[..., : rows.stop]
    places = (*range(1, len(shape) - 1), 0, len(shape) - 1)
    return xp.permute_dims(xp.astype(drawn >= p, drawn.dtype) / (1 - p), places)


@autocasts_to("low")
@op(
    examples=[
        example(*_QKV, scale=0.5),
        example(*_QKV, scale=0.5, is_causal=True),
        example(*_QKV, scale=0.5, is_causal=True, query_start=2),
        example(*_QKV, normal(3, 5), scale=0.7),
        example(*_QKV, normal(2, 1, 5), scale=0.7, is_causal=True),
        example(*_QKV, _MASK, scale=0.5, observe=_outputs),
        example(*_SHARED, normal(2, 1, 3, 1), scale=0.5),
        example(normal(3, 4), normal(3, 4), normal(3, 4), scale=1.0, is_causal=True),
    ]
)
@in_float32
def _scaled_dot_product_attention(
    xp: Namespace,
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    /,
    *,
    scale: float,
    is_causal: bool = False,
    query_start: int = 0,
    dropout_p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> tuple[Array, Array]:
    """What `scaled_dot_product_attention` gives, and the logarithm of each row's sum of exponentials, (..., L, 1).

    That is infinity for a row with nothing to attend to, whose weights are 0 then.
    seed, offset: where the generator's numbers for dropout begin.
    """
    outputs, logarithms = [], []
    for rows in _blocks(query, key, mask, is_causal, query_start):
        scores = _scores(xp, query, key, mask, rows, scale, is_causal, query_start)
        top = _top(xp, scores)
        weights = xp.exp(scores - xp.where(top == -inf, 0.0, top))
        total = xp.sum(weights, axis=-1, keepdims=True)
        empty = total == 0
        logarithms.append(xp.where(empty, inf, xp.log(xp.where(empty, 1.0, total)) + top))
        if dropout_p:
            batch = tuple(scores.shape[:-2])
            weights = weights * _kept(xp, query, batch, rows, key.shape[-2], dropout_p, seed, offset)
        outputs.append(matmul(weights, value[..., : rows.stop, :]) / xp.where(empty, 1.0, total))
    return _joined(xp, outputs), _joined(xp, logarithms)


@_scaled_dot_product_attention.vjp("query", "key", "value", zeros=False)
@in_float32
def _(
    xp: Namespace,
    g: tuple[Array | None, Array | None],
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    y: tuple[Array, Array],
    *,
    scale: float,
    is_causal: bool,
    query_start: int,
    dropout_p: float,
    seed: int,
    offset: int,
) -> tuple[Array, Array, Array]:
    of_query, of_key, of_value = [], None, None
    of_y = xp.zeros_like(y[0]) if g[0] is None else g[0]
    options = (scale, is_causal, query_start, dropout_p, seed, offset)
    for rows, weights, slopes in _slopes(xp, of_y, g[1], query, key, value, mask, y, *options):
        of_query.append(matmul(slopes, key[..., : rows.stop, :]) * scale)
        of_key = _added(xp, of_key, matmul(matrix_transpose(slopes), query[..., rows.first : rows.last, :] * scale))
        of_value = _added(xp, of_value, matmul(matrix_transpose(weights), of_y[..., rows.first : rows.last, :]))
    keys = key.shape[-2]
    return _joined(xp, of_query), _filled(xp, of_key, keys, axis=-2), _filled(xp, of_value, keys, axis=-2)


@_scaled_dot_product_attention.vjp("mask", zeros=False)
@in_float32
def _(
    xp: Namespace,
    g: tuple[Array | None, Array | None],
    query: Array,
    key: Array,
    value: Array,
    mask: Array,
    y: tuple[Array, Array],
    *,
    scale: float,
    is_causal: bool,
    query_start: int,
    dropout_p: float,
    seed: int,
    offset: int,
) -> Array:
    parts: list[Array] = []
    of_y = xp.zeros_like(y[0]) if g[0] is None else g[0]
    options = (scale, is_causal, query_start, dropout_p, seed, offset)
    for _, _, slopes in _slopes(xp, of_y, g[1], query, key, value, mask, y, *options):
        part = _summed(xp, slopes, mask)
        parts.append(part if mask.shape[-1] == 1 else _filled(xp, part, mask.shape[-1], axis=-1))
    return _joined(xp, parts) if mask.shape[-2] != 1 else sum(parts[1:], start=parts[0])


def _summed(xp: Namespace, slopes: Array, mask: Array) -> Array:
    """Some rows' share of the gradient of a mask: summed over the axes along which the mask is repeated."""
    lead = len(slopes.shape) - len(mask.shape)
    axes = (*range(lead), *(i + lead for i, n in enumerate(mask.shape) if n == 1))
    part = xp.sum(slopes, axis=axes, keepdims=True) if axes else slopes
    return xp.reshape(part, tuple(part.shape[lead:]))


def _slopes(
    xp: Namespace,
    of_y: Array,
    of_logarithms: Array | None,
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    y: tuple[Array, Array],
    scale: float,
    is_causal: bool,
    query_start: int,
    dropout_p: float,
    seed: int,
    offset: int,
) -> Iterator[tuple[_Rows, Array, Array]]:
    """Some rows at a time: the weights of the values, computed again, and the gradient of the scores."""
    mean = xp.sum(of_y * y[0], axis=-1, keepdims=True)
    if of_logarithms is not None:
        mean = mean - of_logarithms
    for rows in _blocks(query, key, mask, is_causal, query_start):
        chosen = slice(rows.first, rows.last)
        scores = _scores(xp, query, key, mask, rows, scale, is_causal, query_start)
        weights = used = xp.exp(scores - y[1][..., chosen, :])
        of_weights = matmul(of_y[..., chosen, :], matrix_transpose(value[..., : rows.stop, :]))
        if dropout_p:
            kept = _kept(xp, query, tuple(scores.shape[:-2]), rows, key.shape[-2], dropout_p, seed, offset)
            used, of_weights = weights * kept, of_weights * kept
        yield rows, used, weights * (of_weights - mean[..., chosen, :])


def _joined(xp: Namespace, blocks: list[Array]) -> Array:
    """Blocks of rows as one."""
    return blocks[0] if len(blocks) == 1 else xp.concat(blocks, axis=-2)


def _added(xp: Namespace, total: Array | None, part: Array) -> Array:
    """The sum of two arrays, of which the second may have more rows."""
    if total is None:
        return part
    count = total.shape[-2]
    if count == part.shape[-2]:
        return total + part
    return xp.concat([total + part[..., :count, :], part[..., count:, :]], axis=-2)


def _filled(xp: Namespace, x: Array, count: int, axis: int) -> Array:
    """x with zeros behind it where nothing was reached, `count` in all along the axis."""
    missing = count - x.shape[axis]
    if not missing:
        return x
    shape = list(x.shape)
    shape[axis] = missing
    return xp.concat([x, xp.broadcast_to(xp.zeros_like(x[..., :1, :1]), tuple(shape))], axis=axis)


def _top(xp: Namespace, scores: Array) -> Array:
    """The greatest score of each row; -inf where there is none."""
    return xp.max(scores, axis=-1, keepdims=True) if scores.shape[-1] else xp.sum(scores, axis=-1, keepdims=True) - inf


@autocasts_to("low")
@op(
    examples=[
        example(*_QKV[:2]),
        example(*_QKV[:2], normal(3, 5), scale=0.7, is_causal=True, query_start=1),
        example(*_QKV[:2], _MASK, scale=0.7),
        example(*_SHARED[:2], normal(2, 1, 3, 1)),
    ]
)
@in_float32
def attention_weights(
    xp: Namespace,
    query: Array,
    key: Array,
    mask: Array | None = None,
    /,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    query_start: int = 0,
) -> Array:
    """By how much each query attends to each key: the matrix that `scaled_dot_product_attention` never holds whole.

    Arguments as there, and what is raised; nothing is dropped.
    Returns (..., L, S): rows that sum to 1, or are 0 where no key takes part.
    """
    _check(query, key, None, mask, grouped=False)
    rows = _Rows(0, query.shape[-2], key.shape[-2])
    scores = _scores(xp, query, key, mask, rows, _scale(scale, query), is_causal, query_start)
    top = _top(xp, scores)
    weights = xp.exp(scores - xp.where(top == -inf, 0.0, top))
    total = xp.sum(weights, axis=-1, keepdims=True)
    return weights / xp.where(total == 0, 1.0, total)


@attention_weights.vjp("query", "key")
@in_float32
def _(xp: Namespace, g: Array, query: Array, key: Array, y: Array, *, scale: float | None) -> tuple[Array, Array]:
    slopes = _slope(xp, g, y) * _scale(scale, query)
    return matmul(slopes, key), matmul(matrix_transpose(slopes), query)


@attention_weights.vjp("mask")
@in_float32
def _(xp: Namespace, g: Array, mask: Array, y: Array) -> Array:
    return _summed(xp, _slope(xp, g, y), mask)


def _slope(xp: Namespace, g: Array, y: Array) -> Array:
    """The gradient of the scores, given that of the weights."""
    return y * (g - xp.sum(g * y, axis=-1, keepdims=True))


def _scale(scale: float | None, query: Array) -> float:
    return 1 / sqrt(max(1, query.shape[-1])) if scale is None else float(scale)


def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    query_start: int = 0,
    generator: Generator | None = None,
) -> Array:
    """softmax(query @ key.T * scale + attn_mask) @ value: for each query the average of the values it attends to.

    query: (..., L, E). key: (..., S, E). value: (..., S, Ev); their other axes, such as batch and heads, broadcast.
    attn_mask: broadcast to (..., L, S); of booleans, True takes part; of floats, added to the scores, with a gradient.
        Beside `is_causal` both hold.
    dropout_p: the share of the weights that is set to 0, the others growing by 1 / (1 - p). As a function has no mode,
        pass 0.0 when evaluating. generator: what chooses them; the default one where None is given.
    is_causal: query i attends to the keys up to number i + query_start only.
    scale: by default 1 / sqrt(E).
    enable_gqa: queries have more heads (the axis before L) than keys and values; a group of neighbours shares one.
    query_start: how many keys came before the first query, as in a cache of them.
    Returns (..., L, Ev). A query that may attend to nothing gets zeros.
    Raises ValueError for shapes that don't fit together, TypeError for what is not floating.

    Memory grows with L + S and not with L * S (Rabe and Staats, 2021; Dao et al., 2022); that of second derivatives
    is not spared. Attention is that of Vaswani et al., "Attention is all you need" (2017), grouped queries of
    Ainslie et al., "GQA" (2023).

    >>> import pullback as pb
    >>> x = pb.random.normal((1, 4, 10, 16))
    >>> pb.scaled_dot_product_attention(x, x, x, is_causal=True).shape
    (1, 4, 10, 16)
    """
    _check(query, key, value, attn_mask, grouped=enable_gqa)
    if not 0 <= dropout_p <= 1:
        raise ValueError(f"dropout drops a share dropout_p between 0 and 1; got {dropout_p!r}")
    if dropout_p == 1:
        dropout_p, value = 0.0, value * 0.0
    heads = query.shape[-3] if enable_gqa else 1
    grouped = enable_gqa and heads != key.shape[-3]
    if grouped:
        shared = key.shape[-3]
        query = _in_groups(query, shared)
        key, value = expand_dims(key, axis=-3), expand_dims(value, axis=-3)
        if attn_mask is not None and len(attn_mask.shape) > 2:
            attn_mask = _in_groups(attn_mask, shared if attn_mask.shape[-3] > 1 else 1)
    options: dict[str, Any] = {}
    if dropout_p:
        generator = generator or default_generator()
        words = prod(_batch(query, key, attn_mask)) * query.shape[-2] * 4 * -(-key.shape[-2] // 4)
        options = {"dropout_p": dropout_p, "seed": generator.seed, "offset": generator.advance(words)}
    result, _ = _scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask,
        scale=_scale(scale, query),
        is_causal=is_causal,
        query_start=query_start,
        **options,
    )
    return reshape(result, (*result.shape[:-4], heads, *result.shape[-2:])) if grouped else result


def _in_groups(x: Array, count: int) -> Array:
    """(..., heads, L, E) as (..., count, heads / count, L, E)."""
    return reshape(x, (*x.shape[:-3], count, x.shape[-3] // count, *x.shape[-2:]))


def _check(query: Array, key: Array, value: Array | None, mask: Array | None, *, grouped: bool) -> None:
    given = (query, key, key if value is None else value)
    for x in given:
        check_floating("attention", x)
    shapes = [tuple(x.shape) for x in given]
    if min(map(len, shapes)) < 2 or shapes[0][-1] != shapes[1][-1] or shapes[1][-2] != shapes[2][-2]:
        raise ValueError(
            "attention takes queries (..., L, E), keys (..., S, E) and values (..., S, Ev); "
            f"got shapes {shapes[0]}, {shapes[1]}, {shapes[2]}"
        )
    batches = [shape[:-2] for shape in shapes]
    if grouped:
        heads = [batch[-1] if batch else 0 for batch in batches]
        if not all(heads) or heads[1] != heads[2] or heads[0] % heads[1]:
            raise ValueError(
                "with enable_gqa the heads of the queries are a multiple of those of keys and values; "
                f"got shapes {shapes[0]}, {shapes[1]}, {shapes[2]}"
            )
        batches = [(*batch[:-1], heads[0]) for batch in batches]
    batch = _together(*batches)
    if batch is None:
        raise ValueError(
            "attention takes queries, keys and values whose axes before the last two broadcast; "
            f"got shapes {shapes[0]}, {shapes[1]}, {shapes[2]}"
        )
    if mask is None:
        return
    shape, wanted = tuple(mask.shape), (shapes[0][-2], shapes[1][-2])
    fits = len(shape) > 1 and shape[-2] in (1, wanted[0]) and shape[-1] in (1, wanted[1])
    if not fits or _together(batch, shape[:-2]) is None:
        raise ValueError(f"attn_mask broadcasts to (..., L, S), which is {(*batch, *wanted)}; got {shape}")
    if dtype_name(mask.dtype) != "bool" and "float" not in dtype_name(mask.dtype):
        raise TypeError(
            f"attn_mask is of booleans or floats; got {dtype_name(mask.dtype)}. Cast it: attn_mask.astype('bool')"
        )


def _together(*shapes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape that these are broadcast to; None where there is none."""
    different = {shape for shape in shapes if shape}
    if len(different) < 2:
        return next(iter(different), ())
    try:
        return broadcast_shapes(*different)
    except ValueError:
        return None
