"""Kernels of attention: some rows of the weights at a time, in memory that stays in the cache."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from math import prod
from typing import Any, NamedTuple

from ..blas_threads import blas_alone
from ..host import host as np
from ..memory import empty, empty_like
from ..numba_kernels import heads, is_float, is_worthwhile
from ..numba_kernels.attention import slopes_of_rows, softmax_of_rows
from ..numba_kernels.compiling import in_parts
from .table import kernel

_AT_ONCE = 1 << 18
"""How many weights each thread has in memory at once, unless a row of one matrix has more."""
_TOGETHER = 1 << 16
"""The same where many small matrices are taken at once: memory that is neither asked for nor fetched anew."""
_WORTH_PARTING = 1 << 19
"""From how many weights on threads win where matrices are small: BLAS lets one of them in at a time."""
_BLAS_ALONE = 1 << 18
"""Up to how many multiplications OpenBLAS takes one thread."""


@kernel("scaled_dot_product_attention", declines=True)
def _(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    *,
    scale: float,
    is_causal: bool = False,
    query_start: int = 0,
    dropout_p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> Any:
    call = _call(query, key, value, mask, scale, is_causal, query_start, dropout_p)
    if call is None:
        return NotImplemented
    y = _like(query, (*call.batch, query.shape[-2], value.shape[-1]))
    logarithms = np.empty((*call.batch, query.shape[-2], 1), dtype=query.dtype)
    if call.small:
        arrays = (call.query, call.key, call.value, y, logarithms[..., 0])
        heads.attention((scale, is_causal, query_start), *(x[call.lead] for x in arrays))
        return y, logarithms

    def part(start: int, stop: int) -> None:
        for block in _blocks(call, start, stop, buffers=1):
            weights, factor = _scores(call, block)
            _softmax(call, block, weights, factor, block.rows_of(logarithms))
            np.matmul(weights, block.keys_of(call.value), out=block.rows_of(y))

    _run(part, call)
    return y, logarithms


@kernel("scaled_dot_product_attention.vjp(query,key,value)", declines=True)
def _(
    g: Any,
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    y: Any,
    *,
    scale: float,
    is_causal: bool,
    query_start: int,
    dropout_p: float,
    seed: int,
    offset: int,
) -> Any:
    call = _call(query, key, value, mask, scale, is_causal, query_start, dropout_p)
    if call is None or g[0] is None or g[0].shape != y[0].shape:
        return NotImplemented
    upper = _for_blas(g[0])
    given = ((query, call.query), (key, call.key), (value, call.value))
    of_query, of_key, of_value = (_like(x, whole.shape) for x, whole in given)
    if call.small:
        of_logarithms = np.zeros_like(y[1]) if g[1] is None else g[1]
        gradients = upper, of_logarithms[..., 0]
        arrays = (*gradients, call.query, call.key, call.value, y[0], y[1][..., 0], of_query, of_key, of_value)
        heads.attention_vjp((scale, is_causal, query_start), *(x[call.lead] for x in arrays))
        return of_query, of_key, of_value
    means = np.vecdot(upper, y[0])[..., None]
    if g[1] is not None:
        means -= g[1]

    def part(start: int, stop: int) -> None:
        for block in _blocks(call, start, stop, buffers=2):
            weights, factor = _scores(call, block)
            slopes = block.buffer(1)
            np.matmul(block.rows_of(upper), block.keys_of(call.value).mT, out=slopes)
            _slopes(call, block, weights, slopes, factor, block.rows_of(y[1]), block.rows_of(means))
            np.matmul(slopes, block.keys_of(call.key), out=block.rows_of(of_query))
            block.add(of_key, slopes, block.rows_of(call.query))
            block.add(of_value, weights, block.rows_of(upper))

    _run(part, call)
    return of_query, of_key, of_value


@kernel("split_heads.vjp(x)", declines=True)
def _(g: Any, x_shape: tuple[int, ...], *, batch_first: bool) -> Any:
    if len(x_shape) != 3:
        return NotImplemented
    counts = [part.shape[1] for part in g]
    whole = empty((*x_shape[:2], sum(counts), g[0].shape[3]), dtype=g[0].dtype)
    parts = [part.transpose((0, 2, 1, 3) if batch_first else (2, 0, 1, 3)) for part in g]
    if is_worthwhile(whole.size) and is_float(whole.dtype) and len({part.dtype for part in g}) == 1:
        heads.join(parts, whole)
        return whole.reshape(x_shape)
    start = 0
    for part, count in zip(parts, counts, strict=True):
        whole[:, :, start : start + count] = part
        start += count
    return whole.reshape(x_shape)


class _Call(NamedTuple):
    """What is asked for: arrays of one data type with the same axes in front, and how the scores are made."""

    query: Any
    key: Any
    value: Any
    mask: Any
    scale: float
    is_causal: bool
    query_start: int
    batch: tuple[int, ...]
    compiled: bool

    @property
    def rows(self) -> int:
        return int(self.query.shape[-2])

    @property
    def keys(self) -> int:
        return int(self.key.shape[-2])

    @property
    def together(self) -> bool:
        """Whether many matrices are small enough to be taken at once, along the first axis."""
        return bool(self.batch) and self.batch[0] > 1 and prod(self.batch[1:]) * self.rows * self.keys <= _AT_ONCE

    @property
    def small(self) -> bool:
        """Whether there are many matrices, each small enough for one thread, and all of them a worthwhile work."""
        longest = max(self.rows, self.keys, self.query.shape[-1], self.value.shape[-1])
        fits = self.rows * self.keys <= heads.MOST and longest <= heads.LONGEST
        return self.compiled and fits and self.mask is None and 1 <= len(self.batch) <= 2 and prod(self.batch) > 1

    @property
    def lead(self) -> tuple[Any, ...]:
        """The index that gives arrays two axes in front, for batch and heads."""
        return (None,) * (2 - len(self.batch)) + (...,)

    @property
    def alone(self) -> bool:
        """Whether the products are so small that BLAS takes no threads for them."""
        return self.rows * self.keys * int(max(self.query.shape[-1], self.value.shape[-1])) <= _BLAS_ALONE

    @property
    def parted(self) -> bool:
        """Whether threads of ours part the work: else BLAS's own do, and both at once would wait for each other."""
        return prod(self.batch) > 1 and (self.alone or blas_alone() is not None)


