"""Computing follows the data: which backend runs a call, and what is refused."""

import enum
import re

import array_api_strict
import numpy as np
import pytest

import pullback as pb


def strict(device):
    return lambda values: array_api_strict.asarray(values, device=array_api_strict.Device(device))


def torch_tensor(values):
    return pytest.importorskip("torch").asarray(values)


PAIRS = {
    "numpy and strict": (np.asarray, strict("CPU_DEVICE"), "a numpy array (cpu)", "an array_api_strict array"),
    "strict and numpy": (
        strict("device1"),
        np.asarray,
        "an array_api_strict array (device1)",
        "a numpy array (cpu)",
    ),
    "two devices": (strict("device1"), strict("device2"), "(device1)", "(device2)"),
    "numpy and torch": (np.asarray, torch_tensor, "a numpy array (cpu)", "a torch array (cpu)"),
    "torch and numpy": (torch_tensor, np.asarray, "a torch array (cpu)", "a numpy array (cpu)"),
}
parity = pytest.mark.parity


@pytest.mark.parametrize("wrap", [lambda x: x, pb.Tensor], ids=["arrays", "tensors"])
@pytest.mark.parametrize("pair", [pytest.param(name, marks=parity if "torch" in name else ()) for name in PAIRS])
def test_a_mismatch_names_both_and_a_move_that_works(pair, wrap):
    make_first, make_second, first_name, second_name = PAIRS[pair]
    first, x = wrap(make_first([1.0, 2.0])), wrap(make_second([3.0, 4.0]))
    with pytest.raises(pb.BackendMismatch) as caught:
        pb.add(first, x)
    message = str(caught.value)
    assert message.startswith("add got ")
    assert first_name in message
    assert second_name in message
    move = re.search(r"pb\.to_device\(x, .*\)$", message)
    total = pb.add(first, eval(move.group(), {"pb": pb, "x": x}))
    assert pb.asarray(total).numpy().tolist() == [4.0, 6.0]


def test_a_mismatch_is_found_behind_numbers_and_missing_inputs():
    x = np.ones((2, 3), dtype="float32")
    with pytest.raises(pb.BackendMismatch, match="linear got a numpy array"):
        pb.linear(x, x, strict("CPU_DEVICE")(np.ones(2, dtype="float32")))


class Choice(enum.IntEnum):
    TWO = 2


SCALARS = [2, 2.0, np.float64(2), np.float32(2), np.float16(2), np.int64(2), np.uint8(2), Choice.TWO]


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: type(scalar).__name__)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(np.asarray, id="numpy"),
        pytest.param(strict("device1"), id="strict"),
        pytest.param(torch_tensor, id="torch", marks=parity),
    ],
)
def test_scalars_are_plain_numbers_and_keep_float32(make, scalar):
    x = make(np.asarray([1.0, 2.0], dtype="float32"))
    by_array = pb.multiply(x, scalar)
    by_tensor = pb.Tensor(x) * scalar
    reflected = scalar * pb.Tensor(x)
    for y in (pb.Tensor(by_array), by_tensor, reflected):
        assert y.dtype == pb.float32
        assert y.numpy().tolist() == [float(scalar), 2 * float(scalar)]


NO_ARRAYS = [[1.0], "2", b"2", {}, object(), np.str_("2"), np.datetime64("2020-01-01"), np.longdouble(2)]


@pytest.mark.parametrize("given", NO_ARRAYS, ids=lambda given: type(given).__name__)
def test_what_is_no_array_is_named(given):
    complaint = f"add expected arrays or numbers, got {type(given).__name__}; make an array"
    with pytest.raises(TypeError, match=complaint):
        pb.add(np.ones(2), given)


def test_numbers_alone_are_refused_with_the_mend():
    with pytest.raises(TypeError, match=r"add expected an array, got only numbers; make one with pb\.asarray"):
        pb.add(1.0, 2)


def test_numpy_scalars_alone_count_as_arrays_of_no_axes():
    total = pb.add(np.float32(1.0), 2)
    assert isinstance(total, np.ndarray)
    assert (total.shape, total.dtype, float(total)) == ((), np.float32, 3.0)


@pytest.mark.parametrize("given", [[1.0], 2.0, None, np.float64(1)], ids=lambda x: type(x).__name__)
def test_backend_of_wants_an_array(given):
    from pullback.backends import backend_of

    with pytest.raises(TypeError, match=f"expected an array, got {type(given).__name__}"):
        backend_of(given)


def test_a_subclass_of_an_array_belongs_to_its_library():
    from pullback.backends import backend_of

    assert backend_of(np.ones(2).view(np.recarray)).name == "numpy"
