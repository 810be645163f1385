import gzip
import hashlib
from importlib.resources import files

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import pullback as pb
from pullback.backends import open_backend
from pullback.data import ArrayDataset, load_digits


def test_arrays_are_kept_as_they_are_and_lists_take_the_default_dtypes():
    exact = np.ones((3, 2))
    tensor = pb.ones((3,))
    kept = ArrayDataset(exact, tensor, [[1.0], [2.0], [3.0]], [1, 2, 3], [True, False, True]).arrays
    assert kept[0] is exact
    assert kept[1] is tensor
    assert [a.dtype for a in kept[2:]] == [np.float32, np.int64, np.bool_]


def test_samples_are_read_by_number_slice_and_list():
    strict = open_backend("array_api_strict", "device1")
    x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    for kind in (np.asarray, strict.asarray, pb.tensor):
        dataset = ArrayDataset(kind(x), kind(y))
        for rows in (
            2,
            -1,
            slice(1, 4),
            [3, 0, 3],
            [-1, 0],
            np.asarray([], int),
            np.asarray([True, False, True, False, True]),
        ):
            for found, expected in zip(dataset[rows], (x[rows], y[rows]), strict=True):
                host = found.numpy() if isinstance(found, pb.Tensor) else pb.asarray(found).numpy()
                assert type(found) is type(dataset.arrays[0])
                assert_array_equal(host, expected)
    assert len(list(dataset)) == 5
    assert len(dataset[[]][0]) == 0
    assert_array_equal(dataset[pb.tensor([1, 2])][1].numpy(), [1, 2])


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (5, IndexError, "no sample 5 among 5"),
        ([0, 5], IndexError, "no sample 5 among 5"),
        ([-6], IndexError, "no sample -6 among 5"),
        ([True, False], IndexError, "a mask has one boolean for each of 5 samples; got 2"),
        ([0.0, 1.0], TypeError, r"chosen by integers, a slice or a mask of booleans; got \[0.0, 1.0\]"),
        (0.5, TypeError, "chosen by integers"),
        ("a", TypeError, "chosen by integers"),
        (None, TypeError, "chosen by integers"),
        ([[0], [1]], TypeError, "chosen by integers"),
    ],
)
def test_samples_there_are_not_are_refused(rows, error, message):
    with pytest.raises(error, match=message):
        ArrayDataset(np.arange(5.0))[rows]


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ((), ValueError, "at least one array"),
        ((np.ones((3, 2)), np.ones(4)), ValueError, r"\(3, 2\), \(4,\)"),
        ((np.ones(3), 5.0), ValueError, "array 1 of the data set is a single number"),
        ((["a", "b"],), TypeError, "array 0 of the data set holds <U1"),
        (([[1], [2, 3]],), TypeError, "array 0 of the data set is no array"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, error, message):
    with pytest.raises(error, match=message):
        ArrayDataset(*arrays)


def test_the_digits_are_what_their_file_says():
    images, labels = load_digits().arrays
    assert (images.shape, images.dtype, labels.dtype) == ((1797, 64), np.float32, np.int64)
    packed = files("pullback.data").joinpath("files", "digits.csv.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    pixels = np.asarray([[int(word) for word in line.split(",")] for line in lines])
    assert_array_equal(images * 16, pixels[:, :-1])
    assert_array_equal(labels, pixels[:, -1])
    assert (images.min(), images.max()) == (0, 1)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    sources = files("pullback.data").joinpath("files", "SOURCES.md").read_text()
    assert hashlib.sha256(packed).hexdigest() in sources
    assert "CC BY 4.0" in sources
