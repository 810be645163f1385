"""Arrays that belong together, sample by sample."""

from typing import Any

from ..autodiff.tensor import Tensor
from ..backends import Array, array_beside, backend_of, find_backend_of
from ..backends.host import host

__all__ = ["ArrayDataset", "take_rows"]


class ArrayDataset:
    """Arrays whose first axes count the same samples: inputs and targets.

    arrays: arrays of any backend or Tensors, kept where and as they are; or nested lists, which become host
        arrays, of float32 or int64. A float64 array stays float64.
    Raises ValueError when the first axes differ, TypeError for what holds no numbers.

    >>> dataset = ArrayDataset([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 1, 1])
    >>> len(dataset), dataset[1]
    (3, (array([3., 4.], dtype=float32), array(1)))
    """

    def __init__(self, *arrays: Any) -> None:
        if not arrays:
            raise ValueError("a data set needs at least one array")
        self.arrays = tuple(_as_array(number, given) for number, given in enumerate(arrays))
        shapes = [tuple(array.shape) for array in self.arrays]
        if len({shape[0] for shape in shapes}) > 1:
            given = ", ".join(map(str, shapes))
            raise ValueError(f"the arrays of a data set have first axes of one length; got the shapes {given}")

    def __len__(self) -> int:
        return int(self.arrays[0].shape[0])

    def __getitem__(self, rows: Any) -> tuple[Any, ...]:
        """Samples of each array: one for an integer, several for a slice, a sequence of integers or a mask of booleans.

        Raises IndexError for a sample there is not and a mask of another length, TypeError for anything else.
        """
        if isinstance(rows, slice):
            return tuple(array[rows, ...] for array in self.arrays)
        if hasattr(rows, "__index__") and getattr(rows, "ndim", 0) == 0:
            number = int(rows)
            if not -len(self) <= number < len(self):
                raise IndexError(f"there is no sample {number} among {len(self)}")
            return tuple(array[number, ...] for array in self.arrays)
        places = self._places(rows)
        return tuple(take_rows(array, places) for array in self.arrays)

    def _places(self, rows: Any) -> Array:
        """The numbers of several samples, from 0, as a host array."""
        given = host.asarray(rows.numpy() if isinstance(rows, Tensor) else rows)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "biu"):
            raise TypeError(f"samples are chosen by integers, a slice or a mask of booleans; got {rows!r}")
        if given.dtype.kind == "b":
            if len(given) != len(self):
                raise IndexError(f"a mask has one boolean for each of {len(self)} samples; got {len(given)}")
            return host.flatnonzero(given)
        places = given.astype(host.int64)
        beyond = places[(places < -len(self)) | (places >= len(self))]
        if beyond.size:
            raise IndexError(f"there is no sample {beyond[0]} among {len(self)}")
        return host.where(places < 0, places + len(self), places)

    def __repr__(self) -> str:
        parts = ", ".join(f"{tuple(a.shape)} {str(a.dtype).rpartition('.')[2]}" for a in self.arrays)
        return f"ArrayDataset({parts})"


def take_rows(array: Any, rows: Array) -> Any:
    """The samples of an array at some places, given as a host array; they stay where the array lives."""
    if isinstance(array, Tensor):
        return Tensor(take_rows(array.array, rows))
    return backend_of(array).namespace.take(array, array_beside(array, rows), axis=0)


def _as_array(number: int, given: Any) -> Any:
    """What a data set keeps of the argument of that number."""
    array = given
    if not isinstance(given, Tensor) and find_backend_of(given) is None:
        try:
            array = host.asarray(given)
        except ValueError as error:
            raise TypeError(f"array {number} of the data set is no array of numbers: {error}") from error
        if array.dtype == host.float64 and not hasattr(given, "dtype"):
            array = array.astype(host.float32)
    if getattr(array.dtype, "kind", "f") not in "biufc":
        raise TypeError(f"array {number} of the data set holds {array.dtype}, not numbers")
    if len(array.shape) == 0:
        raise ValueError(f"array {number} of the data set is a single number; the first axis counts the samples")
    return array
