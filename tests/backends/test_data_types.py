"""One name for every library's data types."""

import array_api_strict
import numpy as np
import pytest

import pullback as pb
from pullback.backends import DTYPES, dtype_name

NUMPY = [name for name in DTYPES if name != "bfloat16"]


@pytest.mark.parametrize("name", NUMPY)
def test_numpys_data_types_have_the_standards_names(name):
    kind = getattr(np, name)
    assert dtype_name(kind) == dtype_name(np.dtype(kind)) == dtype_name(np.dtype(kind).newbyteorder()) == name


@pytest.mark.parametrize("name", [name for name in NUMPY if name != "float16"])
def test_the_strict_namespaces_data_types_have_the_standards_names(name):
    assert dtype_name(getattr(array_api_strict, name)) == name


@pytest.mark.parity
@pytest.mark.parametrize("name", DTYPES)
def test_pytorchs_data_types_have_the_standards_names(name):
    torch = pytest.importorskip("torch")
    assert dtype_name(getattr(torch, name)) == name


@pytest.mark.parametrize(("kind", "name"), [(bool, "bool"), (int, "int64"), (float, "float32"), (complex, "complex64")])
def test_python_types_ask_for_the_defaults(kind, name):
    assert dtype_name(kind) == name


def test_a_data_type_equals_every_librarys_of_its_name():
    assert pb.float32 == np.dtype("float32") == pb.float32
    assert pb.float32 == array_api_strict.float32
    assert pb.float32 == "float32"
    assert pb.float32 != np.float64
    assert len({pb.float32, DTYPES["float32"], "float32"}) == 1
    assert repr(pb.float32) == "pullback.float32"


def test_a_data_type_is_compared_with_anything() -> None:
    assert pb.float32 != {"a": 1}
    assert pb.float32 != [1]
    assert pb.float32 == np.float32
    assert pb.float32 in [{}, [], np.dtype("float32")]


@pytest.mark.parametrize("name", ["bfloat16", "foo", "sum"])
@pytest.mark.parametrize("make", [lambda name: pb.ones(2).astype(name), lambda name: pb.ones(2, dtype=name)])
def test_the_data_types_to_choose_from_are_those_of_the_backend(make, name, place):
    if name in DTYPES and hasattr(place.namespace, name):
        pytest.skip(f"{place.name} has {name}")
    with pytest.raises(TypeError, match=rf"backend has no data type '{name}'; name one of bool, .*, complex128$") as e:
        make(name)
    offered = str(e.value).rpartition("name one of ")[2].split(", ")
    assert offered == [name for name in DTYPES if hasattr(place.namespace, name)]
    assert name not in offered