def _call(
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    scale: float,
    is_causal: bool,
    query_start: int,
    dropout_p: float,
) -> _Call | None:
    """The call, if it is one for these kernels."""
    kinds = {x.dtype for x in (query, key, value)}
    if (
        dropout_p
        or len(kinds) > 1
        or query.dtype not in (np.float32, np.float64)
        or 0 in (query.size, key.size, value.size)
    ):
        return None
    batch = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    if mask is not None:
        if mask.dtype not in (bool, query.dtype) or np.broadcast_shapes(batch, mask.shape[:-2]) != batch:
            return None
        mask = np.broadcast_to(mask, (*batch, query.shape[-2], key.shape[-2]))
    q, k, v = map(_for_blas, (query, key, value))
    if not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        q, k, v = (np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (q, k, v))
    size = prod(batch) * query.shape[-2] * key.shape[-2]
    return _Call(q, k, v, mask, scale, is_causal, query_start, batch, is_worthwhile(size))


def _for_blas(x: Any) -> Any:
    """x as matrices whose rows are contiguous, which BLAS takes as they are."""
    step, row = x.strides[-1], x.strides[-2]
    return x if step == x.itemsize and row >= x.shape[-1] * step and not row % step else np.ascontiguousarray(x)


def _like(x: Any, shape: tuple[int, ...]) -> Any:
    """New memory, laid out as x is where it has that shape: what takes heads apart or together need not copy then."""
    return empty_like(x) if x.shape == shape and x.strides[-1] == x.itemsize else empty(shape, dtype=x.dtype)


class _Block:
    """Some rows of some matrices, the keys they reach, and the buffers for what is computed of them."""

    def __init__(self, place: Any, rows: slice, keys: int, shape: tuple[int, ...], buffers: list[Any]) -> None:
        self.place, self.rows, self.keys = place, rows, keys
        self._shape, self._buffers = shape, buffers

    def rows_of(self, x: Any) -> Any:
        return x[self.place][..., self.rows, :]

    def keys_of(self, x: Any) -> Any:
        return x[self.place][..., : self.keys, :]

    def buffer(self, number: int) -> Any:
        return self._buffers[number][: prod(self._shape)].reshape(self._shape)

    def add(self, total: Any, weights: Any, rows: Any) -> None:
        """Add weights.T @ rows to the total of all blocks of the same matrices."""
        whole = total[self.place]
        if self.rows.start == 0:
            np.matmul(weights.mT, rows, out=whole[..., : self.keys, :])
            whole[..., self.keys :, :] = 0
        else:
            whole[..., : self.keys, :] += np.matmul(weights.mT, rows)


