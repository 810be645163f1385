"""The handwritten digits that are shipped with the package."""

import gzip
from importlib.resources import files

from ..backends.host import host
from .dataset import ArrayDataset

__all__ = ["load_digits"]


def load_digits() -> ArrayDataset:
    """1797 images of handwritten digits, and the digits: a data set of two host arrays.

    images: (1797, 64) float32, 8 x 8 pixels row by row, from 0 (paper) to 1 (ink).
    labels: (1797,) int64, from 0 to 9.

    Optical Recognition of Handwritten Digits, test set (Alpaydin and Kaynak, 1998; UCI Machine Learning
    Repository, CC BY 4.0); `data/files/SOURCES.md` has the particulars.

    >>> images, labels = load_digits().arrays
    >>> images.shape, labels[:5]
    ((1797, 64), array([0, 1, 2, 3, 4]))
    """
    packed = files(__package__).joinpath("files", "digits.csv.gz").read_bytes()
    lines = gzip.decompress(packed).decode("ascii").splitlines()
    table = host.loadtxt(lines, delimiter=",", dtype=host.int64)
    return ArrayDataset(table[:, :-1].astype(host.float32) / host.float32(16), table[:, -1].copy())
