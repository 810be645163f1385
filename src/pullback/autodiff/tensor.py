"""Tensor: an array plus its place on the tape."""

from collections.abc import Iterator
from math import prod
from typing import Any, ClassVar

from ..backends import DTYPES, Array, DType, Namespace, backend_of, dtype_name, is_complex, is_floating
from .operators import Operators
from .tape import Leaf, Place, recording, walk

__all__ = ["Tensor", "array_of"]


class Tensor(Operators):
    """An array plus its place on the tape.

    array: of any backend. Nothing is copied.
    node: its place on the tape; None for a constant. Use `tensor(...)` to make a variable.

    Follows the array API standard's array object; `backward`, `grad`, `detach`, `item` and `numpy` are PyTorch's.

    >>> import numpy
    >>> x = Tensor(numpy.asarray([1.0, 2.0])).requires_grad_()
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4.], dtype=float64)
    """

    __slots__ = ("__weakref__", "array", "node")

    namespace: ClassVar[Namespace]
    """The array API namespace of Tensors: the package itself, which sets this when it is imported."""

    __array_ufunc__ = None  # NumPy's and CuPy's arrays leave `array * tensor` to `__rmul__`

    def __init__(self, array: Array, node: Place | None = None) -> None:
        self.array = array
        self.node = node

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each axis."""
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.array.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.array.shape)

    @property
    def dtype(self) -> DType:
        """The data type, the same object for every backend."""
        return DTYPES[dtype_name(self.array.dtype)]

    @property
    def device(self) -> Any:
        """Where the array lives, as its library names it."""
        return backend_of(self.array).device_of(self.array)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow back through this value."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def grad(self) -> "Tensor | None":
        """The gradient that `backward` left here, of this Tensor's shape; None before, and for what is no variable."""
        return self.node.grad if isinstance(self.node, Leaf) else None

    @grad.setter
    def grad(self, value: "Tensor | None") -> None:
        if not isinstance(self.node, Leaf):
            raise ValueError("only a variable has a gradient; make one with requires_grad_()")
        if value is not None and (not isinstance(value, Tensor) or value.shape != self.shape):
            raise ValueError(f"a gradient is a Tensor of shape {self.shape}, or None; got {value!r}")
        self.node.grad = value

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Make this Tensor a variable (or, with False, a constant), in place."""
        if not requires_grad:
            self.node = None
        elif self.node is None:
            if not is_floating(self.array.dtype):
                raise TypeError(f"only floating-point Tensors have gradients; this one is {self.dtype.name}")
            self.node = Leaf(self, backend_of(self.array))
        return self

    def detach(self) -> "Tensor":
        """The same array with no place on the tape."""
        return Tensor(self.array)

    def backward(self, gradient: Any = None, create_graph: bool = False, retain_graph: bool | None = None) -> None:
        """Carry gradients back to every variable this value was computed from, adding to their `.grad`.

        gradient: the gradient of this value, of its shape; 1 for a value of one element.
        create_graph: record the walk, so that the gradients can be differentiated in turn.
        retain_graph: keep the graph for another walk; by default only with `create_graph`.
        Raises RuntimeError for a constant, for several elements or a complex one without `gradient`, and for a
        graph already freed.
        """
        if self.node is None:
            raise RuntimeError("backward() was called on a constant; no variable with requires_grad led to it")
        if gradient is None:
            if self.size != 1 or is_complex(self.array.dtype):
                raise RuntimeError(
                    f"backward() of a {self.dtype.name} Tensor of shape {self.shape} needs gradient=, a Tensor of that "
                    "shape; or make it one real number first, for example with .sum() and pb.real"
                )
            gradient = Tensor(backend_of(self.array).namespace.ones_like(self.array))
        g = gradient if isinstance(gradient, Tensor) else Tensor.namespace.asarray(gradient)
        if g.shape != self.shape:
            raise ValueError(f"gradient has shape {g.shape}, the Tensor has {self.shape}")
        g = g if g.array.dtype == self.array.dtype else g.astype(self.dtype)
        retain = create_graph if retain_graph is None else retain_graph
        found = walk([(self.node, g if create_graph else g.array)], record=create_graph, retain=retain)
        for place, piece in found.items():
            if isinstance(place, Leaf):
                place.refuse_batch(piece.array if create_graph else piece)
                piece = piece if create_graph else Tensor(piece)
                place.grad = piece if place.grad is None else place.grad + piece

    def numpy(self) -> Any:
        """The array as a NumPy array on the host, detached; a view where memory can be shared."""
        return backend_of(self.array).to_host(self.array)

    def item(self) -> Any:
        """The one element as a Python number."""
        return self.numpy().item()

    def tolist(self) -> Any:
        """The elements as nested Python lists."""
        return self.numpy().tolist()

    def to_device(self, device: Any, /, *, stream: Any = None) -> "Tensor":
        """The same values on another device of this backend."""
        return Tensor.namespace.to_device(self, device)  # type: ignore[no-any-return]

    def __reduce__(self) -> Any:
        if self.node is not None and not isinstance(self.node, Leaf):
            raise TypeError("a Tensor that was computed from variables is not copied; copy x.detach()")
        return _restore, (self.array, self.requires_grad)

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Namespace:
        if api_version not in (None, *Tensor.namespace.API_VERSIONS):
            known = ", ".join(Tensor.namespace.API_VERSIONS)
            raise ValueError(f"pullback follows the array API standard in its versions {known}; got {api_version!r}")
        return Tensor.namespace

    def __dlpack__(
        self, /, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
    ) -> Any:
        if self.node is not None:
            raise BufferError("a Tensor that is being recorded is not shared by DLPack; share x.detach()")
        options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        return self.array.__dlpack__(**{name: value for name, value in options.items() if value is not None})

    def __dlpack_device__(self) -> tuple[Any, int]:
        return self.array.__dlpack_device__()  # type: ignore[no-any-return]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self.node is not None:
            raise TypeError(
                "a Tensor that is being recorded is not turned into a NumPy array; use .detach() or .numpy()"
            )
        array = self.numpy()
        if copy is False and dtype is not None and array.dtype != dtype:
            raise ValueError(f"a Tensor of {self.dtype.name} is not had as {dtype} without a copy")
        return array.astype(array.dtype if dtype is None else dtype, copy=bool(copy))

    def __index__(self) -> int:
        return self.numpy().__index__()  # type: ignore[no-any-return]

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a 0-d Tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> "Tensor":
        return Tensor.namespace.getitem(self, key)  # type: ignore[no-any-return]

    def __setitem__(self, key: Any, value: Any) -> None:
        recorded = self.requires_grad or (isinstance(value, Tensor) and value.requires_grad)
        if recorded and (recording.get() or not isinstance(self.node, Leaf | None)):
            raise TypeError("a Tensor that is being recorded cannot be written to; build a new one with pb.where(...)")
        whole = tuple(map(array_of, key)) if isinstance(key, tuple) else array_of(key)
        self.array[whole] = array_of(value)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and not self.shape else super().__format__(spec)

    def __repr__(self) -> str:
        owner = backend_of(self.array)
        values = owner.show(self.array)
        if "dtype=" not in values:
            values += f", dtype={self.dtype.name}"
        where = "" if owner.name == "numpy" else f", backend={owner.name}"
        return f"Tensor({values}{where}{', requires_grad=True' if self.requires_grad else ''})"


def _restore(array: Array, requires_grad: bool) -> Tensor:
    return Tensor(array).requires_grad_(requires_grad)


def array_of(x: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    return x.array if isinstance(x, Tensor) else x
