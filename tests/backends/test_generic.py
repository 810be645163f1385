"""Libraries with no kernels: the strict one, PyTorch's tensors, and one that nobody has heard of."""

import types

import array_api_strict
import numpy as np
import pytest

import pullback as pb
from pullback.backends import backend_of, open_backend

parity = pytest.mark.parity
PLACES = [
    pytest.param(("array_api_strict", None), id="strict"),
    pytest.param(("array_api_strict", "device1"), id="strict on device1"),
    pytest.param(("torch", None), id="torch", marks=parity),
    pytest.param(("torch", "cpu"), id="torch on cpu", marks=parity),
]


@pytest.fixture(params=PLACES)
def library(request):
    """A backend that is in use for the test."""
    name, device = request.param
    if name == "torch":
        pytest.importorskip("torch")
    with pb.use(name, device) as current:
        yield current


def loss(w, x):
    return pb.sum(pb.square(pb.tanh(pb.matmul(x, w)) - 0.5))


def numpy_gradient(w, x):
    y = np.tanh(x @ w)
    return x.T @ (2 * (y - 0.5) * (1 - y * y))


W, X = np.linspace(-1, 1, 6).reshape(3, 2), np.linspace(-2, 2, 12).reshape(4, 3)


def test_training_arithmetic_stays_in_its_library_and_place(library):
    w, x = pb.tensor(W, dtype="float32", requires_grad=True), pb.tensor(X, dtype="float32")
    loss(w, x).backward()
    where = [(backend_of(t.array).name, t.device, t.dtype) for t in (w, w.grad)]
    expected_device = pb.zeros(1).device
    assert where == [(library.name, expected_device, pb.float32)] * 2
    np.testing.assert_allclose(w.grad.numpy(), numpy_gradient(W, X), rtol=1e-5)


def test_second_derivatives_agree_with_numpys(library):
    vector = np.linspace(1, 2, 6).reshape(3, 2)
    here = [library.from_host(a) for a in (W, vector, X)]
    _, (product,) = pb.hvp(lambda w: loss(w, here[2]), [here[0]], [here[1]])
    _, (expected,) = pb.hvp(lambda w: loss(w, X), [W], [vector])
    np.testing.assert_allclose(library.to_host(product), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_host_arrays_make_the_round_trip(library, shape, dtype):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    there = library.from_host(values)
    back = library.to_host(there)
    assert (tuple(there.shape), back.dtype) == (shape, values.dtype)
    np.testing.assert_array_equal(back, values)


def test_strided_host_arrays_make_the_round_trip(library):
    values = np.arange(12.0).reshape(3, 4)
    for view in (values.T, values[::-1, ::2]):
        np.testing.assert_array_equal(library.to_host(library.from_host(view)), view)


def test_an_array_of_the_library_is_copied_to_the_chosen_device(library):
    elsewhere = library.namespace.asarray([1.0, 2.0])
    made = pb.tensor(elsewhere)
    assert made.device == pb.zeros(1).device
    made[0] = 5.0
    assert float(elsewhere[0]) == 1.0


def test_moving_between_libraries_carries_the_gradient_back(library):
    w = pb.tensor(W, requires_grad=True)
    moved = pb.to_device(w, "cpu", backend="numpy")
    (moved * moved).sum().backward()
    assert backend_of(moved.array).name == "numpy"
    assert (backend_of(w.grad.array).name, w.grad.device) == (library.name, w.device)
    np.testing.assert_allclose(w.grad.numpy(), 2 * W)


def test_a_scalar_moves_and_stays_a_scalar(library):
    x = pb.asarray(np.asarray(2.5))
    assert pb.to_device(x, None, backend=library.name).shape == ()


def test_devices_of_the_strict_namespace_are_told_apart():
    first, second = (open_backend("array_api_strict", name) for name in ("device1", "device2"))
    x = first.asarray([1.0])
    moved = pb.to_device(x, "device2")
    assert first.device_of(moved) == second.device
    assert x.device == array_api_strict.Device("device1")


@pytest.mark.parametrize(
    ("name", "device"), [("array_api_strict", "device9"), pytest.param("torch", "nowhere", marks=parity)]
)
def test_a_device_there_is_not_is_refused(name, device):
    if name == "torch":
        pytest.importorskip("torch")
    with pytest.raises(ValueError, match=device):
        pb.use(name, device)


def test_a_data_type_there_is_not_is_refused():
    with (
        pb.use("array_api_strict"),
        pytest.raises(TypeError, match="array_api_strict backend has no data type 'float16'"),
    ):
        pb.zeros(2, dtype="float16")


def make_library():
    """An array library that offers the standard and nothing else: NumPy's arrays, wrapped."""
    library = types.ModuleType("stranger")
    operators = [
        *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "rpow", "matmul", "neg"),
        *("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "getitem", "bool", "float", "int", "len"),
    ]

    class Array:
        def __init__(self, values):
            self.values = values

        shape = property(lambda self: self.values.shape)
        dtype = property(lambda self: self.values.dtype)
        ndim = property(lambda self: self.values.ndim)
        size = property(lambda self: self.values.size)
        mT = property(lambda self: wrap(self.values.mT))
        device = "here"

        def to_device(self, device):
            assert device in (None, "here")
            return self

        def __array_namespace__(self, api_version=None):
            return library

        def __dlpack__(self, **options):
            return self.values.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.values.__dlpack_device__()

    def wrap(value):
        return Array(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else value

    def unwrap(value):
        if isinstance(value, (list, tuple)):
            return type(value)(unwrap(item) for item in value)
        return value.values if isinstance(value, Array) else value

    def lift(function):
        def lifted(*arguments, device=None, **options):
            assert device in (None, "here")
            return wrap(function(*unwrap(arguments), **{name: unwrap(value) for name, value in options.items()}))

        return lifted

    for name in operators:
        setattr(Array, f"__{name}__", lift(getattr(np.ndarray, f"__{name}__")))
    for name in dir(np):
        if not name.startswith("_"):
            found = getattr(np, name)
            setattr(library, name, lift(found) if callable(found) and not isinstance(found, type) else found)
    devices = types.SimpleNamespace(devices=lambda: ["here"], default_device=lambda: "here")
    library.__array_namespace_info__ = lambda: devices
    return library


def test_an_unknown_library_is_differentiated_through_the_standard_alone():
    stranger = make_library()
    w, x = stranger.asarray(W), stranger.asarray(X)
    owner = backend_of(w)
    assert (owner.name, type(owner).__name__, owner.kernels) == ("stranger", "GenericBackend", {})
    variable = pb.Tensor(w).requires_grad_()
    loss(variable, pb.Tensor(x)).backward()
    assert type(variable.grad.array) is type(w)
    np.testing.assert_allclose(variable.grad.numpy(), numpy_gradient(W, X), rtol=1e-12)
    slope = pb.grad(lambda w: loss(w, x))(w)
    assert type(slope) is type(w)


def test_an_unknown_library_is_named_in_a_mismatch_and_can_be_moved_to():
    there = make_library().asarray(W)
    with pytest.raises(
        pb.BackendMismatch, match=r'a stranger array \(here\) and a numpy array .*"here", backend="stranger"'
    ):
        pb.add(there, X[:3, :2])
    assert type(pb.to_device(X, "here", backend="stranger")) is type(backend_of(there).from_host(X))
    with pytest.raises(ValueError, match="stranger has no device 'cuda:0'; it has here"):
        pb.to_device(X, "cuda:0", backend="stranger")
