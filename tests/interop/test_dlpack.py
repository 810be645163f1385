"""DLPack both ways: memory is shared where it can be, copied where that is asked for, and refused where it must be."""

import copy
import pickle
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import pullback as pb

DTYPES = ["bool", "int8", "uint16", "int64", "float16", "float32", "float64", "complex64", "complex128"]
pytestmark = pytest.mark.on_numpy


def address(array: Any) -> int:
    """Where an array of NumPy or PyTorch, or a Tensor of a NumPy array, begins in memory."""
    if isinstance(array, pb.Tensor):
        array = array.array
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data_ptr()


@st.composite
def laid_out(draw: Any) -> np.ndarray:
    """An array with at least one element: in C or Fortran order, strided, reversed or without axes."""
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=3, max_side=4))
    array = draw(arrays.arrays(draw(st.sampled_from(DTYPES)), shape))
    return draw(st.sampled_from([lambda x: x, lambda x: x.T, lambda x: x[..., ::2], lambda x: x[::-1]]))(
        array if array.ndim else array[None]
    )


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(laid_out())
def test_memory_is_shared_with_numpy_both_ways(array: np.ndarray) -> None:
    x = pb.from_dlpack(array)
    back = np.from_dlpack(x)
    for shared in (x.array, back):
        assert np.shares_memory(shared, array)
        assert (shared.dtype, shared.shape, shared.strides) == (array.dtype, array.shape, array.strides)
    back[...] = 1
    assert (array == 1).all()
    assert pb.all(x == 1)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(laid_out())
def test_copies_are_made_only_where_they_are_asked_for(array: np.ndarray) -> None:
    for make in (pb.from_dlpack, pb.asarray):
        assert address(make(array, copy=None)) == address(make(array, copy=False)) == address(array)
        copied = make(array, copy=True)
        assert not np.shares_memory(copied.array, array)
        np.testing.assert_array_equal(copied.array, array)
    x = pb.asarray(array)
    assert not np.shares_memory(np.from_dlpack(x, copy=True), array)
    assert np.shares_memory(np.asarray(x), array)
    assert np.shares_memory(np.asarray(x, copy=False), array)
    assert not np.shares_memory(np.array(x), array)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float32", "float64", "complex64"])
def test_memory_is_shared_with_pytorch_both_ways(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    x = pb.zeros((2, 3), dtype=dtype)
    theirs = torch.from_dlpack(x)
    assert address(theirs) == address(x)
    theirs[0, 1] = 1
    assert x.numpy()[0, 1] == 1
    ours = pb.from_dlpack(theirs.T)
    assert (address(ours), ours.shape, ours.dtype) == (address(x), (3, 2), getattr(pb, dtype))
    ours[2, 1] = 1
    assert theirs[1, 2] == 1
    assert address(pb.from_dlpack(theirs, copy=True)) != address(x)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "float16", "float32", "complex64"])
def test_memory_is_shared_with_jax_both_ways(dtype: str) -> None:
    jax = pytest.importorskip("jax")
    block = np.zeros(64 + 16, np.uint8)  # JAX shares what begins at a multiple of 64 bytes, and copies the rest
    start = -block.ctypes.data % 64
    x = pb.from_dlpack(block[start:][: 2 * np.dtype(dtype).itemsize].view(dtype))
    theirs = jax.dlpack.from_dlpack(x)
    assert theirs.unsafe_buffer_pointer() == address(x)
    ours = pb.from_dlpack(theirs)
    assert (address(ours), ours.shape, ours.dtype) == (address(x), (2,), getattr(pb, dtype))
    assert address(pb.from_dlpack(theirs, copy=True)) != address(x)


@pytest.mark.parity
def test_what_another_library_records_is_refused_by_it() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(BufferError):
        pb.from_dlpack(torch.ones(2, requires_grad=True))


def test_what_is_being_recorded_is_not_shared() -> None:
    variable = pb.ones(2, dtype=pb.float64).requires_grad_()
    for x in (variable, variable * 2):
        for take in (np.from_dlpack, pb.from_dlpack):
            with pytest.raises(BufferError, match=r"is not shared by DLPack; share x\.detach\(\)"):
                take(x)
        assert address(np.from_dlpack(x.detach())) == address(x)


def test_what_cannot_be_shared_is_refused_with_the_reason() -> None:
    with pytest.raises(TypeError, match=r"got list; make one with pb\.asarray"):
        pb.from_dlpack([1.0, 2.0])
    with pytest.raises(ValueError, match="has one device, 'cpu'"):
        pb.from_dlpack(np.ones(2), device="cuda:0")


def test_a_copy_of_a_recorded_tensor_passes_gradients_on() -> None:
    x = pb.asarray(np.asarray([1.0, 2.0])).requires_grad_()
    copied, narrowed = pb.asarray(x, copy=True), pb.asarray(x, dtype=pb.float32)
    assert not np.shares_memory(copied.array, x.array)
    assert pb.asarray(x, copy=False, dtype=pb.float64) is pb.asarray(x) is x
    with pytest.raises(ValueError, match="copy"):
        pb.asarray(x, copy=False, dtype=pb.float32)
    (copied * copied + narrowed).sum().backward()
    assert x.grad.tolist() == [3.0, 5.0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_and_pickles_keep_what_a_tensor_is(dtype: str) -> None:
    floating = pb.isdtype(getattr(pb, dtype), ("real floating", "complex floating"))
    for x in (pb.ones((2, 1), dtype=dtype), pb.ones((), dtype=dtype), pb.ones((0, 3), dtype=dtype)):
        for variable in (False, True) if floating else (False,):
            x.requires_grad = variable
            for again in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
                assert again is not x
                assert (again.dtype, again.shape, again.requires_grad) == (x.dtype, x.shape, variable)
                np.testing.assert_array_equal(again.numpy(), x.numpy())
        assert np.shares_memory(copy.copy(x).array, x.array) == bool(x.size)
        assert not np.shares_memory(copy.deepcopy(x).array, x.array)


def test_what_was_computed_from_variables_is_not_copied() -> None:
    y = pb.ones(2).requires_grad_() * 2
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"is not copied; copy x\.detach\(\)"):
            make(y)


def test_a_pickle_keeps_the_backend() -> None:
    strict = import_module("array_api_strict")
    x = pickle.loads(pickle.dumps(pb.Tensor(strict.ones(2))))
    assert type(x.array) is type(strict.ones(2))


@pytest.mark.parametrize("given", [None, "abc", {}, slice(3), 2**70], ids=repr)
def test_what_is_no_number_becomes_no_tensor(given: Any) -> None:
    for make in (pb.asarray, pb.tensor):
        with pytest.raises(TypeError, match="expected numbers, nested sequences of them, or an array; got"):
            make(given)


@pytest.mark.parametrize("scalar", [np.float64(0.1), np.float16(0.1), np.int8(3), np.bool_(True), np.complex128(1j)])
def test_a_numpy_scalar_keeps_its_data_type(scalar: Any) -> None:
    for make in (pb.asarray, pb.tensor):
        x = make(scalar)
        assert (x.shape, x.dtype) == ((), scalar.dtype)
        assert x.item() == scalar.item()
