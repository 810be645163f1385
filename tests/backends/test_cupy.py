"""CuPy, where there is a GPU."""

import numpy as np
import pytest

import pullback as pb
from pullback.backends import backend_of

usable, reason = pb.backends()["cupy"]
pytestmark = pytest.mark.skipif(not usable, reason=reason)


@pytest.fixture
def cupy():
    """The current backend is CuPy for the test."""
    with pb.use("cupy") as current:
        yield current


def test_new_arrays_are_made_on_the_gpu(cupy):
    for made in (pb.zeros(3), pb.asarray([1.0]), pb.tensor(np.ones(3)), pb.random.normal(3)):
        assert backend_of(made.array) is cupy


@pytest.mark.parametrize("shape", [(), (2, 3), (0, 3)])
def test_host_arrays_make_the_round_trip_through_the_gpu(cupy, shape):
    values = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(cupy.to_host(cupy.from_host(values)), values)


def test_a_mismatch_with_the_host_names_the_gpu(cupy):
    with pytest.raises(
        pb.BackendMismatch, match=r'a cupy array \(cuda:0\) .*pb.to_device\(x, "cuda:0", backend="cupy"\)'
    ):
        pb.add(pb.ones(2), np.ones(2))


def test_a_gradient_moves_back_to_the_host(cupy):
    x = pb.Tensor(np.ones(3)).requires_grad_()
    pb.to_device(x, "cuda:0", backend="cupy").sum().backward()
    assert isinstance(x.grad.array, np.ndarray)
