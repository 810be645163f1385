"""Tensors written to files: the same values read back, whatever their strides, and never half a file."""

import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pullback as pb
from pullback import nn
from pullback.interop import load_safetensors, safetensors_metadata, save_safetensors

dtypes = st.sampled_from(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
)


@pytest.mark.on_numpy
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(dtypes.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, min_side=0, max_side=5))), st.data())
def test_what_was_written_is_read_back_whatever_its_strides(tmp_path, array, data):
    order = data.draw(st.permutations(range(array.ndim)))
    step = tuple(slice(None, None, data.draw(st.sampled_from([1, 2, -1]))) for _ in order)
    view = np.asarray(array.transpose(order)[step])
    save_safetensors(tmp_path / "x.safetensors", {"x": pb.Tensor(view) if data.draw(st.booleans()) else view})
    read = load_safetensors(tmp_path / "x.safetensors")["x"]
    assert read.shape == view.shape
    assert read.dtype == view.dtype
    np.testing.assert_array_equal(read.numpy(), view)


def test_files_are_what_the_format_says(tmp_path):
    """Read by hand: eight bytes of length, a JSON header, then the numbers, row by row."""
    path = tmp_path / "x.safetensors"
    values = np.arange(6, dtype=">f4").reshape(2, 3).T
    save_safetensors(path, {"x": values}, {"made by": "hand"})
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert header["x"]["dtype"] == "F32"
    assert header["x"]["shape"] == [3, 2]
    assert header["__metadata__"] == {"made by": "hand"} == safetensors_metadata(path)
    begin, end = (8 + length + offset for offset in header["x"]["data_offsets"])
    assert np.frombuffer(data[begin:end], "<f4").tolist() == [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]


def test_a_network_is_restored(tmp_path):
    pb.manual_seed(0)
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    save_safetensors(tmp_path / "x.safetensors", first.state_dict())
    second.load_state_dict(load_safetensors(tmp_path / "x.safetensors"))
    np.testing.assert_array_equal(first.weight.numpy(), second.weight.numpy())
    np.testing.assert_array_equal(first.bias.numpy(), second.bias.numpy())


def test_tensors_are_loaded_to_the_current_backend(tmp_path):
    with pb.use("array_api_strict", "device1"):
        save_safetensors(tmp_path / "x.safetensors", {"x": pb.ones((2, 2))})
        x = load_safetensors(tmp_path / "x.safetensors")["x"]
        assert str(x.device) == "array_api_strict.Device('device1')"
    np.testing.assert_array_equal(load_safetensors(tmp_path / "x.safetensors")["x"].numpy(), np.ones((2, 2)))


def test_bfloat16_is_refused_when_written_and_when_read(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    path = tmp_path / "x.safetensors"
    with pytest.raises(TypeError, match=r"'w' is bfloat16; .* store it as float32"):
        save_safetensors(path, {"w": np.ones(2, ml_dtypes.bfloat16)})
    assert not list(tmp_path.iterdir())
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(TypeError, match="'w' is bfloat16"):
        load_safetensors(path)


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"x": np.asarray(["a"])}, None, "'x' is str"),
        ({"x": np.ones(2, complex)}, None, "'x' is complex128"),
        ({"x": np.ones(2)}, {"epochs": 3}, "'epochs' is not"),
    ],
)
def test_what_cannot_be_held_is_refused_and_the_old_file_kept(tmp_path, tensors, metadata, message):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"what was there")
    with pytest.raises(TypeError, match=message):
        save_safetensors(path, tensors, metadata)
    assert path.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"x": np.ones(100)})
    whole = path.read_bytes()
    for damaged in (b"", b"junk", whole[:-1], whole[:20]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged, or no safetensors file"):
            load_safetensors(path)
    with pytest.raises(FileNotFoundError):
        load_safetensors(tmp_path / "none.safetensors")
