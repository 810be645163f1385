"""The package as a namespace of the array API standard: its names and signatures, held against array-api-strict's."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import array_api_strict
import numpy as np
import pytest

import pullback as pb
from pullback.backends import Backend

ROOT = Path(__file__).resolve().parent.parent
OWN = {"Device", "get_array_api_strict_flags", "set_array_api_strict_flags", "reset_array_api_strict_flags"}
OWN |= {"ArrayAPIStrictFlags", "__version__"}
NAMES = [
    *(name for name in array_api_strict.__all__ if name not in OWN),
    *(f"linalg.{name}" for name in array_api_strict.linalg.__all__),
    *(f"fft.{name}" for name in array_api_strict.fft.__all__),
]


def find(namespace: Any, name: str) -> Any:
    for part in name.split("."):
        namespace = getattr(namespace, part)
    return namespace


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_standard_is_there_with_its_parameters(name: str) -> None:
    theirs, ours = find(array_api_strict, name), find(pb, name)
    assert callable(theirs) == callable(ours) or name.partition(".")[0] not in dir(pb)
    if not inspect.isfunction(theirs):
        return
    wanted = [p for p in inspect.signature(theirs).parameters.values() if p.kind is not p.VAR_KEYWORD]
    given = inspect.signature(ours).parameters
    for place, parameter in enumerate(wanted):
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            assert list(given.values())[place].kind is not parameter.KEYWORD_ONLY, parameter
            continue
        mine = given[parameter.name]
        assert mine.kind in (parameter.kind, mine.POSITIONAL_OR_KEYWORD), parameter
        if parameter.default is not parameter.empty and "Undef" not in repr(parameter.default):
            assert mine.default == parameter.default, parameter


def test_the_namespace_lists_what_it_has() -> None:
    assert {name.partition(".")[0] for name in NAMES} <= set(dir(pb))
    assert not hasattr(pb, "no_such_function")
    assert pb.ones(1).__array_namespace__(api_version="2024.12") is pb
    with pytest.raises(ValueError, match=r"2025\.12"):
        pb.ones(1).__array_namespace__(api_version="1999.01")


METHODS = {name for name in dir(type(array_api_strict.ones(1))) if name.startswith("__")} - set(dir(object))


def test_every_operator_of_the_standard_is_there() -> None:
    particular = {
        "__array__",
        "__array_ufunc__",
        "__buffer__",
        "__weakref__",
        "__module__",
        "__annotations__",
        "__dict__",
    }
    particular |= {"__array_priority__", "__static_attributes__", "__firstlineno__", "__copy__", "__deepcopy__"}
    assert METHODS - particular - set(dir(pb.Tensor)) == set()
    assert {"mT", "T", "device", "dtype", "ndim", "shape", "size", "to_device"} <= set(dir(pb.Tensor))


def test_inspection_is_of_the_current_backend(place: Backend) -> None:
    info = pb.__array_namespace_info__()
    assert info.default_device() == place.device
    assert info.default_dtypes() == {
        "real floating": pb.float32,
        "complex floating": pb.complex64,
        "integral": pb.int64,
        "indexing": pb.int64,
    }
    assert place.device in info.devices()
    assert set(info.dtypes(kind="complex floating")) == {"complex64", "complex128"}
    small = set(info.dtypes(kind=("bool", "unsigned integer")))
    assert {"bool", "uint8"} <= small <= {"bool", "uint8", "uint16", "uint32", "uint64"}
    assert {"boolean indexing", "data-dependent shapes", "max dimensions"} == set(info.capabilities())


INPLACE = {"+": 5.0, "-": -1.0, "*": 6.0, "/": 2 / 3, "//": 0.0, "%": 2.0, "**": 8.0}


@pytest.mark.parametrize(("symbol", "expected"), INPLACE.items())
def test_operators_come_plain_reflected_and_in_place(symbol: str, expected: float) -> None:
    x, y = pb.tensor([2.0]), pb.tensor([3.0])
    assert eval(f"x {symbol} y", {"x": x, "y": y}).item() == pytest.approx(expected)
    assert eval(f"2.0 {symbol} y", {"y": y}).item() == pytest.approx(expected)
    scope = {"x": x, "y": y}
    exec(f"x {symbol}= y", scope)
    assert scope["x"].item() == pytest.approx(expected)
    variable = pb.tensor([2.0], requires_grad=True)
    with pb.no_grad():
        exec(f"v {symbol}= y", {"v": variable, "y": y})
    assert variable.item() == pytest.approx(expected)
    with pytest.raises(RuntimeError, match="no_grad"):
        exec(f"v {symbol}= y", {"v": variable, "y": y})


def test_in_place_operators_keep_shape_and_data_type() -> None:
    x = pb.tensor([1, 2])
    with pytest.raises(TypeError, match="int64 Tensor cannot take float"):
        x += 1.5
    with pytest.raises(ValueError, match="shape"):
        x += pb.asarray([[1, 2], [3, 4]])
    half = pb.tensor([1.0, 2.0], dtype="float16")
    half += pb.tensor([1.0, 1.0], dtype="float16")
    assert half.dtype == pb.float16


def test_writing_by_index_writes_and_says_when_it_cannot(place: Backend) -> None:
    x = pb.zeros((3, 4))
    x[1, :] = pb.ones(4)
    x[pb.asarray([[True] + [False] * 3] * 3)] = 7.0
    x[2, 3] = 2
    assert x.tolist() == [[7, 0, 0, 0], [7, 1, 1, 1], [7, 0, 0, 2]]
    recorded = pb.tensor([1.0, 2.0], requires_grad=True) * 2
    with pytest.raises(TypeError, match=r"being recorded .* pb\.where"):
        recorded[0] = 1.0
    with pytest.raises(TypeError, match=r"being recorded"):
        x[0, 0] = recorded[0]


def test_the_conformance_page_tells_of_no_failure_of_pullbacks_own() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    assert "200 examples a test" in page
    assert "in pullback alone" not in page
    rows = re.findall(r"\| `([\w.]+)` \| ([\w ]+) \| (\d+) \| (\d+) \| (\d+) \|", page)
    assert [row[:2] for row in rows[::2]] == [("pullback", "numpy"), ("pullback", "array_api_strict")]
    for ours, underneath in zip(rows[::2], rows[1::2], strict=True):
        assert int(ours[2]) >= int(underneath[2]) > 1300
        assert sum(map(int, ours[2:])) == sum(map(int, underneath[2:]))


def test_the_page_of_derivatives_is_what_the_registry_says() -> None:
    done = subprocess.run([sys.executable, ROOT / "ci" / "derivatives", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_conformance_says_how_to_get_the_suite() -> None:
    done = subprocess.run([sys.executable, ROOT / "ci" / "conformance"], capture_output=True, text=True, env={})
    assert done.returncode == 2
    assert "git clone --recurse-submodules" in done.stderr


@pytest.mark.parametrize("function", [np.asarray, np.from_dlpack])
def test_values_leave_by_numpys_protocol_and_by_dlpack(function: Any) -> None:
    x = pb.tensor([1.0, 2.0])
    np.testing.assert_array_equal(function(x), [1.0, 2.0])


def test_truth_values_stay_truth_values_in_place() -> None:
    flags = pb.tensor([True, False])
    with pytest.raises(TypeError, match="bool Tensor cannot take int64"):
        flags += 1
    flags ^= True
    assert flags.tolist() == [False, True]


def test_what_is_counted_in_integers_is_a_constant() -> None:
    x = pb.tensor([1.5, 2.5], requires_grad=True)
    for function in (pb.sum, pb.prod, pb.cumulative_sum, pb.cumulative_prod):
        assert not function(x, dtype=pb.int64).requires_grad
        assert function(x, dtype=pb.float64).requires_grad


def test_a_variable_is_written_to_where_nothing_is_recorded() -> None:
    x = pb.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="being recorded"):
        x[0] = 3.0
    with pb.no_grad():
        x[0] = 3.0
    assert x.tolist() == [3.0, 2.0]
    assert x.requires_grad


def test_what_no_one_knows_is_left_to_python() -> None:
    x = pb.tensor([1.0])
    assert (x == "a") is False
    with pytest.raises(TypeError, match="unsupported operand"):
        x + "a"
    with pytest.raises(ValueError, match=r"shape \(2,\) is no single bool"):
        bool(pb.tensor([1.0, 2.0]) > 0)


def test_limits_of_data_types() -> None:
    for name in ("float16", "float32", "float64"):
        limits = np.finfo(name)
        assert pb.finfo(getattr(pb, name))[:5] == (
            limits.bits,
            *map(float, (limits.eps, limits.max, limits.min, limits.smallest_normal)),
        )
    ml_dtypes = pytest.importorskip("ml_dtypes")
    limits = ml_dtypes.finfo(ml_dtypes.bfloat16)
    assert pb.finfo(pb.bfloat16)[:5] == (
        16,
        *map(float, (limits.eps, limits.max, limits.min, limits.smallest_normal)),
    )
    with pytest.raises(TypeError, match="integral"):
        pb.iinfo(pb.float32)
    with pytest.raises(TypeError, match="no data type 'foo'"):
        pb.ones(1).astype("foo")


def test_a_complex_tensor_has_its_parts() -> None:
    z = pb.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    (z.real * z.imag).sum().backward()
    assert z.grad.tolist() == [2 + 1j, -1 + 3j]