def _run(part: Callable[[int, int], None], call: _Call) -> None:
    """Take all places, in several threads where that can be done."""
    places = call.batch[0] if call.together else prod(call.batch)
    if not call.parted or (call.alone and prod(call.batch) * call.rows * call.keys < _WORTH_PARTING):
        part(0, places)
    else:
        with nullcontext() if call.alone else blas_alone() or nullcontext():
            in_parts(part, places)


def _of_rows(function: Callable[..., None], call: _Call, rows: int, *arguments: Any) -> None:
    """Call a compiled function of rows: in threads, unless this is done by one of several."""
    if call.parted:
        function(0, rows, *arguments)
    else:
        in_parts(function, rows, *arguments)


def _blocks(call: _Call, start: int, stop: int, buffers: int) -> Iterator[_Block]:
    """Blocks of the places from start to stop, in which all rows of a matrix follow one another."""
    inner, rows = (call.batch[1:], call.rows) if call.together else ((), max(1, _AT_ONCE // call.keys))
    count = max(1, min(_AT_ONCE, _TOGETHER) // (prod(inner) * call.rows * call.keys)) if call.together else 1
    rows = min(rows, call.rows)
    size = min(count, stop - start) * prod(inner) * rows * call.keys
    memory = [empty((size,), dtype=call.query.dtype) for _ in range(buffers)]
    places = list(np.ndindex(*call.batch)) if not call.together else []
    for i in range(start, stop, count):
        place = slice(i, min(stop, i + count)) if call.together else places[i]
        lead = (place.stop - i, *inner) if isinstance(place, slice) else ()
        for first in range(0, call.rows, rows):
            last = min(call.rows, first + rows)
            keys = min(call.keys, max(1, last + call.query_start)) if call.is_causal else call.keys
            yield _Block(place, slice(first, last), keys, (*lead, last - first, keys), memory)


def _scores(call: _Call, block: _Block) -> tuple[Any, float]:
    """The scores of a block, in its first buffer, and what they are yet to be multiplied by."""
    scores = np.matmul(block.rows_of(call.query), block.keys_of(call.key).mT, out=block.buffer(0))
    if call.mask is None:
        return scores, call.scale
    scores *= call.scale
    part = block.rows_of(call.mask)[..., : block.keys]
    if part.dtype == bool:
        np.copyto(scores, -np.inf, where=~part)
    else:
        scores += part
    return scores, 1.0


def _softmax(call: _Call, block: _Block, scores: Any, factor: float, logarithms: Any) -> None:
    """The scores become weights; the logarithms of the rows' sums are written down."""
    if call.compiled:
        flat, first = scores.reshape(-1, block.keys), block.rows.start + call.query_start
        numbers = _number(call, factor), first, scores.shape[-2], call.is_causal
        _of_rows(softmax_of_rows, call, len(flat), flat, logarithms.reshape(-1), *numbers)
        return
    _bar(call, block, scores)
    scores *= factor
    top = np.maximum.reduce(scores, axis=-1, keepdims=True)
    top[top == -np.inf] = 0
    scores -= top
    np.exp(scores, out=scores)
    total = np.add.reduce(scores, axis=-1, keepdims=True)
    empty = total == 0
    total[empty] = 1
    scores /= total
    logarithms[...] = np.where(empty, np.inf, np.log(total) + top)


def _slopes(call: _Call, block: _Block, weights: Any, slopes: Any, factor: float, logarithms: Any, means: Any) -> None:
    """The scores become weights again, and the gradient of the weights that of the products of queries and keys."""
    if call.compiled:
        flat, first = (-1, block.keys), block.rows.start + call.query_start
        numbers = _number(call, factor), _number(call, call.scale), first, weights.shape[-2], call.is_causal
        arrays = weights.reshape(flat), slopes.reshape(flat), logarithms.reshape(-1), means.reshape(-1)
        _of_rows(slopes_of_rows, call, len(arrays[0]), *arrays, *numbers)
        return
    _bar(call, block, weights)
    weights *= factor
    weights -= logarithms
    np.exp(weights, out=weights)
    slopes -= means
    slopes *= weights
    slopes *= call.scale


def _bar(call: _Call, block: _Block, scores: Any) -> None:
    """-inf for the keys behind each query, where that is asked for."""
    if call.is_causal:
        places = np.arange(block.rows.start, block.rows.stop) + call.query_start
        np.copyto(scores, -np.inf, where=np.arange(block.keys) > places[:, None])


def _number(call: _Call, x: float) -> Any:
    """A number in the arrays' own precision, as compiled code wants it."""
    return call.query.dtype.type(x)
