"""IDX files, MNIST's format: arrays of bytes or numbers behind a short header, often packed by gzip."""

import gzip
import os
import zlib
from math import prod
from pathlib import Path
from typing import Any

from ..backends import Array
from ..backends.host import host
from .dataset import ArrayDataset

__all__ = ["load_idx", "read_idx"]

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_FILES = {True: "train", False: "t10k"}
_MOST_AXES = 64
"""As many as an array may have."""


def read_idx(path: str | os.PathLike[str]) -> Array:
    """The array of an IDX file: a host array of its shape, in the machine's own byte order.

    path: the file; it may be packed by gzip, whatever its name.
    Raises FileNotFoundError, and ValueError for a file that is no IDX file or is cut short.

    The format is LeCun's: two zero bytes, the type, the number of axes, their lengths (32 bits, big-endian), values.
    """
    packed = Path(path).read_bytes()
    try:
        data = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error})") from None
    dtype = _DTYPES.get(data[2]) if len(data) > 4 and data[:2] == b"\0\0" else None
    if dtype is None:
        raise ValueError(f"{path} is no IDX file: it does not begin with 0, 0 and a known type")
    start = 4 + 4 * data[3]
    if len(data) < start or data[3] > _MOST_AXES:
        found = len(data[4:start])
        raise ValueError(
            f"{path} is damaged: its header says {data[3]} axes, and {found} bytes follow for their lengths"
        )
    shape = tuple(map(int, host.frombuffer(data[4:start], dtype=">u4")))
    count = prod(shape)
    if len(data) - start != count * host.dtype(dtype).itemsize:
        raise ValueError(f"{path} is damaged: its header says {shape}, and {len(data) - start} bytes follow")
    values = host.frombuffer(data, dtype=dtype, count=count, offset=start).reshape(shape)
    return values.astype(values.dtype.newbyteorder("="))


def load_idx(folder: str | os.PathLike[str], train: bool = True) -> ArrayDataset:
    """The images and labels of a folder in MNIST's format: a data set of two host arrays.

    folder: holds `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, and `t10k-...` for the test; each may
        end in `.gz`. train: False gives the test images.
    images: (N, height, width, 1) float32, channels last, from 0 to 1. labels: (N,) int64.
    Raises ValueError where the folder or a file is missing or damaged, where images and labels are not as many, and
        for labels that are no integers.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"there is no folder {folder}")
    images, labels = (_part(Path(folder), f"{_FILES[train]}-{kind}") for kind in ("images-idx3", "labels-idx1"))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        expected = "expected are (N, height, width) and (N,), as many of both"
        given = f"{_FILES[train]}-images of shape {images.shape} and -labels of shape {labels.shape}"
        raise ValueError(f"{folder} has {given}; {expected}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{folder} has {_FILES[train]}-labels of {labels.dtype}; labels are integers")
    return ArrayDataset(_scaled(images)[..., None], labels.astype(host.int64))


def _part(folder: Path, stem: str) -> Any:
    """The array of a file under one of the names that are in use for it."""
    names = [f"{name}-ubyte{end}" for name in (stem, stem.replace("-idx", ".idx")) for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return read_idx(folder / name)
    raise ValueError(f"{folder} has no {names[0]} (nor {' or '.join(names[1:])}), as MNIST's format has it")


def _scaled(images: Any) -> Any:
    """From 0 to 1 where they are bytes, else as they are."""
    scaled = images.astype(host.float32)
    if images.dtype == host.uint8:
        scaled /= host.float32(255)  # in place: there may be many
    return scaled
