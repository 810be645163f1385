"""IDX files: read as they were written, and refused in one line where they are not whole."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pullback import data

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def packed(array):
    header = struct.pack(f">HBB{array.ndim}I", 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@given(
    st.sampled_from(sorted(CODES)).flatmap(lambda kind: arrays(kind, array_shapes(max_dims=4, max_side=4))),
    st.booleans(),
)
def test_arrays_come_back_as_they_were(tmp_path_factory, array, zipped):
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(packed(array)) if zipped else packed(array))
    found = data.read_idx(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no IDX file"),
        (b"\0\0\x07\x01\0\0\0\1x", "no IDX file"),
        (b"hello, world", "no IDX file"),
        (packed(np.zeros((2, 3), "uint8"))[:-1], r"damaged: its header says \(2, 3\), and 5 bytes follow"),
        (packed(np.zeros((2, 3), "uint8")) + b"x", "7 bytes follow"),
        (packed(np.zeros((2, 3), "uint8"))[:8], "damaged: its header says 2 axes, and 4 bytes follow"),
        (packed(np.zeros((2, 3), "uint8"))[:9], "damaged: its header says 2 axes, and 5 bytes follow"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"x", "damaged: its header says 255 axes"),
        (gzip.compress(packed(np.zeros(9, "uint8")), mtime=0)[:-9], "damaged"),
        (gzip.compress(packed(np.zeros(9, "uint8")), mtime=0)[:12] + b"\xff" * 30, "damaged"),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path, content, complaint):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=complaint):
        data.read_idx(path)


@pytest.mark.parametrize("ending", ["-idx{}-ubyte", "-idx{}-ubyte.gz", ".idx{}-ubyte", ".idx{}-ubyte.gz"])
def test_a_folder_gives_scaled_images_and_labels(tmp_path, ending):
    images = np.arange(3 * 4 * 5, dtype="uint8").reshape(3, 4, 5)
    for name, axes, array in (("t10k-images", 3, images), ("t10k-labels", 1, np.asarray([2, 0, 1], "uint8"))):
        content = packed(array)
        (tmp_path / (name + ending.format(axes))).write_bytes(gzip.compress(content) if "gz" in ending else content)
    found, labels = data.load_idx(tmp_path, train=False).arrays
    assert (found.dtype, labels.dtype) == ("float32", "int64")
    np.testing.assert_allclose(found, images[..., None] / 255, rtol=1e-6)
    assert labels.tolist() == [2, 0, 1]
    with pytest.raises(ValueError, match="has no train-images-idx3-ubyte"):
        data.load_idx(tmp_path)
    with pytest.raises(ValueError, match="there is no folder"):
        data.load_idx(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("images", "labels", "complaint"),
    [
        (
            np.zeros((2, 4, 4), "uint8"),
            np.zeros(3, "uint8"),
            r"\(2, 4, 4\) and -labels of shape \(3,\); expected",
        ),
        (np.zeros(2, "uint8"), np.zeros((2, 4, 4), "uint8"), r"train-images of shape \(2,\)"),
        (np.zeros((2, 16), "uint8"), np.zeros(2, "uint8"), r"train-images of shape \(2, 16\)"),
        (np.zeros((2, 4, 4), "uint8"), np.zeros((2, 1), "uint8"), r"-labels of shape \(2, 1\)"),
        (np.zeros((2, 4, 4), "uint8"), np.full(2, 0.5, "float32"), "train-labels of float32; labels are integers"),
    ],
)
def test_images_and_labels_belong_together(tmp_path, images, labels, complaint):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(packed(images))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(packed(labels))
    with pytest.raises(ValueError, match=complaint):
        data.load_idx(tmp_path)
