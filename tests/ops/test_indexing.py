"""`x[key]` and `x[key] = value`, for all that NumPy takes as a key: NumPy says what they give and what they refuse."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.backends import Backend, open_backend
from pullback.ops.indexing import one_hot
from pullback.ops.loss.adaptive_softmax import adaptive_log_softmax_with_loss

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
many = settings(max_examples=400, deadline=None, derandomize=True, database=None)
some = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@st.composite
def keys(draw: Any, valid: bool = False) -> tuple[tuple[int, ...], Any]:
    """A shape, and a key for an array of it; `valid` leaves little that NumPy refuses."""
    shape = draw(SHAPES)
    together = draw(st.lists(st.integers(1, 3), max_size=2))
    rest, parts = list(shape), []
    slip = 0 if valid else 1  # how far an index may lie outside
    for _ in range(draw(st.integers(0, len(shape) if valid else 5))):
        length = rest[0] if rest else 2
        places = st.integers(-length - slip, max(length - 1 + slip, -length - slip))
        kind = draw(st.sampled_from(["int", "slice", "None", "...", "array", "mask", "0-d", "list", "bool"]))
        if kind == "None":
            parts.append(None)
        elif kind == "...":
            if not (valid and any(part is ... for part in parts)):
                parts.append(...)
        elif kind == "bool":
            parts.append(draw(st.booleans()))
        elif kind == "mask":
            whole = tuple(rest[: draw(st.integers(1, 2))])
            if not valid and draw(st.integers(0, 9)) == 0:
                whole = draw(SHAPES)
            parts.append(draw(truths(whole)))
            rest = rest[len(whole) :]
        else:
            if kind == "int":
                part = draw(places)
            elif kind == "0-d":
                part = np.asarray(draw(places))
            elif kind == "list":
                part = draw(st.lists(places, max_size=3))
            elif kind == "array":
                lengths = tuple(draw(st.sampled_from([n, 1])) for n in together)
                data = draw(st.lists(places, min_size=prod(lengths), max_size=prod(lengths)))
                part = np.asarray(data, dtype=draw(st.sampled_from(["int64", "int8"]))).reshape(lengths)
            else:
                step = draw(st.sampled_from([None, -2, -1, 1, 3]))
                bound = st.none() | st.integers(-length - 2 * slip, length + 2 * slip)
                part = slice(None, None, step) if valid and (step or 1) < 0 else slice(draw(bound), draw(bound), step)
            parts.append(part)
            rest = rest[1:]
    return shape, parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)


@st.composite
def truths(draw: Any, shape: tuple[int, ...]) -> np.ndarray:
    size = prod(shape)
    return np.asarray(draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool).reshape(shape)


def on(backend: Any, key: Any) -> Any:
    """The key with its arrays as Tensors of a backend."""
    if isinstance(key, tuple):
        return tuple(on(backend, part) for part in key)
    return pb.Tensor(backend.from_host(key)) if isinstance(key, np.ndarray) else key


def attempt(call: Any) -> Any:
    """What a call gives, or the type of the error that it ends in."""
    try:
        return call()
    except Exception as error:
        return type(error)


@pytest.mark.on_numpy
@many
@given(keys(), st.booleans())
@example(((4, 2), (np.zeros(3, dtype=bool), 0)), True)
@example(((4, 2), (0, np.zeros(3, dtype=bool))), False)
@example(((2, 3), ([], 3)), False)
@example(((2, 3), (True, ..., ...)), False)
@example(((2, 3), ([0, 1], [0, 1, 2])), True)
@example(((2, 3), (True, [1, 0], None, np.asarray(True))), True)
@example(((2, 3, 3), (slice(None), [1, 0], ..., [2, 0])), False)
def test_reading_gives_and_refuses_what_numpys_does(case: Any, wrapped: bool) -> None:
    shape, key = case
    array = np.arange(float(prod(shape))).reshape(shape)
    ours = on(open_backend("numpy"), key) if wrapped else key
    expected = attempt(lambda: array[key])
    for x in (pb.Tensor(array), pb.Tensor(array).requires_grad_()):
        got = attempt(lambda x=x: x[ours].numpy())
        if isinstance(expected, type):
            assert got is expected
        else:
            np.testing.assert_array_equal(got, np.asarray(expected), strict=True)


@pytest.mark.parametrize("name", ["numpy", "array_api_strict"])
@many
@given(case=keys(valid=True))
def test_each_gradient_goes_to_the_elements_that_were_read(name: str, case: Any) -> None:
    shape, key = case
    array = np.arange(float(prod(shape))).reshape(shape)
    expected = attempt(lambda: array[key])
    if isinstance(expected, type):
        return
    backend = open_backend(name)
    x = pb.Tensor(backend.from_host(array)).requires_grad_()
    y = x[on(backend, key)]
    np.testing.assert_array_equal(y.numpy(), np.asarray(expected), strict=True)
    g = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(pb.Tensor(backend.from_host(g)))
    added = np.zeros(shape)
    np.add.at(added, key, g)
    np.testing.assert_allclose(x.grad.numpy(), added, rtol=1e-12, atol=1e-12, strict=True)


@some
@given(keys(valid=True))
def test_reading_is_right_to_second_order(case: Any) -> None:
    shape, key = case
    array = np.random.default_rng(0).standard_normal(shape)
    if not isinstance(attempt(lambda: array[key]), type):
        pb.check_grads(lambda x: pb.sin(x)[key] * x[key], [pb.asarray(array)], order=2)


@pytest.mark.on_numpy
@many
@given(keys(), st.sampled_from(["number", "array", "Tensor"]))
def test_writing_does_what_numpys_does(case: Any, kind: str) -> None:
    shape, key = case
    expected = np.arange(float(prod(shape))).reshape(shape)
    x = pb.asarray(expected, copy=True)
    read = attempt(lambda: expected[key])
    values = 7.0 if kind == "number" or isinstance(read, type) else np.arange(float(np.size(read))).reshape(read.shape)
    theirs = attempt(lambda: expected.__setitem__(key, values))
    ours = pb.asarray(values) if kind == "Tensor" and isinstance(values, np.ndarray) else values
    assert attempt(lambda: x.__setitem__(on(open_backend("numpy"), key), ours)) is theirs
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("name", ["numpy", "array_api_strict"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_narrow_indices_reach_every_element(name: str, dtype: str) -> None:
    backend = open_backend(name)
    data = np.arange(40_000.0).reshape(200, 200)
    places = np.asarray([199, 3, 199] if dtype.startswith("u") else [-1, 3, -1], dtype=dtype)
    x, at = pb.Tensor(backend.from_host(data)).requires_grad_(), pb.Tensor(backend.from_host(places))
    rows = pb.stack([at] * 200)
    expected = np.zeros((200, 200))
    np.add.at(expected, (places, places), 1.0)
    np.add.at(expected, (slice(None), places), 2.0)
    (x[at, at].sum() + pb.take(x, at, axis=1).sum() + pb.take_along_axis(x, rows, axis=1).sum()).backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def filled(*shape: int) -> pb.Tensor:
    return pb.sin(pb.reshape(pb.arange(float(prod(shape))), shape)).detach().requires_grad_()


AMONG_MANY: dict[str, Callable[[pb.Tensor, pb.Tensor], pb.Tensor]] = {
    "one_hot": lambda table, at: pb.matmul(pb.astype(one_hot(at, classes=300), "float32"), table),
    "embedding": lambda table, at: pb.embedding(at, table, padding_idx=200, scale_grad_by_freq=True),
    "embedding_bag": lambda table, at: pb.embedding_bag(pb.reshape(at, (2, 2)), table, padding_idx=200),
    "max_unpool": lambda table, at: pb.max_unpool(table[None, :4, :1], pb.reshape(at, (1, 4, 1)), 75),
    "adaptive": lambda table, at: adaptive_log_softmax_with_loss(
        table[:4, :], at, (table[:201, :], None), [(table[:2, :], table[:100, :2])], cutoffs=(200, 300)
    )[0],
}


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint64"])
@pytest.mark.parametrize("name", AMONG_MANY)
def test_narrow_indices_stand_among_many(name: str, dtype: str, place: Backend) -> None:
    results = []
    for kind in ("int64", dtype):
        table = filled(300, 3)
        y = AMONG_MANY[name](table, pb.asarray([0, 127, 44, 127], dtype=kind))
        (y * y).sum().backward()
        assert table.grad is not None
        results.append((y.numpy(), table.grad.numpy()))
    for wide, narrow in zip(*results, strict=True):
        np.testing.assert_array_equal(narrow, wide)


@pytest.mark.parametrize("key", [1.0, "a", (0, 1.5), np.asarray([0.5]), [0.5], range], ids=repr)
def test_what_is_no_index_is_refused(key: Any) -> None:
    with pytest.raises(IndexError, match="an index"):
        pb.zeros((2, 2))[key]


def test_writing_to_what_is_recorded_is_refused() -> None:
    variable, constant = pb.zeros(3).requires_grad_(), pb.zeros(3)
    for x, value in ((variable, 1.0), (variable * 2, 1.0), (constant, variable[0])):
        with pytest.raises(TypeError, match=r"is being recorded cannot be written to; build a new one with pb\.where"):
            x[0] = value


@pytest.mark.parametrize("axis", [-3, 2])
def test_an_axis_that_is_not_there_is_refused(axis: int) -> None:
    x, places = pb.zeros((2, 2)), pb.zeros((2, 2), dtype=pb.int64)
    for call in (lambda: pb.take_along_axis(x, places, axis=axis), lambda: pb.diff(x, axis=axis)):
        with pytest.raises(IndexError, match=f"an array of 2 axes has no axis {axis}"):
            call()
