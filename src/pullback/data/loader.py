"""DataLoader: a data set in batches, on the device that trains."""

from collections.abc import Callable, Iterator, Mapping
from numbers import Integral
from typing import Any

from ..autodiff.tensor import Tensor, array_of
from ..backends import Array, Backend, Staging, array_beside, backend, backend_of
from ..backends.host import host
from ..ops.random import Generator, default_generator, permutation, random_bits
from ..optim.batch_plan import BatchPlan
from .dataset import ArrayDataset
from .prefetch import prefetch as run_ahead

__all__ = ["DataLoader"]


class DataLoader:
    """A data set in batches: each pass over it is one epoch, and gives tuples of Tensors, one for each array.

    data: arrays whose first axes count the same samples, or one `ArrayDataset`.
    batch_size: samples in a batch; the last of an epoch has what is left, or with `drop_last` is left out.
    shuffle: visit the samples in a new random order each epoch. The order depends on `seed` alone, not on
        the backend; without a seed, one is drawn from the default generator, which `pb.manual_seed` governs.
    device: where batches go, as the current backend names it; by default host arrays go to its device and
        its own arrays stay where they are.
    prefetch: how many batches a background thread prepares ahead; by default 2 where host arrays must move to a
        device, else 0. Their copies are made while the device computes, where it can do both.
    Raises ValueError and TypeError for arrays that do not fit and for counts that are not whole and positive.

    Host arrays become Tensors of the current backend. Arrays of any other library stay in it, and none of
    their batches passes through the host. No dtype is changed: float64 arrays give float64 batches, so cast them
    first where the model is float32.

    >>> loader = DataLoader([[1.0], [2.0], [3.0]], [0, 1, 1], batch_size=2)
    >>> len(loader)
    2
    >>> for x, y in loader:
    ...     print(x.shape, y.tolist())
    (2, 1) [0, 1]
    (1, 1) [1]
    """

    def __init__(
        self,
        *data: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int | None = None,
        device: Any = None,
        prefetch: int | None = None,
    ) -> None:
        only = data[0] if len(data) == 1 else None
        self.dataset = only if isinstance(only, ArrayDataset) else ArrayDataset(*data)
        if not len(self.dataset):
            raise ValueError(f"{self.dataset!r} has no samples to make batches of")
        self.plan = BatchPlan(len(self.dataset), batch_size, drop_last=drop_last)
        self.shuffle = shuffle
        self.device = device
        if prefetch is not None and (not isinstance(prefetch, Integral) or isinstance(prefetch, bool) or prefetch < 0):
            raise ValueError(f"prefetch is a whole number, not negative, or None; got {prefetch!r}")
        self.prefetch = prefetch
        self.generator = Generator(_draw_seed() if seed is None and shuffle else seed or 0)
        self._epoch_start = self.generator.offset
        self._given = self._first = 0  # batches given out this epoch; where the next iteration begins

    def __len__(self) -> int:
        return self.plan.batches_per_epoch

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        self._given, self._first = self._first, 0
        self._epoch_start = self.generator.offset
        order = permutation(self.plan.samples, generator=self.generator) if self.shuffle else None
        target, arrays = backend(), list(map(array_of, self.dataset.arrays))
        moving = [target.name != "numpy" and backend_of(array).name == "numpy" for array in arrays]
        depth = (2 if any(moving) else 0) if self.prefetch is None else self.prefetch
        staging = target.staging(self.device) if any(moving) else None
        ways = [staging if moves else None for moves in moving]
        readers = [_reader(a, order, way, target, self.device) for a, way in zip(arrays, ways, strict=True)]
        parts = (tuple(read(rows) for read in readers) for rows in self.plan.slices(self._given))

        def send(parts: tuple[Any, ...]) -> list[Any]:
            return [part if way is None else way.send(part) for part, way in zip(parts, ways, strict=True)]

        try:
            for sent in run_ahead(parts, depth, send) if depth else map(send, parts):
                batch = [part if way is None else way.receive(part) for part, way in zip(sent, ways, strict=True)]
                self._given += 1
                yield tuple(map(Tensor, batch))
        finally:
            if staging is not None:
                staging.close()
        self._epoch_start, self._given = self.generator.offset, 0

    def state_dict(self) -> dict[str, int]:
        """Where the loader stands, to the batch: what another needs to go on from there."""
        done = self._given == len(self)
        return {
            "samples": self.plan.samples,
            "batch_size": self.plan.batch_size,
            "seed": self.generator.seed,
            "offset": self.generator.offset if done else self._epoch_start,
            "batches": 0 if done else self._given,
        }

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where another loader of the same data stood: the next iteration gives the rest of its epoch.

        Raises ValueError when its samples or batch size were others.
        """
        for name in ("samples", "batch_size"):
            if state[name] != getattr(self.plan, name):
                raise ValueError(f"the state is of {name}={state[name]}; here it is {getattr(self.plan, name)}")
        self.generator.load_state_dict({"seed": state["seed"], "offset": state["offset"]})
        self._epoch_start = state["offset"]
        self._given = self._first = state["batches"]

    def __repr__(self) -> str:
        order = f", shuffled with seed {self.generator.seed}" if self.shuffle else ""
        return f"DataLoader({self.dataset!r}, {len(self)} batches of {self.plan.batch_size}{order})"


def _reader(
    array: Array, order: Array | None, way: Staging | None, target: Backend, device: Any
) -> Callable[[slice], Any]:
    """The function from a slice of the epoch to those samples of an array.

    way: what reads host arrays that move; without it an array stays in its library, and of the current backend's goes
        to `device`, if one was asked for.
    """
    if way is not None:
        read = way.read
        return lambda rows: read(array, rows if order is None else order[rows])
    owner = backend_of(array)
    places = None if order is None else array_beside(array, order)
    moves = owner.name == target.name and device is not None

    def read_own(rows: slice) -> Array:
        part = array[rows, ...] if places is None else owner.namespace.take(array, places[rows], axis=0)
        return owner.to_device(part, device) if moves else part

    return read_own


def _draw_seed() -> int:
    """A seed from the default generator."""
    generator = default_generator()
    bits = random_bits(host.zeros(1), seed=generator.seed, offset=generator.advance(1), size=1)
    return int(bits[0]) % (1 << 64)
