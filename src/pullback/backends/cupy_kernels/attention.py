"""Kernels of attention, which never have the matrix of weights whole, and of the heads it is parted among."""

from functools import cache
from itertools import chain
from math import ceil, prod
from typing import Any, Final, NamedTuple

from ..backend import Array
from ..dtypes import HALVES
from ..host import host
from ..random_numbers import digits_of
from . import cudnn_attention
from .cudnn_graphs import Layout
from .launch import Source, driver, type_of
from .rows import are_floating, contiguous
from .table import kernel

_FUNCTIONS: Final = ("attention", "attention_queries_vjp", "attention_keys_vjp")
_WIDTHS: Final = (64, 128, 256)
"""How wide heads are on tensor cores: others are filled up."""

_plain = Source("attention", _FUNCTIONS, ["float, 4", "float, 8", "double, 4", "float16, 4", "bfloat16, 4"])
_on_tensor_cores = Source(
    "attention_tensor_cores",
    _FUNCTIONS,
    [f"{t}, {d}, {extras}" for t in HALVES for d in _WIDTHS for extras in ("false", "true")],
)


@kernel("scaled_dot_product_attention", declines=True)
def _(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    *,
    scale: float,
    is_causal: bool = False,
    query_start: int = 0,
    dropout_p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> Any:
    call = _call(query, key, value, mask, scale, is_causal, query_start, dropout_p, seed, offset)
    if call is None:
        return NotImplemented
    y = _laid_out_as(query, (*call.batch, query.shape[-2], value.shape[-1]), call.outer)
    logarithms = driver().xp.empty((*call.batch, query.shape[-2], 1), call.wide)
    arrays = (*call.arrays, call.of_queries(y))
    if not call.fill_on_cudnn(arrays, (logarithms,)):
        call.launch("attention", arrays, (logarithms,))
    return y, logarithms


@kernel("scaled_dot_product_attention.vjp(query,key,value)", declines=True)
def _(
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
) -> Any:
    call = _call(query, key, value, mask, scale, is_causal, query_start, dropout_p, seed, offset)
    if call is None or g[0] is None or g[0].shape != y[0].shape or not are_floating(query, g[0], y[0]):
        return NotImplemented
    logarithms = contiguous(y[1].astype(call.wide, copy=False))
    of_logarithms = None if g[1] is None else contiguous(g[1].astype(call.wide, copy=False))
    wanted = [(*call.batch, *query.shape[-2:])]
    wanted += [x.shape if call.shared > 1 else (*call.batch, *x.shape[-2:]) for x in (key, value)]
    of_query, of_key, of_value = _gradients((query, key, value), wanted, call.outer)
    of_y, result = call.of_queries(g[0]), call.of_queries(y[0])
    results = call.of_queries(of_query), call.of_keys(of_key), call.of_keys(of_value)
    if of_logarithms is None and call.fill_on_cudnn((*call.arrays, result, of_y), (logarithms,), *results):
        return of_query, of_key, of_value
    means = driver().xp.empty(logarithms.shape, call.wide)
    first = of_logarithms, logarithms, means
    call.launch("attention_queries_vjp", (*call.arrays, of_y, result), first, results[0])
    call.launch("attention_keys_vjp", (*call.arrays, of_y), (logarithms, means), *results[1:])
    return of_query, of_key, of_value


@kernel("split_heads.vjp(x)", declines=True)
def _(g: tuple[Array, ...], x_shape: tuple[int, ...], *, batch_first: bool) -> Any:
    if len(x_shape) != 3 or len({part.dtype for part in g}) > 1:
        return NotImplemented
    counts = [part.shape[1] for part in g]
    order = (0, 2, 1, 3) if batch_first else (2, 0, 1, 3)
    parts = [part.transpose(order) for part in g]
    shape = (*x_shape[:2], sum(counts), parts[0].shape[3])
    xp = driver().xp
    if _follow(parts) and parts[0].strides == _contiguous_strides(shape, g[0].dtype.itemsize):
        return xp.lib.stride_tricks.as_strided(parts[0], x_shape, _contiguous_strides(x_shape, g[0].dtype.itemsize))
    whole = xp.empty(shape, g[0].dtype)
    start = 0
    for part, count in zip(parts, counts, strict=True):
        whole[:, :, start : start + count] = part
        start += count
    return whole.reshape(x_shape)


class _Matrices(NamedTuple):
    """An array (outer, heads, rows, columns) whose rows are contiguous, and the steps along the other axes."""

    array: Array
    outer: int
    head: int
    row: int


class _Call(NamedTuple):
    """What is asked for.

    batch: the axes of the weights before their last two, of which the first `outer` are one axis to the kernels and the
    others, the heads, another one. shared: how many heads of queries share one of keys; these are the last axis then.
    arrays: queries, keys and values. extras: whether there is a mask or dropout. reach: of a causal mask, the number of
    the last key that query 0 attends to. rest: what all functions take besides arrays.
    """

    batch: tuple[int, ...]
    outer: int
    shared: int
    arrays: tuple[_Matrices, ...]
    wide: Any
    extras: bool
    scale: float
    reach: int | None
    rest: tuple[Any, ...]

    def of_queries(self, x: Array) -> _Matrices:
        """An array of the queries' heads as the kernels see it."""
        return _matrices(x, self.batch, self.outer)

    def of_keys(self, x: Array) -> _Matrices:
        """An array of the keys' heads, gradients that is, as the kernels see it."""
        if self.shared == 1:
            return _matrices(x, self.batch, self.outer)
        return _matrices(x[..., 0, :, :], self.batch[:-1], self.outer)

    def fill_on_cudnn(self, given: tuple[_Matrices, ...], statistics: tuple[Array, ...], *results: _Matrices) -> bool:
        """Fill a result and its logarithms, or three gradients, on cuDNN, and say whether that was possible."""
        kind = type_of(self.arrays[0].array.dtype)
        if self.extras or kind not in HALVES or driver().cudnn is None:
            return False
        arrays = [*(x.array for x in given), *statistics, *(x.array for x in results)]
        layouts = tuple(self._layout(x, i in (1, 2)) for some in (given, results) for i, x in enumerate(some))
        fill = cudnn_attention.pull if results else cudnn_attention.attend
        return fill(kind, arrays, layouts, self.scale, self.reach)

    def _layout(self, x: _Matrices, of_keys: bool) -> Layout:
        """How matrices lie: outer axes, heads, rows and columns."""
        heads = prod(self.batch[self.outer :]) // (self.shared if of_keys else 1)
        lengths = prod(self.batch[: self.outer]), heads, *x.array.shape[-2:]
        return cudnn_attention.layout(lengths, (x.outer, x.head, x.row, 1))

    def launch(self, function: str, given: tuple[_Matrices, ...], statistics: tuple[Array, ...], *results: Any) -> None:
        """Run a function for all tiles of all heads."""
        query, key, value = (matrices.array for matrices in self.arrays)
        width, value_width, matrices = query.shape[-1], value.shape[-1], prod(self.batch)
        of_keys = function == "attention_keys_vjp"
        widest = max(width, value_width)
        dtype = type_of(query.dtype)
        pads = [n for n in _WIDTHS if n >= widest]
        if dtype in HALVES and pads and _has_tensor_cores():
            source, types = _on_tensor_cores, f"{dtype}, {pads[0]}, {'true' if self.extras else 'false'}"
            rows, threads, shared, parts = _sizes(function, pads[0], self.extras)
            aligned = width % 8 == value_width % 8 == 0 and all(map(_is_aligned, (*given, *results)))
        else:
            columns = {"attention": value_width, "attention_queries_vjp": width}.get(function, widest)
            each = 8 if dtype == "float" and columns > 64 else 4
            source, types, aligned = _plain, f"{dtype}, {each}", False
            rows, threads, parts = 64, 256, -(-columns // (16 * each))
            shared = 128 * 68 * (8 if dtype == "double" else 4)
        if of_keys:
            blocks = matrices // self.shared * -(-key.shape[-2] // rows)
        else:
            blocks = matrices * -(-query.shape[-2] // rows)
        arrays = [*chain(*given), *statistics, *chain(*results)]
        source.launch(function, types, blocks * parts, threads, *arrays, *self.rest, int(aligned), shared=shared)


def _call(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    scale: float,
    is_causal: bool,
    query_start: int,
    dropout_p: float,
    seed: int,
    offset: int,
) -> _Call | None:
    """The call, if it is one for these kernels."""
    if not are_floating(query, key, value) or 0 in (query.size, key.size, value.size) or dropout_p >= 1:
        return None
    given = [tuple(x.shape[:-2]) for x in (query, key, value)]
    batch = given[0] if given[0] == given[1] == given[2] else tuple(host.broadcast_shapes(*given))
    wide = query.dtype if query.dtype.itemsize > 2 else host.dtype("float32")
    if mask is not None and mask.dtype not in (bool, query.dtype, wide):
        return None
    if mask is not None or not given[0] == given[1] == given[2]:
        masks = [] if mask is None else [tuple(mask.shape[:-2])]
        if tuple(host.broadcast_shapes(given[0], given[1], *masks)) != batch:
            return None  # values are for more matrices than there are weights, or a mask is
    shared = batch[-1] if batch and batch[-1] > 1 and given[1] == given[2] == (*batch[:-1], 1) else 1
    outer = max(0, len(batch) - (2 if shared > 1 and len(batch) > 2 else 1))
    if shared > 1:
        key, value, lead = key[..., 0, :, :], value[..., 0, :, :], batch[:-1]
    else:
        lead = batch
    arrays = _matrices(query, batch, outer), _matrices(key, lead, outer), _matrices(value, lead, outer)
    rows, keys = query.shape[-2], key.shape[-2]
    steps = (None, 0, 0, 0, 0, 0) if mask is None else _mask(mask, batch, outer, query.dtype)
    query_start = max(-rows, min(query_start, keys))
    rest = (
        *steps,
        prod(batch[outer:]),
        shared,
        rows,
        keys,
        query.shape[-1],
        value.shape[-1],
        float(scale),
        int(is_causal),
        query_start,
        seed - (1 << 64) if seed >> 63 else seed,
        offset,
        ceil(float(wide.type(dropout_p)) * 2 ** digits_of(wide)),
        1 / (1 - dropout_p),
    )
    extras = mask is not None or dropout_p > 0
    return _Call(batch, outer, shared, arrays, wide, extras, float(scale), query_start if is_causal else None, rest)


def _matrices(x: Array, batch: tuple[int, ...], outer: int) -> _Matrices:
    """An array, repeated along the axes that it lacks, as kernels see it; copied only where it lies too oddly."""
    size = x.dtype.itemsize
    if x.strides[-1] != size and x.shape[-1] > 1:
        x = contiguous(x)
    found = _two_steps(x, batch, outer)
    if found is None:
        x = contiguous(driver().xp.broadcast_to(x, (*batch, *x.shape[-2:])))
        return _matrices(x, batch, outer)
    return _Matrices(x, found[0] // size, found[1] // size, x.strides[-2] // size)


def _mask(mask: Array, batch: tuple[int, ...], outer: int, dtype: Any) -> tuple[Any, ...]:
    """A mask, its kind, and its steps along outer axes, heads, queries and keys."""
    size = mask.dtype.itemsize
    found = _two_steps(mask, batch, outer)
    if found is None:
        mask = contiguous(driver().xp.broadcast_to(mask, (*batch, *mask.shape[-2:])))
        return _mask(mask, batch, outer, dtype)
    kind = 0 if mask.dtype == bool else 1 if mask.dtype == dtype else 2
    last = [0 if n == 1 else step // size for n, step in zip(mask.shape[-2:], mask.strides[-2:], strict=True)]
    return mask, kind, found[0] // size, found[1] // size, *last


def _two_steps(x: Array, batch: tuple[int, ...], outer: int) -> tuple[int, int] | None:
    """The bytes from one to the next of the first axes, taken as one, and of the others before the last two."""
    lead, lengths, strides = len(batch) + 2 - x.ndim, x.shape, x.strides
    steps = [0] * lead + [0 if n == 1 else s for n, s in zip(lengths[:-2], strides[:-2], strict=True)]
    first, second = _one_step(batch[:outer], steps[:outer]), _one_step(batch[outer:], steps[outer:])
    return None if first is None or second is None else (first, second)


def _one_step(lengths: tuple[int, ...], steps: list[int]) -> int | None:
    """The step of several axes taken as one; None where it is not always the same."""
    count, step = 1, 0
    for n, s in zip(reversed(lengths), reversed(steps), strict=True):
        if n > 1:
            if count > 1 and s != step * count:
                return None
            step = s if count == 1 else step
            count *= n
    return step


def _is_aligned(x: _Matrices) -> bool:
    """Whether all rows of 16-bit numbers begin at multiples of 16 bytes."""
    return not (x.outer % 8 or x.head % 8 or x.row % 8 or driver().address(x.array) % 16)


@cache
def _has_tensor_cores() -> bool:
    """Whether the device multiplies bfloat16, and copies into shared memory meanwhile: since compute capability 8.0."""
    cuda = getattr(driver().xp, "cuda", None)
    return cuda is None or int(cuda.Device().compute_capability) >= 80


@cache
def _sizes(function: str, width: int, extras: bool) -> tuple[int, int, int, int]:
    """Rows, threads and bytes of shared memory of a block on tensor cores, and how many blocks share its rows."""
    line = 2 * (width + 8)
    if function == "attention":
        rows = 64 if extras or width > 128 else 128
        return rows, 128, (rows + 2 * (32 if width > 192 else 64)) * line, 1
    warps, met = (3 if width > 192 else 4), (16 if width > 128 else 32 if width > 64 else 64)
    of_keys = function == "attention_keys_vjp"
    parts = 2 if of_keys and width > 128 else 1
    return 16 * warps, 32 * warps, (32 * warps + 4 * met) * line + 16 * met * of_keys, parts


def _laid_out_as(x: Array, shape: tuple[int, ...], outer: int) -> Array:
    """New memory with rows where x has them: behind heads, before, or before all; so what parts heads need not copy."""
    xp, rows = driver().xp, len(shape) - 2
    if rows + 2 != x.ndim or any(step == 0 and n > 1 for n, step in zip(x.shape, x.strides, strict=True)):
        return xp.empty(shape, x.dtype)
    order = [*sorted(range(rows + 1), key=lambda i: -x.strides[i]), rows + 1]
    place = order.index(rows)
    if place not in (0, outer) or [*order[:place], *order[place + 1 : -1]] != list(range(rows)):
        return xp.empty(shape, x.dtype)
    made = xp.empty(tuple(shape[i] for i in order), x.dtype)
    return made.transpose(tuple(order.index(i) for i in range(rows + 2)))


def _gradients(given: tuple[Array, ...], shapes: list[tuple[int, ...]], outer: int) -> list[Array]:
    """Memory for gradients: of one piece where they are of heads that `split_heads` took from one array."""
    width, heads = shapes[0][-1], [shape[-3] for shape in shapes if len(shape) == 4]
    if len(heads) == 3 and all(x.shape == s and s[3] == width for x, s in zip(given, shapes, strict=True)):
        for order in ((0, 2, 1, 3), (2, 0, 1, 3)):  # batches first, or rows
            parts = [x.transpose(order) for x in given]
            whole = (*parts[0].shape[:2], sum(heads), width)
            if _follow(parts) and parts[0].strides == _contiguous_strides(whole, given[0].dtype.itemsize):
                back = driver().xp.empty(whole, given[0].dtype).transpose([order.index(i) for i in range(4)])
                ends = [sum(heads[: i + 1]) for i in range(3)]
                return [back[:, end - n : end] for n, end in zip(heads, ends, strict=True)]
    return [_laid_out_as(x, shape, outer) for x, shape in zip(given, shapes, strict=True)]


def _follow(parts: list[Array]) -> bool:
    """Whether arrays (_, _, heads, columns) are parts of one, each beginning where the heads of the one before end."""
    first = parts[0]
    if first.base is None:
        return False
    address = driver().address(first)
    for part in parts:
        if part.base is not first.base or part.strides != first.strides or driver().address(part) != address:
            return False
        address += part.shape[2] * part.strides[2]
    return True


def _contiguous_strides(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    return tuple(size * prod(shape[i + 1 :]) for i in range(len(shape)))
