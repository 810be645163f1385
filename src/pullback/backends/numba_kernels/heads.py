"""Attention of many small matrices, compiled: each thread takes whole heads, whose weights stay in its cache.

Arrays are (batch, heads, rows, columns), however they lie in memory; `logarithms` have no columns.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from ..host import host as np
from .compiling import MULTIPLICATIONS, called, compiled, in_parts
from .products import rows_times_panels, tile_lines
from .tiles import columns_of_tile, vectors_of_tile
from .vector_math import exp_up_to_0, log

__all__ = ["LONGEST", "MOST", "attention", "attention_vjp", "join"]

Options: TypeAlias = tuple[float, bool, int]
"""By what scores are multiplied, whether attention is causal, and up to which key the first query then reaches."""

MOST, LONGEST = 1 << 15, 256
"""How many weights a head has at most, and of how many rows and columns: all of it fits into the second cache."""


def attention(options: Options, query: Any, key: Any, value: Any, y: Any, logarithms: Any) -> None:
    """Write the averages of the values to y. logarithms: of the sums of exponentials; infinity where there are none."""
    _for_all_heads(_forward, options, (key, value), query, key, value, y, logarithms)


def attention_vjp(
    options: Options, g: Any, of_logarithms: Any, query: Any, key: Any, value: Any, y: Any, logarithms: Any,
    of_query: Any, of_key: Any, of_value: Any,
) -> None:  # fmt: skip
    """Write the gradients of query, key and value, from those of the averages and of the logarithms."""
    results = y, logarithms, of_query, of_key, of_value
    _for_all_heads(_backward, options, (key, value), g, of_logarithms, query, key, value, *results)


def join(parts: Any, whole: Any) -> None:
    """Write parts (batch, rows, heads, columns) side by side into one array of all heads."""
    first = 0
    for part in parts:
        in_parts(_copy, len(whole), part, whole, first, cost=2 * part[:1].size)
        first += part.shape[2]


@compiled
def _copy(start: int, stop: int, part: Any, whole: Any, first: int) -> None:
    _, rows, heads, columns = part.shape
    for n in range(start, stop):
        for r in range(rows):
            for h in range(heads):
                source, target = part[n, r, h], whole[n, r, first + h]
                for c in range(columns):
                    target[c] = source[c]


def _for_all_heads(kernel: Callable[..., Any], options: Options, over: tuple[Any, Any], *arrays: Any) -> None:
    scale, is_causal, first = options
    (batch, heads, keys, width), values = over[0].shape, over[1].shape[3]
    size = over[0].itemsize
    vectors, wide = (tuple(of(n, size) for n in (keys, width, values)) for of in (vectors_of_tile, columns_of_tile))
    numbers = arrays[0].dtype.type(scale), is_causal, first, wide, tile_lines()
    cost = keys * arrays[0].shape[2] * (width + values) // MULTIPLICATIONS
    in_parts(kernel(size, *vectors), batch * heads, *arrays, *numbers, cost=cost)


@cache
def _copies() -> tuple[Callable[..., None], Callable[..., None]]:
    """To put a matrix into panels of columns; and to copy one times a number."""

    @called
    def pack(x: Any, panels: Any) -> None:
        wide = panels.shape[2]
        for number in range(len(panels)):
            for k in range(x.shape[0]):
                there = min(wide, x.shape[1] - number * wide)
                row = x[k, number * wide : number * wide + there]
                into = panels[number, k]
                for n in range(there):
                    into[n] = row[n]

    @called
    def take(x: Any, factor: Any, into: Any) -> None:
        for row in range(x.shape[0]):
            source, target = x[row], into[row]
            for k in range(source.size):
                target[k] = source[k] * factor

    return pack, take


@cache
def _forward(itemsize: int, of_keys: int, of_width: int, of_values: int) -> Callable[..., None]:
    score, average = rows_times_panels(of_keys, itemsize), rows_times_panels(of_values, itemsize)
    pack, take = _copies()

    @compiled
    def forward(
        start: int, stop: int, query: Any, key: Any, value: Any, y: Any, logarithms: Any, scale: Any, is_causal: bool,
        first: int, wide: tuple[int, int, int], lines: int,
    ) -> None:  # fmt: skip
        heads, rows, width = query.shape[1:]
        keys, values = value.shape[2:]
        zero, infinity = y.dtype.type(0), y.dtype.type(np.inf)
        queries, averages = np.empty((rows, width), y.dtype), np.empty((rows, values), y.dtype)
        weights, nothing = np.empty((rows, keys), y.dtype), np.zeros(max(keys, values), y.dtype)
        memory = np.empty(lines, y.dtype)
        by_key = np.zeros(((keys + wide[0] - 1) // wide[0], width, wide[0]), y.dtype)
        by_value = np.zeros(((values + wide[2] - 1) // wide[2], keys, wide[2]), y.dtype)
        for number in range(start, stop):
            batch, head = number // heads, number % heads
            take(query[batch, head], scale, queries)
            pack(key[batch, head].T, by_key)
            score(rows, keys, queries, 0, width, by_key, nothing, 0, 0, weights, 0, memory)
            for r in range(rows):
                row = weights[r]
                reached = min(keys, max(first + r + 1, 0)) if is_causal else keys
                top = -infinity
                for k in range(reached):
                    top = row[k] if row[k] > top else top
                shift = top if top > -infinity else zero
                total = zero
                for k in range(reached):
                    weight = exp_up_to_0(row[k] - shift)
                    row[k] = weight
                    total += weight
                for k in range(reached, keys):
                    row[k] = zero
                share = y.dtype.type(1) / total if total != zero else total
                for k in range(keys):
                    row[k] *= share
                logarithms[batch, head, r] = shift + log(total) if total != zero else infinity
            pack(value[batch, head], by_value)
            average(rows, values, weights, 0, keys, by_value, nothing, 0, 0, averages, 0, memory)
            take(averages, y.dtype.type(1), y[batch, head])

    return forward


@cache
def _backward(itemsize: int, of_keys: int, of_width: int, of_values: int) -> Callable[..., None]:
    by_keys, by_width = rows_times_panels(of_keys, itemsize), rows_times_panels(of_width, itemsize)
    to_width, to_values = (rows_times_panels(each, itemsize, is_transposed=True) for each in (of_width, of_values))
    pack, take = _copies()

    @compiled
    def backward(
        start: int, stop: int, g: Any, of_logarithms: Any, query: Any, key: Any, value: Any, y: Any, logarithms: Any,
        of_query: Any, of_key: Any, of_value: Any, scale: Any, is_causal: bool, first: int,
        wide: tuple[int, int, int], lines: int,
    ) -> None:  # fmt: skip
        heads, rows, width = query.shape[1:]
        keys, values = value.shape[2:]
        kind = logarithms.dtype
        zero, one = kind.type(0), kind.type(1)
        queries, upper = np.empty((rows, width), kind), np.empty((rows, values), kind)
        weights, slopes = np.empty((rows, keys), kind), np.empty((rows, keys), kind)
        memory, nothing = np.empty(lines, kind), np.zeros(max(keys, width, values), kind)
        longest = max(keys, rows, width, values)
        panels = np.zeros((longest // min(wide) + 1) * longest * max(wide), kind)
        result = np.empty(longest * longest, kind)
        count = (keys + wide[0] - 1) // wide[0], (width + wide[1] - 1) // wide[1], (values + wide[2] - 1) // wide[2]
        for number in range(start, stop):
            batch, head = number // heads, number % heads
            take(query[batch, head], scale, queries)
            take(g[batch, head], one, upper)
            b = panels[: count[0] * width * wide[0]].reshape((count[0], width, wide[0]))
            pack(key[batch, head].T, b)
            by_keys(rows, keys, queries, 0, width, b, nothing, 0, 0, weights, 0, memory)
            b = panels[: count[0] * values * wide[0]].reshape((count[0], values, wide[0]))
            pack(value[batch, head].T, b)
            by_keys(rows, keys, upper, 0, values, b, nothing, 0, 0, slopes, 0, memory)
            for r in range(rows):
                row, slope = weights[r], slopes[r]
                reached = min(keys, max(first + r + 1, 0)) if is_causal else keys
                logarithm, mean = logarithms[batch, head, r], -of_logarithms[batch, head, r]
                averages, of_averages = y[batch, head, r], upper[r]
                for k in range(values):
                    mean += of_averages[k] * averages[k]
                for k in range(keys):
                    weight = exp_up_to_0(row[k] - logarithm)
                    weight = weight if k < reached else zero
                    row[k] = weight
                    slope[k] = weight * (slope[k] - mean)
            b = panels[: count[1] * keys * wide[1]].reshape((count[1], keys, wide[1]))
            pack(key[batch, head], b)
            by_width(rows, width, slopes, 0, keys, b, nothing, 0, 0, result, 0, memory)
            take(result[: rows * width].reshape((rows, width)), scale, of_query[batch, head])
            b = panels[: count[1] * rows * wide[1]].reshape((count[1], rows, wide[1]))
            pack(queries, b)
            to_width(keys, width, slopes, 0, keys, b, nothing, 0, 0, result, 0, memory)
            take(result[: keys * width].reshape((keys, width)), one, of_key[batch, head])
            b = panels[: count[2] * rows * wide[2]].reshape((count[2], rows, wide[2]))
            pack(upper, b)
            to_values(keys, values, weights, 0, keys, b, nothing, 0, 0, result, 0, memory)
            take(result[: keys * values].reshape((keys, values)), one, of_value[batch, head])

    return backward
